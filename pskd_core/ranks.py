"""The processes of one run: the first starts the others, and none of them outlives it or hangs because one has died.

The first, of rank 0, is the run: it decides, stops, writes and reports. The others hold nothing that is needed
afterwards, so they are killed when it ends, however it ends. They talk over loopback and meet in a private file.
"""

import json
import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist

from pskd_core.errors import RankLost, out_of_memory
from pskd_core.parallel import Team

logger = logging.getLogger(__name__)

Device = Literal["cpu", "cuda"]

# What waits for a dead process learns it from its connection at once, on a GPU perhaps never; then it is killed.
NOTICE_S = 10.0
_LOOK_S = 0.25
_SURE_S = 5.0  # after a connection has broken, until it is seen whose
_FAILED = 1  # exit status
_READY = {"ready": True}
# Rank 0 may save, judge or wait for a database between two steps; who has died is found out otherwise.
_PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class _Place:
    """Of one process among those of its run."""

    rank: int
    size: int
    device: Device
    meeting: Path  # the file in which they meet

    def __str__(self) -> str:
        return f"process {self.rank + 1} of {self.size}"


@contextmanager
def together(main: Callable[..., None], arguments: Sequence[Any], *, processes: int, device: Device) -> Iterator[Team]:
    """Start the other processes of a run, of which this one is rank 0, for as long as the block lasts.

    Args:
        main: of each other process. It is given a function that joins the team, to be called when it is ready to work,
            and then `arguments`; it must be importable, and they picklable.
        arguments: see there.
        processes: how many in all.
        device: on `cuda` each process has the GPU of its rank.

    Raises:
        RankLost: another process has ended before its time.
    """
    with tempfile.TemporaryDirectory(prefix="pskd-ranks-") as folder:
        places = [_Place(rank, processes, device, Path(folder) / "meeting") for rank in range(processes)]
        others: list[_Other] = []
        ended, clean = threading.Event(), False
        try:
            others += [_Other(place, main, arguments) for place in places[1:]]
            threading.Thread(target=_watch, args=(others, ended), daemon=True).start()
            for other in others:
                other.wait_until_ready()
            yield _join(places[0])
            clean = True
        except RuntimeError as error:  # so a connection breaks
            if not out_of_memory(error) and (lost := _first_lost(others)):
                raise lost from error
            raise
        finally:
            ended.set()
            # On a GPU, to take leave means to wait for the others.
            if dist.is_initialized() and (clean or device == "cpu"):
                dist.destroy_process_group()
            for other in others:
                other.end()


class _Other:
    """Another process, as the first sees it."""

    def __init__(self, place: _Place, main: Callable[..., None], arguments: Sequence[Any]) -> None:
        # Not forked: this process may have used torch's threads, whose locks a fork would copy.
        context = multiprocessing.get_context("spawn")
        self._place = place
        self._pipe, theirs = context.Pipe(duplex=False)
        # A daemon, since nobody at this process's exit shall wait for one.
        self._process = context.Process(target=_serve, args=(place, theirs, main, arguments), daemon=True)
        self._process.start()
        theirs.close()  # so that it ends when the other's does

    def wait_until_ready(self) -> None:
        """Raises RankLost."""
        told = self._told()
        if told != _READY:
            self._process.join()
            raise self._lost(told)

    def lost(self) -> RankLost | None:
        """Why it has ended; null if it has not, or had nothing left to do."""
        return self._lost(self._told()) if self.died else None

    @property
    def died(self) -> bool:
        """It has ended before its time."""
        return self._process.exitcode not in {None, 0}

    def end(self) -> None:
        """Nothing that it holds is needed."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _told(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads(self._pipe.recv_bytes())
        except EOFError:
            return {}
        return told

    def _lost(self, told: dict[str, Any]) -> RankLost:
        status = self._process.exitcode or 0
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        detail = f"{self._place} {told.get('detail', how)}"
        return RankLost(detail, out_of_memory=told.get("out_of_memory", False), killed=status < 0)


def _first_lost(others: Sequence[_Other]) -> RankLost | None:
    """Which of the others began it: whoever wants memory or was killed, since the rest only lost their connections."""
    until = time.monotonic() + _SURE_S
    while not any(other.died for other in others) and time.monotonic() < until:
        time.sleep(0.02)
    losses = [lost for other in others if (lost := other.lost())]
    return max(losses, key=lambda lost: (lost.out_of_memory, lost.killed), default=None)


def _watch(others: Sequence[_Other], ended: threading.Event) -> None:
    """End this process if another has died and it goes on waiting for that one."""
    while not ended.wait(_LOOK_S):
        if any(other.died for other in others):
            if not ended.wait(NOTICE_S):
                logger.critical("a process of this run has died, which the others do not notice; ending them")
                os.kill(os.getpid(), signal.SIGKILL)
            return


# --- In the others ------------------------------------------------------------------------------------------------


def _serve(place: _Place, pipe: Connection, main: Callable[..., None], arguments: Sequence[Any]) -> None:
    """Main function of each process but the first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the first decides
    threading.Thread(target=_end_with_first, daemon=True).start()
    tempfile.tempdir = str(place.meeting.parent)  # on the first one's disk, and gone with it
    if place.device == "cuda":
        torch.cuda.set_device(place.rank)

    def join() -> Team:
        pipe.send_bytes(json.dumps(_READY).encode())
        return _join(place)

    try:
        main(join, *arguments)
    except Exception as error:
        logger.exception("%s has failed", place)
        told = {"detail": f"has failed: {type(error).__name__}: {error}", "out_of_memory": out_of_memory(error)}
        with suppress(OSError):
            pipe.send_bytes(json.dumps(told).encode())
        os._exit(_FAILED)
    dist.destroy_process_group()


def _end_with_first() -> None:
    first = multiprocessing.parent_process()
    if first is not None:
        first.join()
    os._exit(_FAILED)


def _join(place: _Place) -> Team:
    """Wait for all others. Raises RuntimeError."""
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):  # nobody else is to reach these ports
        os.environ.setdefault(name, next(name for _, name in socket.if_nameindex() if name.startswith("lo")))
    dist.init_process_group(
        "nccl" if place.device == "cuda" else "gloo",
        store=dist.FileStore(str(place.meeting), place.size),  # type: ignore[attr-defined]
        rank=place.rank,
        world_size=place.size,
        timeout=_PATIENCE,
    )
    return Team(place.rank, place.size)
