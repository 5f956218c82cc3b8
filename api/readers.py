"""The pool of processes that read what may do a parser harm: archives, `.mat`, binary files and long texts."""

import logging
import os
import signal
import socket
import subprocess  # nosec B404 # our own programs, through no shell
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, LifoQueue
from typing import IO, Any

import numpy as np

from api.errors import UNAVAILABLE, Refusal
from api.reader import OUT_OF_MEMORY, READY, receive, receive_bytes, send
from pskd_core.data.recordings import SensorRecording
from pskd_core.data.series import Unit
from pskd_core.errors import DataError

logger = logging.getLogger(__name__)

_CODE = Path(__file__).resolve().parents[1]  # where `python -m api.reader` finds its module
_USES = 200  # of one process: what leaks in a parser is given back
_START_S = 60.0
_START_AGAIN_S = 1.0
_LATE_S = 2.0  # a reader ends itself when its time is up; one that does not is killed so much later
_WAIT_S = 10.0
_WAITING_PER_READER = 4
# Of the service's environment, which holds passwords, a reader is told nothing.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
# Arrow's own allocator reserves a GiB of addresses, which count.
_ENVIRONMENT |= {"ARROW_DEFAULT_MEMORY_POOL": "system"}
_BY_TIME = {None, -signal.SIGALRM, -signal.SIGXCPU}  # exit codes; none: it goes on
_ENDS_S = 1.0  # from the end of a reader's connection to that of its process


@dataclass(frozen=True)
class ReaderLimits:
    """What one recording may cost."""

    memory_bytes: int  # address space of the whole process
    timeout_s: float  # on the clock, and as much of the processor


class Readers:
    """A few processes that read one recording each at a time.

    Invariants: a process that a recording has ended is replaced, and so is one after `_USES` recordings; no more than
    four requests a process wait; none of the processes outlives this one.
    """

    def __init__(self, count: int, limits: ReaderLimits) -> None:
        self._count, self._limits = count, limits
        self._lock = threading.Lock()
        self._idle: LifoQueue[_Reader] = LifoQueue()
        self._waiting = 0
        self._closing = threading.Event()
        # A reader ends with the thread that started it, which therefore lives as long as the pool.
        self._starter: ThreadPoolExecutor | None = None

    def warm(self) -> None:
        """Start the processes, if they have not been; they are ready soon."""
        with self._lock:
            if self._starter is None and not self._closing.is_set():
                self._starter = ThreadPoolExecutor(1, thread_name_prefix="readers")
                for _ in range(self._count):
                    self._starter.submit(self._start)

    @contextmanager
    def reader(self) -> Iterator["_Reader"]:
        """A process for one recording; whoever holds it limits what is in memory at a time.

        Raises:
            Refusal: too many wait, or it has waited too long (503).
        """
        self.warm()
        reader = self._wait()
        try:
            yield reader
        finally:
            if reader.usable and not self._closing.is_set():
                self._idle.put(reader)
            else:
                reader.end()
                self._replace()

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            self._closing.set()
            starter = self._starter
        if starter is not None:
            starter.shutdown(wait=True, cancel_futures=True)
        with suppress(Empty):
            while True:
                self._idle.get_nowait().end()

    def _wait(self) -> "_Reader":
        with self._lock:
            if self._waiting >= self._count * _WAITING_PER_READER:
                raise Refusal(UNAVAILABLE, "too many recordings wait to be read; try again shortly")
            self._waiting += 1
        try:
            return self._idle.get(timeout=_WAIT_S)
        except Empty:
            raise Refusal(UNAVAILABLE, f"no reader was free for {_WAIT_S:.0f} s; try again shortly") from None
        finally:
            with self._lock:
                self._waiting -= 1

    def _replace(self) -> None:
        with self._lock:
            if self._starter is not None and not self._closing.is_set():
                self._starter.submit(self._start)

    def _start(self) -> None:
        """Add a process that is ready; trouble with starting it may pass."""
        while not self._closing.is_set():
            try:
                self._idle.put(_Reader(self._limits))
            except OSError:
                logger.exception("a reader could not be started; trying again")
                self._closing.wait(_START_AGAIN_S)
            else:
                return


class _Reader:
    """One process."""

    def __init__(self, limits: ReaderLimits) -> None:
        self._limits, self._uses, self._sound = limits, 0, True
        self._connection, theirs = socket.socketpair()
        with theirs:
            arguments = map(str, (theirs.fileno(), os.getpid(), limits.memory_bytes))
            self._process = subprocess.Popen(
                [sys.executable, "-m", "api.reader", *arguments],
                cwd=_CODE,
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        try:
            self._connection.settimeout(_START_S)
            receive_bytes(self._connection, len(READY))
        except EOFError as ended:
            self.end()
            raise ChildProcessError("a reader ended while it started; its message is above") from ended
        except OSError:
            self.end()
            raise

    @property
    def usable(self) -> bool:
        """Whether it may read a further recording."""
        return self._sound and self._uses < _USES

    def read(
        self,
        source: IO[bytes],
        *,
        filename: str | None,
        rate_hz: float | None,
        unit: Unit | None,
        columns: Sequence[str] = (),
    ) -> SensorRecording:
        """As `read_recording`, from a file of this system.

        Raises:
            DataError: also if reading it takes more than the limits allow.
            Refusal: the process was ended from outside (503).
        """
        self._uses += 1
        self._sound = False  # until it has answered
        deadline = time.monotonic() + self._limits.timeout_s + _LATE_S
        options = {"filename": filename, "rate_hz": rate_hz, "unit": unit, "columns": columns}
        try:
            self._connection.settimeout(self._limits.timeout_s + _LATE_S)
            send(self._connection, {"timeout_s": self._limits.timeout_s, **options})
            self._hand_over(source)
            said, values = self._receive(deadline)
        except (OSError, EOFError, ValueError) as silent:
            raise self._ended(filename) from silent
        self._sound = "failed" not in said
        return self._recording(said, values, filename)

    def _hand_over(self, source: IO[bytes]) -> None:
        source.flush()
        descriptor = os.open(f"/dev/fd/{source.fileno()}", os.O_RDONLY)
        try:
            socket.send_fds(self._connection, [b"!"], [descriptor])
        finally:
            os.close(descriptor)

    def end(self) -> None:
        """Kill it, if it lives."""
        self._sound = False
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _receive(self, deadline: float) -> tuple[dict[str, Any], bytearray]:
        self._connection.settimeout(max(deadline - time.monotonic(), 0.01))
        said = receive(self._connection)
        if said is None:
            raise EOFError
        size = 12 * int(said.get("samples", 0))  # float32, three axes
        if not 0 <= size <= self._limits.memory_bytes:
            raise ValueError("more samples than a reader can hold")
        return said, receive_bytes(self._connection, size)

    def _recording(self, said: dict[str, Any], values: bytearray, filename: str | None) -> SensorRecording:
        if "recording" in said:
            tuples = {name: tuple(said["recording"][name]) for name in ("columns", "repairs", "warnings")}
            gaps = tuple((start, end) for start, end in said["recording"]["gaps"])
            samples = np.frombuffer(values, np.float32).reshape(-1, 3)
            return SensorRecording(**{**said["recording"], **tuples, "gaps": gaps, "values_g": samples})
        if "refused" in said:
            raise _refused(said)
        if said["failed"] == OUT_OF_MEMORY:
            raise self._beyond(f"{self._limits.memory_bytes >> 20} MiB of memory", filename)
        raise RuntimeError(f"a reader failed: {said['failed']}")

    def _ended(self, filename: str | None) -> DataError | Refusal:
        """Why a process has not answered; it is no more."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDS_S)
        code = self._process.returncode
        self.end()
        if code in _BY_TIME:
            return self._beyond(f"{self._limits.timeout_s:g} s", filename)
        if code == -signal.SIGKILL:
            return Refusal(UNAVAILABLE, "the process that read the recording was killed; try again shortly")
        if code > 0:  # its memory did not even suffice to say so; the log has the trace
            return self._beyond(f"{self._limits.memory_bytes >> 20} MiB of memory", filename)
        return DataError(f"its reader crashed (signal {-code}); save it again, or send it as CSV", file=filename)

    def _beyond(self, limit: str, filename: str | None) -> DataError:
        return DataError(
            f"reading it takes more than {limit}; cut the recording up, or send it as `.npy`", file=filename
        )


def _refused(said: dict[str, Any]) -> DataError:
    """The refusal as it was raised in the reader: its message names the place already."""
    refused = DataError(said["refused"])
    refused.file, refused.row, refused.column = said.get("file"), said.get("row"), said.get("column")
    return refused
