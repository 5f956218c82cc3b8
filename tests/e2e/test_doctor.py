"""`pskd doctor` as its user meets it, of a stack that does not run and of a cluster; test_cli.py has one that runs."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client.ports import free_port
from tests.services import short_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
PSKD = [sys.executable, "-c", "from client.cli import app; app()"]
# Owns a home and is killed, as a stack that meets `kill -9` or a power cut.
KILLED = """
import os, signal, sys
from pathlib import Path
from client.home import owned, publish
with owned(Path(sys.argv[1])):
    publish(Path(sys.argv[1]), {"url": "http://127.0.0.1:1", "mlflow_url": "http://127.0.0.1:1", "parts": {}})
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def home(sqlite_template: Path) -> Iterator[Path]:
    """Of a stack that has run and was stopped in good order."""
    with short_folder("pskd-doctor-") as folder:
        shutil.copy(sqlite_template, folder / "pskd.db")
        (folder / "objects").mkdir()
        yield folder


def doctor(*options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    ports = {"PSKD_PORT": str(free_port()), "PSKD_MLFLOW_PORT": str(free_port())}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PSKD_")}
    command = [*PSKD, "doctor", *options]
    env = {**inherited, **ports, **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def failed(examined: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    """What failed according to --json; nothing exactly if the exit code is 0."""
    assert examined.returncode in {0, 1}, examined.stderr
    told = json.loads(examined.stdout)
    found = [check for check in told["checks"] if check["status"] == "fail"]
    assert all(check["remedy"] for check in found)
    assert (told["status"] == "fail") == bool(found) == bool(examined.returncode)
    return found


def test_a_stopped_stack_is_well_and_stays_as_it_is(home: Path) -> None:
    """Nothing is missing for its next start, nothing is started, and no file is made or changed."""
    before = {file: file.read_bytes() for file in home.rglob("*") if file.is_file()}
    examined = doctor("--home", str(home))
    assert examined.returncode == 0, examined.stdout
    assert "does not run" in examined.stdout
    assert "0 failed" in examined.stdout
    assert {file: file.read_bytes() for file in home.rglob("*") if file.is_file()} == before


def test_a_taken_port_is_named_with_who_holds_it(home: Path) -> None:
    """Another program on the service's port fails the start; doctor says which, and what to do."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (found,) = failed(doctor("--home", str(home), "--json", PSKD_PORT=str(port)))
    assert (found["check"], found["where"]) == ("port", f"127.0.0.1:{port}")
    assert f"process {os.getpid()} " in found["detail"]
    assert "--port 0" in found["remedy"]


def test_an_address_of_another_machine_is_named(home: Path) -> None:
    """Where nobody listens and nobody can, the address is what is wrong."""
    (found,) = failed(doctor("--home", str(home), "--json", PSKD_HOST="192.0.2.1"))
    assert found["where"].startswith("192.0.2.1:")
    assert "PSKD_HOST" in found["remedy"]


def test_a_killed_stack_is_told_from_one_that_runs(home: Path) -> None:
    """What it has left is named with the process that was killed, and is no failure, since the next start mends it."""
    killed = subprocess.Popen([sys.executable, "-c", KILLED, str(home)])
    killed.wait()
    told = json.loads(doctor("--home", str(home), "--json").stdout)
    (stack,) = [check for check in told["checks"] if check["check"] == "stack"]
    assert (told["status"], stack["status"]) == ("warn", "warn")
    assert f"process {killed.pid}" in stack["detail"]


def test_a_cluster_is_found_by_its_environment(postgresql_url: str, tmp_path: Path) -> None:
    """PSKD_DATABASE_URL decides; the broker and MLflow that are away fail by name, and no password is told."""
    away = free_port()
    examined = doctor(
        "--json",
        PSKD_HOME=str(tmp_path),
        PSKD_DATABASE_URL=postgresql_url,
        PSKD_BROKER_URL=f"redis://:not-to-be-told@127.0.0.1:{away}/0",
        PSKD_MLFLOW_URL=f"http://pskd:not-to-be-told@127.0.0.1:{away}",
        PSKD_OBJECT_STORE_URL=str(tmp_path),
        PSKD_SCRATCH_DIR=str(tmp_path / "scratch"),
    )
    assert [check["check"] for check in failed(examined)] == ["broker", "MLflow"]
    assert "not-to-be-told" not in examined.stdout + examined.stderr
    assert "home, cache, objects, scratch" in examined.stdout  # one disk here


def test_a_setting_that_is_wrong_is_named(home: Path) -> None:
    """Nothing can be looked at with settings that no process would start with; the value is not repeated."""
    (found,) = failed(doctor("--home", str(home), "--json", PSKD_READERS="s3cret"))
    assert (found["check"], found["where"]) == ("settings", "PSKD_READERS")
    assert "s3cret" not in json.dumps(found)


def test_packages_that_are_missing_are_told(home: Path, tmp_path: Path) -> None:
    """Where the server's packages cannot be loaded, the rest is examined and this is named with what to install."""
    broken = "raise ModuleNotFoundError(\"No module named 'alembic'\", name='alembic')"
    (tmp_path / "alembic.py").write_text(broken)
    (found,) = failed(doctor("--home", str(home), "--json", PYTHONPATH=str(tmp_path)))
    assert (found["check"], "alembic" in found["detail"]) == ("packages", True)
    assert "pskd[embedded]" in found["remedy"]
