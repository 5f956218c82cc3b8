"""`pskd up` as its user meets it: a process that starts everything and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client.api import Client
from client.home import owner_of
from tests.e2e.processes import alive, descendants, eventually, naming
from tests.e2e.up import PSKD, Up, pskd
from tests.services import short_folder
from tests.small import SMALL_SPEC

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
PARTS = {"broker", "mlflow", "api", "worker", "keeper"}


@pytest.fixture
def home() -> Iterator[Path]:
    with short_folder("pskd-up-") as folder:
        yield folder


def train_for_long(service: Client) -> str:
    """A job that is in the midst of training."""
    made = service.import_synthetic("small", subjects=4, trials=2)
    service.wait_for_dataset(made.id, timeout_s=120)
    job = service.submit({**SMALL_SPEC, "dataset": "small", "training": {"epochs": 5000, "batch_size": 16}})
    next(event for event in service.follow(job.id) if event.kind == "run.epoch")
    return job.id


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_stop_leaves_nothing(home: Path, number: signal.Signals) -> None:
    """Ctrl-C and a closed terminal end every process in order, with exit code 0 and nothing to clean up."""
    with Up(home, "--json") as up:
        announced = json.loads(up.process.stdout.readline())  # type: ignore[union-attr]
        assert announced["url"] == up.address()
        family = descendants(up.process.pid)
        assert len(family) > 2 * len(PARTS)
        code, messages = up.end(number)
        assert code == 0, messages
        assert "everything has stopped" in messages
        assert "PSKD_DATABASE_URL is not used" in messages
        assert not any(map(alive, family))
        assert not (home / "broker" / "broker.sock").exists()
        assert owner_of(home) == {}


def test_kill_leaves_nothing(home: Path) -> None:
    """After kill -9 of `pskd up` in mid-training no process is left, and the next one goes on with the job."""
    with Up(home) as up:
        with Client(up.address()) as service:
            job_id = train_for_long(service)
        family = descendants(up.process.pid)
        up.process.kill()
        assert eventually(lambda: not any(map(alive, family)), within_s=60)
        assert up.has_ended_entirely()
    with Up(home) as up, Client(up.address()) as service:
        seen = [event.seq for event in _until_epoch(service, job_id, after=_last(service, job_id))]
        assert seen
        assert service.cancel(job_id).state in {"cancelling", "cancelled"}


def test_parts_come_back(home: Path) -> None:
    """A worker and an API killed with -9 are started again, which is said, and the job goes on."""
    with Up(home) as up:
        with Client(up.address()) as service:
            job_id = train_for_long(service)
            for name in ("worker", "api"):
                up.kill_part(name)
            assert _until_epoch(service, job_id, after=_last(service, job_id))
        code, messages = up.end(signal.SIGINT)
        assert code == 0
        assert "worker was killed by signal 9" in messages
        assert "api is back" in messages


def test_second_up_is_refused(home: Path) -> None:
    """A second `up` on the same home says where the first one is, and other commands find it by the home."""
    with Up(home) as up:
        url = up.address()
        second = pskd("up", "--home", str(home))
        assert second.returncode == 1
        assert url in second.stderr
        assert str(up.process.pid) in second.stderr
        found = subprocess.run([*PSKD, "jobs"], env=_only_home(home), capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        assert set(up.pids()) == PARTS


def test_early_stop_leaves_nothing(home: Path) -> None:
    """SIGTERM while things are starting stops what has started."""
    with Up(home) as up:
        assert eventually((home / "logs" / "broker.log").exists)
        code, messages = up.end(signal.SIGTERM)
        assert code == 0
        assert "stopped" in messages


def test_taken_port_is_named(home: Path) -> None:
    """A port that somebody else uses is refused before anything starts."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = pskd("up", "--home", str(home), "--port", str(port))
    assert refused.returncode == 1
    assert f"port {port}" in refused.stderr
    assert "--port 0" in refused.stderr
    assert not (home / "logs").exists()


def test_part_that_cannot_start_is_shown(home: Path) -> None:
    """A damaged database ends the start with the log's last lines, and everything else stops."""
    (home / "pskd.db").write_bytes(b"this is no database" * 100)
    refused = pskd("up", "--home", str(home), "--port", "0", "--mlflow-port", "0")
    assert refused.returncode == 1
    assert "migration" in refused.stderr
    assert "file is not a database" in refused.stderr
    assert eventually(lambda: not naming(home))


def _last(service: Client, job_id: str) -> int:
    """The number of the last event by now."""
    return max(event.seq for event in service.events(job_id))


def _until_epoch(service: Client, job_id: str, *, after: int) -> list[Any]:
    """The events up to the next epoch."""
    seen = []
    for event in service.follow(job_id, after=after):
        seen.append(event)
        if event.kind == "run.epoch":
            break
    return seen


def _only_home(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PSKD_URL"}
    return {**inherited, "PSKD_HOME": str(home)}
