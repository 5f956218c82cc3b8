"""`pskd backup` and `pskd restore` as an operator meets them: a stack at work goes on in another home."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client.api import Client
from client.home import owner_of
from tests.e2e.processes import eventually
from tests.e2e.up import Up, pskd
from tests.services import short_folder
from tests.small import SMALL_SPEC

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SPLIT = {"kind": "subjects", "train": ["1", "2", "3"], "test": ["4"]}
# A device that lies on one side, then on another.
RECORDING = ("x,y,z\n" + "1,0,0\n" * 150 + "0,1,0\n" * 150).encode()
EVERY_EPOCH = {"PSKD_CHECKPOINT_EVERY_S": "0"}

LOAD = """
import mlflow, numpy, sys
champion = mlflow.MlflowClient().get_model_version_by_alias("small", "champion")
assert champion.tags["pskd.version"] == "2", "it does not know of the promotion yet"
model = mlflow.pyfunc.load_model("models:/small@champion")
print(model.predict(numpy.ones((1, 3, 32), numpy.float32))["probabilities"].tolist())
"""


@pytest.fixture
def homes() -> Iterator[tuple[Path, Path]]:
    """A home to be, and one that a backup is restored into."""
    with short_folder("pskd-here-") as here, short_folder("pskd-there-") as there:
        yield here, there


def test_an_installation_goes_on_in_another_home(homes: tuple[Path, Path], tmp_path: Path) -> None:
    """A backup made in mid-training, restored and started: results, models and MLflow are the same, and the run that
    was under way resumes and ends with the bits of the one that went on undisturbed.
    """
    here, there = homes
    file = tmp_path / "all.zip"
    with Up(here, **EVERY_EPOCH) as up, Client(up.address()) as service:
        train(service)
        loaded = served_by_mlflow(here)
        before = told(service)
        long = service.submit(spec(name="long", training={"epochs": 60, "batch_size": 16})).id
        epochs = (event for event in service.follow(long) if event.kind == "run.epoch")
        assert [next(epochs).data["epoch"] for _ in range(3)] == [0, 1, 2]
        assert pskd("backup", "--home", str(here), "--to", str(file)).returncode == 0
        assert service.job(long).state == "running"
        assert_refused(pskd("backup", "--home", str(here), "--to", str(file)), f"{file} is there already")
        assert_refused(pskd("restore", str(file), "--home", str(here)), f"already running in {here} at {up.address()}")
        assert service.wait(long).state == "succeeded"
        unbroken = left_by(service, long)
        assert up.end(signal.SIGINT)[0] == 0
    assert_refused(pskd("restore", str(damaged(file)), "--home", str(there)), "is damaged")
    assert pskd("restore", str(file), "--home", str(there)).returncode == 0
    with Up(there, **EVERY_EPOCH) as up, Client(up.address()) as service:
        assert told(service) == before
        assert served_by_mlflow(there) == loaded
        assert service.wait(long).state == "succeeded"
        assert [run.attempts for run in service.runs(long)] == [2]
        repeated = [event.data["epoch"] for event in service.events(long) if event.kind == "run.epoch"]
        assert (repeated.count(0), repeated.count(1)) == (1, 1)  # it did not begin afresh
        assert left_by(service, long) == unbroken


def spec(**fields: Any) -> dict[str, Any]:
    return {**SMALL_SPEC, "dataset": "small", "protocol": SPLIT, **fields}


def train(service: Client) -> None:
    """A dataset, a job that has ended, and the second of its students promoted."""
    made = service.import_synthetic("small", subjects=4, trials=2)
    service.wait_for_dataset(made.id, timeout_s=120)
    job = service.submit(spec(name="small", method={"kind": "none"}, seeds=[0, 1]))
    assert service.wait(job.id).state == "succeeded"
    service.promote("small", 2, force=True, reason="to be told from the first")


def told(service: Client) -> dict[str, Any]:
    """What users would miss."""
    (job,) = (each for each in service.jobs() if each.name == "small")
    return {
        "job": job,
        "dataset": service.find_dataset("small"),
        "rows": list(service.leaderboard(method="none")),
        "reports": [service.report(run.id) for run in service.runs(job.id)],
        "curves": service.metrics(job.id),
        "answer": service.classify("small", RECORDING, rate_hz=50.0),
        "history": list(service.history("small")),
    }


def left_by(service: Client, job_id: str) -> dict[str, Any]:
    """Everything that a job's run computed."""
    (run,) = service.runs(job_id)
    return {
        "curves": service.metrics(job_id),
        "report": service.report(run.id).report["test"],
        "predictions": hashlib.sha256(service.predictions(run.id)).hexdigest(),
        "answer": service.classify("long", RECORDING, rate_hz=50.0, version=1),
    }


def served_by_mlflow(home: Path) -> str:
    """What the promoted model says when MLflow is asked for it, once it knows it."""
    at = {"MLFLOW_TRACKING_URI": owner_of(home)["mlflow_url"], "MLFLOW_DISABLE_TELEMETRY": "true"}
    answers: list[str] = []

    def asked() -> bool:
        loading = subprocess.run(
            [sys.executable, "-c", LOAD], env={**os.environ, **at}, capture_output=True, text=True, check=False
        )
        answers.append(loading.stdout)
        return loading.returncode == 0

    assert eventually(asked, within_s=120)
    return answers[-1]


def damaged(file: Path) -> Path:
    """A copy of an archive with another byte in its midst."""
    copy = Path(shutil.copy(file, file.with_name("damaged.zip")))
    with copy.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        byte = opened.read(1)
        opened.seek(-1, os.SEEK_CUR)
        opened.write(bytes([byte[0] ^ 1]))
    return copy


def assert_refused(ended: "subprocess.CompletedProcess[str]", reason: str) -> None:
    assert ended.returncode == 1
    assert reason in ended.stderr
