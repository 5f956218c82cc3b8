"""Runs that are killed at random points, and end bit for bit like one that nobody disturbed."""

import hashlib
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import select

from pskd_core.config import JobSpec
from pskd_core.data.splits import plan_folds
from pskd_core.run import Run
from store.lifecycle import ENDED_RUN
from store.migrate import upgrade
from store.models import Run as RunRow
from tests.integration.worker.stack import WAIT_S, Stack, points_of, running, small_spec
from tests.services import postgres, valkey
from tests.small import small_dataset

TRAINING = {"epochs": 6, "batch_size": 16}
EPOCHS = 12  # teachers and student take turns
_WORKERS = 2


@dataclass(frozen=True)
class Unbroken:
    """What a run leaves that nobody disturbed, computed without a service."""

    metrics: dict[tuple[str, int], float]
    predictions_digest: str
    weights_digest: str
    epoch_s: float  # how long one took


def unbroken(folder: Path, spec: JobSpec) -> Unbroken:
    """Of the first fold, with seed 0."""
    folder.mkdir(parents=True, exist_ok=True)
    data, began_at = small_dataset(folder / "data"), time.monotonic()
    run = Run(data, spec, plan_folds(spec, data.info, data.recordings)[0], 0)
    metrics = points_of(run.epochs())
    epoch_s = (time.monotonic() - began_at) / run.total_epochs
    run.save_predictions(folder / "predictions.npz")
    run.export(folder / "bundle")
    predictions, weights = folder / "predictions.npz", folder / "bundle" / "weights.safetensors"
    return Unbroken(metrics, _digest(predictions), _digest(weights), epoch_s)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def differences(stack: Stack, run: RunRow, expected: Unbroken) -> list[str]:
    """What of a run's end is not as it would be had nothing happened."""
    if run.state != "succeeded":
        return [f"{run.state}: {run.detail}"]
    metrics = stack.metrics(run.id)
    found = [
        f"{name} of epoch {step}"
        for name, step in sorted(metrics.keys() | expected.metrics.keys())
        if metrics.get((name, step)) != expected.metrics.get((name, step))
    ]
    if run.predictions_digest != expected.predictions_digest:
        found.append("predictions")
    if run.bundle_digest is None or (
        stack.objects.list_tree(run.bundle_digest)["weights.safetensors"] != expected.weights_digest
    ):
        found.append("weights")
    return found


def run_process(worker_pid: int) -> psutil.Process:
    """The child that trains: the one below the fork server."""
    return next(grandchild for child in psutil.Process(worker_pid).children() for grandchild in child.children())


@dataclass
class Victim:
    """A run, and the point at which it is to be killed."""

    epoch: int  # once so many are done; the last is followed by judging and exporting
    delay_s: float  # afterwards
    kill_at: float | None = None
    killed_epoch: int | None = None  # epochs done by then


def run(folder: Path, *, seed: int, points: int) -> dict[str, Any]:
    """Kills as many runs as there are points, each once, and compares each with the unbroken one."""
    began_at = time.monotonic()
    expected = unbroken(folder / "unbroken", small_spec(training=TRAINING))
    chance = random.Random(seed)  # noqa: S311 - repeatable
    kills: list[dict[str, Any]] = []
    with _installed(folder / "home") as stack:
        while len(kills) < points:
            # One that was too quick is no point, and another takes its place.
            drawn = [
                (chance.randint(0, EPOCHS), chance.uniform(0, expected.epoch_s)) for _ in range(points - len(kills))
            ]
            victims = {stack.submit(training=TRAINING): Victim(*each) for each in drawn}
            _kill_each(stack, victims)
            for job_id, victim in victims.items():
                (row,) = stack.runs(job_id)
                if victim.killed_epoch is not None and row.attempts > 1:
                    kill = {"after_epochs": victim.killed_epoch, "attempts": row.attempts}
                    kills.append({**kill, "differs_in": differences(stack, row, expected)})
    return {
        "points": points,
        "equal": sum(not kill["differs_in"] for kill in kills),
        "seconds": round(time.monotonic() - began_at, 1),
        "kills": kills,
    }


@contextmanager
def _installed(home: Path) -> Iterator[Stack]:
    with postgres() as database_url, valkey() as broker_url:
        upgrade(database_url)
        # Leases that a busy machine does not lose: here it is the kill that ends an attempt.
        with running(home, database_url=database_url, broker_url=broker_url, lease_s=20.0) as stack:
            for module in ("worker.keeper", *["worker"] * _WORKERS):
                stack.start(module)
            stack.add_dataset()
            yield stack


def _kill_each(stack: Stack, victims: Mapping[str, Victim]) -> None:
    """Until all have ended."""
    last_at, left = time.monotonic() + WAIT_S * len(victims), set(victims)
    while left:
        assert time.monotonic() < last_at, f"{len(left)} runs have not ended"
        time.sleep(0.01)
        with stack.database.read() as session:
            rows = session.scalars(select(RunRow).where(RunRow.job_id.in_(left))).all()
        for row in rows:
            if row.state in ENDED_RUN:
                left.remove(row.job_id)
            elif row.worker is not None and victims[row.job_id].killed_epoch is None:
                _kill_when_due(victims[row.job_id], row.worker, row.epoch)


def _kill_when_due(victim: Victim, worker: str, epoch: int) -> None:
    if victim.kill_at is None and epoch >= victim.epoch:
        victim.kill_at = time.monotonic() + victim.delay_s
    if victim.kill_at is not None and time.monotonic() >= victim.kill_at:
        with suppress(StopIteration, psutil.Error):  # it is about to begin, or has just ended
            run_process(int(worker.rpartition(":")[2])).kill()
            victim.killed_epoch = epoch
