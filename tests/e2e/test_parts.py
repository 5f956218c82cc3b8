"""Parts of a stack: started again when they die, gone when they are stopped."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from client.broker import Broker, ask, plan_broker
from client.parts import Kept, Part, how_it_ended
from client.ports import free_port
from tests.e2e.processes import alive, eventually
from tests.services import short_folder


class Kennel:
    """Keeps parts and remembers what was said about them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, list[str]()
        self.kept: list[Kept] = []

    def keep(self, *command: str, name: str = "part", folder: Path | None = None) -> Kept:
        """Start a part that runs `command`."""
        part = Part(name, command, folder or self.folder, dict(os.environ), lambda: True)
        self.kept.append(Kept(part, log=self.folder / f"{name}.log", lock=self.lock, say=self.said.append))
        return self.kept[-1]

    @property
    def lock(self) -> int:
        """Any open file."""
        return self._lock.fileno()

    def __enter__(self) -> Self:
        self._lock = tempfile.TemporaryFile()
        return self

    def __exit__(self, *_error: object) -> None:
        for kept in self.kept:
            kept.stop()
        self._lock.close()


@pytest.fixture
def kennel(tmp_path: Path) -> Iterator[Kennel]:
    with Kennel(tmp_path) as opened:
        yield opened


def test_killed_part_comes_back(kennel: Kennel) -> None:
    """A part killed with -9 is reported and started again, as a new process."""
    kept = kennel.keep("sleep", "300")
    first = kept.running.pid
    os.kill(first, signal.SIGKILL)
    assert eventually(kept.tend)
    assert kept.running.pid != first
    assert alive(kept.running.pid)
    assert kennel.said[0].startswith("part was killed by signal 9; starting it again in 0.5 s")
    assert kennel.said[1] == f"part is back (process {kept.running.pid})"


def test_pauses_grow_while_it_keeps_dying(kennel: Kennel) -> None:
    """A part that cannot run is tried again less and less often, and its log keeps every attempt."""
    kept = kennel.keep(sys.executable, "-c", "print('no'); raise SystemExit(3)")
    assert eventually(kept.tend)
    assert eventually(kept.tend)
    assert eventually(lambda: kept.tend() or len(kennel.said) == 5)
    pauses = [text.partition("again in ")[2].partition(" s")[0] for text in kennel.said if "again in" in text]
    assert pauses == ["0.5", "1", "2"]
    assert kennel.said[0].startswith("part ended with code 3")
    assert kept.log.read_text().count("no\n") == 3


def test_stopped_part_stays_stopped(kennel: Kennel) -> None:
    """Stopping ends the process and nothing brings it back."""
    kept = kennel.keep("sleep", "300")
    kept.stop()
    assert not alive(kept.running.pid)


def test_large_log_makes_room(kennel: Kennel) -> None:
    """A log that has grown large is put aside once, so that a disk is never filled by restarts."""
    log = kennel.folder / "part.log"
    log.write_bytes(b"x" * 10_000_001)
    kennel.keep("echo", "fresh")
    assert eventually(lambda: log.read_text() == "fresh\n")
    assert (kennel.folder / "part.log.1").stat().st_size == 10_000_001


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "ended with code 0"),
        (2, "ended with code 2"),
        (137, "was killed by signal 9"),
        (-9, "was killed by signal 9"),
    ],
)
def test_endings_in_words(code: int, words: str) -> None:
    """An exit code tells an end from a death, whether of the command or of its leash."""
    assert how_it_ended(code) == words


@pytest.mark.parametrize("padding", [0, 120], ids=["unix socket", "port with a password"])
def test_broker_keeps_its_state(kennel: Kennel, padding: int) -> None:
    """A broker killed with -9 comes back with what it held, also in a folder of an odd and very long name."""
    with short_folder("pskd ?*'\"ü ") as home:
        folder = home / ("x" * padding) if padding else home
        folder.mkdir(exist_ok=True)
        broker = plan_broker(folder, free_port=free_port())
        kept = kennel.keep(*broker.command, name="broker", folder=folder)
        assert eventually(broker.answers)
        assert answer_of(broker, "LPUSH queue message") == ":1"
        time.sleep(1.1)  # it writes its file every second
        os.kill(kept.running.pid, signal.SIGKILL)
        assert eventually(kept.tend)
        assert eventually(broker.answers)
        assert answer_of(broker, "LLEN queue") == ":1"
        assert bool(broker.password) == bool(padding)
        kept.stop()


def test_broker_refuses_without_its_password(kennel: Kennel) -> None:
    """On a port, whoever does not know the password gets nothing."""
    broker = plan_broker(Path("/tmp") / ("x" * 120), free_port=free_port())
    kennel.keep(*broker.command, name="broker")
    assert eventually(broker.answers)
    stranger = Broker(broker.folder, broker.command, broker.url, broker.address, password="guess")
    assert not stranger.answers()
    assert not Broker(broker.folder, broker.command, broker.url, broker.address, password=None).answers()


def answer_of(broker: Broker, command: str) -> str:
    with broker.connected() as connection:
        return ask(connection, command)
