"""A job from rows to results through Celery, and how it is stopped, on both databases."""

import hashlib
import signal
from pathlib import Path
from typing import Any

from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import plan_folds
from pskd_core.run import Run
from store import datasets, jobs
from store.lifecycle import RunState
from tests.integration.worker.stack import Stack, all_gone, children_of, points_of, small_spec, until
from tests.small import SMALL_SPEC, small_dataset

LONG: dict[str, Any] = {"training": {"epochs": 500, "batch_size": 16}}


def test_a_job_runs_to_its_end(service: Stack, tmp_path: Path) -> None:
    """A job that may come before its dataset trains every seed, and gives what the core gives without a service."""
    job_id = service.submit(seeds=[0, 1])
    service.wait_for_job(job_id, "succeeded", "failed")
    first, second = service.runs(job_id)
    assert [(run.state, run.epoch, run.epochs, run.attempts) for run in (first, second)] == [("succeeded", 6, 6, 1)] * 2

    data = small_dataset(tmp_path / "data")
    alone = Run(data, small_spec(), plan_folds(small_spec(), data.info, data.recordings)[0], 1)
    reports = list(alone.epochs())
    assert service.metrics(second.id) == points_of(reports)
    assert second.report is not None
    assert second.report["test"] == alone.finish().model_dump(mode="json")["test"]
    alone.save_predictions(tmp_path / "predictions.npz")
    assert second.predictions_digest == hashlib.sha256((tmp_path / "predictions.npz").read_bytes()).hexdigest()

    with service.database.read() as session:
        dataset = datasets.resolve(session, "made")
    assert dataset.tree_digest is not None
    assert Dataset.open(service.objects.get_tree(dataset.tree_digest)).digest == dataset.content_digest == data.digest
    assert second.bundle_digest is not None
    assert "model.onnx" in service.objects.list_tree(second.bundle_digest)
    epochs = [event.data for event in service.events(job_id) if event.kind == "run.epoch"]
    assert [(event["run_id"], event["epoch"]) for event in epochs] == [
        (run.id, epoch) for run in (first, second) for epoch in range(6)
    ]
    until(lambda: not list(service.settings.scratch_dir.glob("*/*")), within_s=5, what="an empty scratch folder")


def test_cancel_stops_a_run_within_seconds(service: Stack) -> None:
    """The run sees the wish at its next step; nothing of it is left, and its slot is free."""
    job_id = service.submit(**LONG)
    service.wait_for_epoch(job_id, 2)
    with service.database.write() as session:
        jobs.cancel(session, job_id)
    service.wait_for_job(job_id, "cancelled", within_s=5)
    (run,) = service.runs(job_id)
    assert run.state is RunState.CANCELLED
    assert run.result is None
    until(lambda: not list(service.settings.scratch_dir.glob("*/*")), within_s=5, what="an empty scratch folder")


def test_a_paused_run_goes_on_where_it_stopped(service: Stack) -> None:
    """Pausing writes a checkpoint at the epoch's end and counts as no attempt; no epoch is missing afterwards."""
    job_id = service.submit(training={"epochs": 15, "batch_size": 16})
    service.wait_for_epoch(job_id, 2)
    with service.database.write() as session:
        jobs.pause(session, job_id)
    service.wait_for_job(job_id, "paused")
    (run,) = service.runs(job_id)
    assert run.checkpoint_epoch == run.epoch
    assert 2 <= run.epoch < 30
    assert run.attempts == 0
    with service.database.write() as session:
        jobs.resume(session, job_id)
    service.wait_for_job(job_id, "succeeded")
    steps = [step for name, step in service.metrics(run.id) if name == "student/total"]
    assert sorted(steps) == list(range(1, 30, 2))


def test_a_dataset_without_what_a_waiting_job_needs_fails_the_job(sqlite_stack: Stack) -> None:
    """The job says which subjects are missing and never gets a run; the dataset is none the worse."""
    sqlite_stack.add_dataset()
    job_id = sqlite_stack.submit(protocol={"kind": "subjects", "train": ["1", "2"], "test": ["9"]})
    sqlite_stack.start("worker")
    sqlite_stack.start("worker.keeper")
    job = sqlite_stack.wait_for_job(job_id, "failed")
    assert job.cause == "data"
    assert job.detail is not None
    assert "subject 9" in job.detail
    assert sqlite_stack.runs(job_id) == []


def test_a_loss_that_is_not_finite_fails_the_run_with_term_and_step(service: Stack) -> None:
    """The cause is `nan_loss`, the detail names term and step, and no attempt is wasted on trying again."""
    method = {**SMALL_SPEC["method"], "loss": {"kind": "pskd", "alpha": 1e308}}
    job_id = service.submit(method=method)
    job = service.wait_for_job(job_id, "failed", "succeeded")
    assert job.cause == "nan_loss"
    assert job.detail is not None
    assert "of student is" in job.detail
    assert "at step" in job.detail
    assert service.runs(job_id)[0].attempts == 1


def test_sigterm_hands_the_run_back(sqlite_stack: Stack) -> None:
    """A worker that is asked to end checkpoints, gives its run back without counting an attempt, and leaves nothing."""
    worker = sqlite_stack.start("worker", checkpoint_every_s=3600)
    sqlite_stack.start("worker.keeper")
    sqlite_stack.add_dataset()
    job_id = sqlite_stack.submit(**LONG)
    sqlite_stack.wait_for_epoch(job_id, 2)
    family = children_of(worker)
    assert len(family) >= 3  # fork server, resource tracker, the run
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    (run,) = sqlite_stack.runs(job_id)
    assert (run.state, run.attempts, run.worker) == (RunState.QUEUED, 0, None)
    assert run.checkpoint_epoch == run.epoch
    until(lambda: all_gone(family), within_s=5, what="the end of the worker's family")
    assert not list(sqlite_stack.settings.scratch_dir.iterdir())
