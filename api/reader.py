"""A process that reads recordings for the API: `python -m api.reader SOCKET PARENT MEMORY_BYTES`, started by its pool.

What an upload makes of a parser happens here: with little memory, a limited time, no file that it could write, none of
the service's settings, and an end as soon as the service has gone. It is handed each file open for
reading, since some parsers want a file. Both directions carry a length and JSON, the answer raw samples too: nothing
that is said here is unpickled there.
"""

import ctypes
import json
import math
import os
import resource
import signal
import socket
import struct
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from pskd_core.data.recordings import SensorRecording, read_recording
from pskd_core.errors import DataError, problem_fields

READY = b"!"
OUT_OF_MEMORY = "out_of_memory"
_LENGTH = struct.Struct("<I")
_MOST_HEAD_BYTES = 1 << 20  # of JSON; gaps of a long recording are listed in it
_OPEN_FILES = 16
_PR_SET_PDEATHSIG = 1  # linux/prctl.h; the signal comes when the thread that started us ends: the pool keeps it


def main(arguments: list[str]) -> None:
    """Read one recording after another, until the pool closes its end."""
    descriptor, parent, memory_bytes = map(int, arguments)
    _die_with(parent)
    _limit(memory_bytes)
    with socket.socket(fileno=descriptor) as pool:
        pool.sendall(READY)
        while (asked := receive(pool)) is not None:
            _limit_time(asked["timeout_s"])
            _, (source, *_), _, _ = socket.recv_fds(pool, 1, 1)
            said, values = _read(source, asked)
            os.close(source)
            send(pool, said)
            pool.sendall(values)
            signal.setitimer(signal.ITIMER_REAL, 0)


def send(connection: socket.socket, said: dict[str, Any]) -> None:
    """One message."""
    text = json.dumps(said).encode()
    connection.sendall(_LENGTH.pack(len(text)) + text)


def receive(connection: socket.socket) -> dict[str, Any] | None:
    """One message; none if the other end has gone.

    Raises:
        ValueError: it is no message.
    """
    try:
        (length,) = _LENGTH.unpack(receive_bytes(connection, _LENGTH.size))
        if length > _MOST_HEAD_BYTES:
            raise ValueError(f"a message of {length} bytes")
        said: dict[str, Any] = json.loads(bytes(receive_bytes(connection, length)))
    except EOFError:
        return None
    return said


def receive_bytes(connection: socket.socket, size: int) -> bytearray:
    """Exactly so many bytes.

    Raises:
        EOFError: the other end has gone before.
    """
    data = bytearray(size)
    left = memoryview(data)
    while left:
        if not (count := connection.recv_into(left)):
            raise EOFError
        left = left[count:]
    return data


def _die_with(parent: int) -> None:
    if sys.platform == "linux":  # elsewhere a reader ends with its task, at the latest when its time is up
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()


def _limit(memory_bytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the pool ends its readers
    for limit, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def _limit_time(timeout_s: float) -> None:
    """From now on, on the clock and of the processor; the system ends us by a signal that nothing here handles."""
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    used = resource.getrusage(resource.RUSAGE_SELF)
    most_s = math.ceil(used.ru_utime + used.ru_stime + timeout_s)
    resource.setrlimit(resource.RLIMIT_CPU, (most_s, resource.RLIM_INFINITY))


def _read(source: int, asked: dict[str, Any]) -> tuple[dict[str, Any], memoryview]:
    """What to say, and the samples."""
    options = {name: asked[name] for name in ("filename", "rate_hz", "unit", "columns")}
    try:
        recording = read_recording(Path(f"/dev/fd/{source}"), **options)
    except DataError as refused:
        return {"refused": str(refused), **problem_fields(refused)}, memoryview(b"")
    except MemoryError:
        return {"failed": OUT_OF_MEMORY}, memoryview(b"")
    except Exception as fault:  # noqa: BLE001 - a fault of the parser, which the pool reports as one
        return {"failed": f"{type(fault).__name__}: {fault}"}, memoryview(b"")
    values = np.ascontiguousarray(recording.values_g)
    return {"recording": _described(recording), "samples": len(values)}, values.data.cast("B")


def _described(recording: SensorRecording) -> dict[str, Any]:
    return {field.name: getattr(recording, field.name) for field in fields(recording) if field.name != "values_g"}


if __name__ == "__main__":
    main(sys.argv[1:])
