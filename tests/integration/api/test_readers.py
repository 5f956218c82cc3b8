"""Recordings are read by processes with limits: what a limit ends is refused, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import psutil
import pytest

from api import readers as pool
from api.errors import Refusal
from api.readers import ReaderLimits, Readers
from pskd_core.data.recordings import SensorRecording, read_recording
from pskd_core.errors import DataError
from tests.unit.data import loggers
from tests.unit.data.uploads import VALUES, npy, table, times

GENEROUS = ReaderLimits(memory_bytes=2**31, timeout_s=60)
ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def opened(limits: ReaderLimits) -> Iterator[Readers]:
    """A pool of one."""
    readers = Readers(1, limits)
    try:
        yield readers
    finally:
        readers.close()


@pytest.fixture
def readers() -> Iterator[Readers]:
    """One reader with what it has in production."""
    with opened(GENEROUS) as readers:
        yield readers


def read(readers: Readers, data: bytes, filename: str | None = None) -> SensorRecording:
    with readers.reader() as reader, TemporaryFile() as file:
        file.write(data)
        return reader.read(file, filename=filename, rate_hz=50, unit=None)


def said(refused: DataError) -> tuple[str, str | None, int | None, str | None]:
    return str(refused), refused.file, refused.row, refused.column


def family() -> set[int]:
    """Processes that this one has started."""
    return {child.pid for child in psutil.Process().children() if "api.reader" in child.cmdline()}


def test_a_reader_understands_what_the_core_does(readers: Readers) -> None:
    """Every field of the recording and every refusal comes back as it was, samples bit for bit."""
    data = table({"time": times(), "x (g)": ["0.5"] * 100, "y (g)": ["0.5"] * 100, "z (g)": ["0.5"] * 100})
    there, here = read(readers, data, "a.csv"), read_recording(data, filename="a.csv", rate_hz=50)
    assert there.values_g.tobytes() == here.values_g.tobytes()
    rest = [name for name in SensorRecording.__slots__ if name != "values_g"]
    assert [getattr(there, name) for name in rest] == [getattr(here, name) for name in rest]
    bad = table({"x": ["0.5"] * 99 + ["oops"], "y": ["1"] * 100, "z": ["1"] * 100})
    with pytest.raises(DataError) as refused_there:
        read(readers, bad, "b.csv")
    with pytest.raises(DataError) as refused_here:
        read_recording(bad, filename="b.csv", rate_hz=50)
    assert said(refused_there.value) == said(refused_here.value)


@pytest.mark.parametrize("made", [loggers.axivity, loggers.geneactiv], ids=["cwa", "bin"])
def test_a_device_s_file_is_read_within_the_limits(made: Callable[[], bytes]) -> None:
    """Their library wants a file and gets one, in a process that can write none and has a fifth of the usual memory."""
    with opened(ReaderLimits(memory_bytes=400 * 2**20, timeout_s=60)) as readers:
        there = read(readers, made())
        here = read_recording(made(), rate_hz=50)
        assert there.format == here.format
        assert there.values_g.tobytes() == here.values_g.tobytes()


def test_one_process_reads_many_recordings_and_is_then_replaced(
    readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same process answers until it has been used often enough; its successor is another."""
    monkeypatch.setattr(pool, "_USES", 3)
    seen = []
    for _ in range(4):
        read(readers, npy(VALUES))
        with readers.reader() as reader:
            seen.append(reader._process.pid)
    assert len(set(seen[:2])) == 1
    assert len(set(seen)) == 2
    assert family() <= {seen[-1]}


def test_too_little_memory_is_the_file_s_fault_and_costs_one_process() -> None:
    """A text whose numbers take more than the limit is refused with limit and remedy; the next file is read."""
    large = b"x,y,z\n" + b"0,1,0\n" * 8_000_000
    with opened(ReaderLimits(memory_bytes=300 * 2**20, timeout_s=60)) as readers:
        with pytest.raises(
            DataError, match=r"large.csv: reading it takes more than 300 MiB of memory; cut the recording"
        ):
            read(readers, large, "large.csv")
        assert len(read(readers, npy(VALUES)).values_g) == len(VALUES)


def test_too_much_time_is_the_file_s_fault_and_costs_one_process() -> None:
    """A file that takes longer than allowed is refused with limit and remedy; the next one is read."""
    slow = b"x,y,z\n" + b"0,1,0\n" * 8_000_000
    with opened(ReaderLimits(memory_bytes=2**31, timeout_s=1)) as readers:
        with pytest.raises(DataError, match=r"slow.csv: reading it takes more than 1 s; cut the recording up"):
            read(readers, slow, "slow.csv")
        assert len(read(readers, npy(VALUES)).values_g) == len(VALUES)


@pytest.mark.parametrize(
    ("sent", "kind"), [(signal.SIGKILL, Refusal), (signal.SIGSEGV, DataError)], ids=["killed", "crashed"]
)
def test_a_reader_that_is_gone_is_replaced(readers: Readers, sent: signal.Signals, kind: type[Exception]) -> None:
    """A crash is the file's fault, being killed from outside is nobody's (503); the next recording is read."""
    with readers.reader() as reader, TemporaryFile() as file:
        os.kill(reader._process.pid, sent)
        with pytest.raises(kind):
            reader.read(file, filename=None, rate_hz=50, unit=None)
    assert len(read(readers, npy(VALUES)).values_g) == len(VALUES)


def test_who_finds_too_many_waiting_is_told_to_come_again(readers: Readers) -> None:
    """The queue is bounded: four requests wait for one reader, the next one is refused at once with 503."""
    with readers.reader():
        waiting = [threading.Thread(target=read, args=(readers, npy(VALUES))) for _ in range(4)]
        for thread in waiting:
            thread.start()
        deadline = time.monotonic() + 10
        while readers._waiting < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(Refusal) as refused:
            read(readers, npy(VALUES))
    for thread in waiting:
        thread.join()
    assert refused.value.status_code == 503


def test_a_closed_pool_leaves_no_process(readers: Readers) -> None:
    """Closing ends every reader, also one that was just being started."""
    read(readers, npy(VALUES))
    assert family()
    readers.close()
    assert family() == set()


def test_readers_have_few_rights(readers: Readers) -> None:
    """A reader writes no file, opens few, dumps no core, and knows nothing of the service's environment."""
    with readers.reader() as reader:
        process = psutil.Process(reader._process.pid)
        limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
        most = {line[:25].strip(): line[26:].split()[0] for line in limits[1:]}
        assert (most["Max file size"], most["Max core file size"], most["Max open files"]) == ("0", "0", "16")
        assert most["Max address space"] == str(GENEROUS.memory_bytes)
        assert {name for name in process.environ() if name.startswith("PSKD_") or "PASSWORD" in name} == set()


def test_readers_of_a_killed_service_end_at_once() -> None:
    """`kill -9` of the parent leaves neither an idle reader nor one at work."""
    with subprocess.Popen([sys.executable, "-c", _PARENT], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"busy\n"
        left = psutil.Process(parent.pid).children(recursive=True)
        assert len(left) == 2
        parent.kill()
    _, alive = psutil.wait_procs(left, timeout=5)
    assert alive == []


_PARENT = """
import tempfile, threading, time
from api.readers import ReaderLimits, Readers
readers = Readers(2, ReaderLimits(memory_bytes=2**31, timeout_s=60))
slow = b"x,y,z\\n" + b"0,1,0\\n" * 9_000_000
def read():
    with readers.reader() as reader, tempfile.TemporaryFile() as file:
        file.write(slow)
        reader.read(file, filename=None, rate_hz=50, unit=None)
with readers.reader():
    threading.Thread(target=read, daemon=True).start()
    time.sleep(2)
    print("busy", flush=True)
    time.sleep(60)
"""
