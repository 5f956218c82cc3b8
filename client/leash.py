"""Runs one command so that it ends when whoever started this process ends, however that happens.

Started by its path, with the standard library only, so that it costs ten milliseconds and few megabytes:
`python leash.py GRACE_S LOG COMMAND…`. The command's process id is the first line on standard output. The command
is asked to end (SIGTERM) as soon as standard input closes, which the system does for a killed owner too, and is
killed with all of its process group after GRACE_S. Should the leash itself be killed, the system kills the command.
"""

import contextlib
import ctypes
import os
import queue
import signal
import subprocess  # nosec B404 # our own programs, through no shell
import sys
import threading
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h; the signal comes when the thread that forked ends, here the main thread


def main(arguments: list[str]) -> int:
    """Run the command to its end and answer its exit code; a signal n counts as 128 + n."""
    grace_s, log, command = float(arguments[0]), arguments[1], arguments[2:]
    ended = threading.Event()
    # Signal handlers may put into a SimpleQueue; they could deadlock on an Event.
    news: queue.SimpleQueue[None] = queue.SimpleQueue()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: news.put(None))
    child = _start(command, log)
    os.write(1, b"%d\n" % child.pid)
    threading.Thread(target=_await_owner, args=(news,), daemon=True).start()
    threading.Thread(target=_await_child, args=(child, ended, news), daemon=True).start()
    news.get()
    if not ended.is_set():
        child.terminate()
        ended.wait(grace_s)
    with contextlib.suppress(ProcessLookupError):  # nobody of its group is left
        os.killpg(child.pid, signal.SIGKILL)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _start(command: list[str], log: str) -> "subprocess.Popen[bytes]":
    with Path(log).open("ab") as sink:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            process_group=0,
            preexec_fn=_die_with_leash if sys.platform == "linux" else None,  # noqa: PLW1509  # no threads run yet
        )


def _die_with_leash() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _await_owner(news: "queue.SimpleQueue[None]") -> None:
    while os.read(0, 4096):
        pass
    news.put(None)


def _await_child(child: "subprocess.Popen[bytes]", ended: threading.Event, news: "queue.SimpleQueue[None]") -> None:
    child.wait()
    ended.set()
    news.put(None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
