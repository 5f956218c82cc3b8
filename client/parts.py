"""The processes of the embedded stack: each in a session of its own, on a leash, and started again when it dies."""

import socket
import subprocess  # nosec B404 # our own programs, through no shell
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from client import leash

# Where `python -m api` finds its module, whatever folder the user is in and whatever `api.py` lies there.
CODE = Path(__file__).resolve().parents[1]
_LARGEST_LOG_BYTES = 10_000_000
# After so long a part counts as well again, and its next death is the first.
_STEADY_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0

Say = Callable[[str], None]


class StackError(Exception):
    """The stack cannot start; `remedy` says what to do."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.remedy = remedy


@dataclass(frozen=True)
class Part:
    """One process: what to run, where, and how to tell that it is ready."""

    name: str
    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    ready: Callable[[], bool]
    grace_s: float = 5.0


class Running:
    """A part that runs; nothing of it outlives this process."""

    def __init__(self, part: Part, *, log: Path, lock: int) -> None:
        _make_room(log)
        self._grace_s = part.grace_s
        arguments = (str(part.grace_s), str(log), *part.command)
        self._hold, other_end = socket.socketpair()
        with log.open("ab") as sink, other_end:
            self._leash = subprocess.Popen(
                (sys.executable, "-I", "-S", leash.__file__, *arguments),
                cwd=part.folder,
                env=part.environment,
                stdin=other_end.fileno(),
                stdout=other_end.fileno(),
                stderr=sink,
                start_new_session=True,
                pass_fds=(lock,),
            )
        self.pid = int(self._hold.makefile().readline() or 0)

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._leash.poll()

    def stop(self) -> None:
        """Ask it to end, and see to it that it does."""
        self._hold.close()
        try:
            self._leash.wait(self._grace_s + 5.0)
        except subprocess.TimeoutExpired:  # the leash itself was stopped; its end is the end of the part
            self._leash.kill()
            self._leash.wait()


class Kept:
    """A part that is started again whenever it ends, after a pause that grows while it keeps dying."""

    def __init__(self, part: Part, *, log: Path, lock: int, say: Say) -> None:
        self.part, self.log = part, log
        self._lock, self._say = lock, say
        self._deaths = 0
        self._restart_at: float | None = None
        self.restart()

    def restart(self) -> None:
        """Start it now."""
        self._started_at, self._restart_at = time.monotonic(), None
        self.running = Running(self.part, log=self.log, lock=self._lock)

    def tend(self) -> bool:
        """Look after the part; says whether it was started again."""
        now, code = time.monotonic(), self.running.exit_code
        if code is None:
            return False
        if self._restart_at is None:
            self._mourn(now, code)
            return False
        if now < self._restart_at:
            return False
        self.restart()
        self._say(f"{self.part.name} is back (process {self.running.pid})")
        return True

    def stop(self) -> None:
        """End it for good."""
        self.running.stop()

    def _mourn(self, now: float, code: int) -> None:
        if now - self._started_at > _STEADY_S:
            self._deaths = 0
        pause_s = min(_FIRST_PAUSE_S * 2**self._deaths, _LONGEST_PAUSE_S)
        self._deaths += 1
        self._restart_at = now + pause_s
        self._say(f"{self.part.name} {how_it_ended(code)}; starting it again in {pause_s:g} s (its log: {self.log})")
        self.running.stop()


def how_it_ended(code: int) -> str:
    """An exit code in words; a leash answers 128 + n for signal n."""
    signal_number = -code if code < 0 else code - 128
    return f"was killed by signal {signal_number}" if signal_number > 0 else f"ended with code {code}"


def last_lines(log: Path, *, count: int = 15) -> str:
    """The end of a log, for a message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


def _make_room(log: Path) -> None:
    """Keep one former log beside a new one once it has grown large."""
    if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
