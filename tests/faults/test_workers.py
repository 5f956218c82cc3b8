"""Workers and runs that are killed or frozen: the run goes on elsewhere and ends as if nothing had happened."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from store.collect import collect
from store.models import Dataset
from store.models import Run as RunRow
from tests.faults import resume
from tests.faults.resume import Unbroken, run_process
from tests.integration.worker.stack import Stack, all_gone, children_of, running, small_spec, until

pytestmark = pytest.mark.timeout(400)  # four torch processes on a busy machine

TRAINING = {"epochs": 30, "batch_size": 16}
EPOCHS = 60  # teachers and student take turns


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    return resume.unbroken(tmp_path_factory.mktemp("unbroken"), small_spec(training=TRAINING))


@pytest.fixture
def stack(tmp_path: Path, postgresql_url: str, redis_url: str) -> Iterator[Stack]:
    with running(tmp_path / "home", database_url=postgresql_url, broker_url=redis_url) as started:
        started.start("worker.keeper")
        started.add_dataset()
        yield started


def assert_as_if_nothing_had_happened(stack: Stack, job_id: str, unbroken: Unbroken) -> RunRow:
    stack.wait_for_job(job_id, "succeeded", "failed")
    (run,) = stack.runs(job_id)
    assert resume.differences(stack, run, unbroken) == []
    events = stack.events(job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.data["epoch"] for event in events if event.kind == "run.epoch"] == list(range(EPOCHS))
    ends = [event for event in events if event.kind == "run.state" and event.data["state"] == "succeeded"]
    assert len(ends) == 1
    assert_only_the_last_checkpoint_is_kept(stack, run)
    return run


_OBJECTS_OF_A_CHECKPOINT = 3  # tensors, sidecar, and the list of both


def assert_only_the_last_checkpoint_is_kept(stack: Stack, run: RunRow) -> None:
    """Nothing that a row names is lost, and checkpoints do not pile up.

    First comes the object, then the row that names it: an attempt that is killed in between leaves the objects of one
    checkpoint that no row names, which a collection removes. What it was still writing has another name.
    """
    with stack.database.read() as session:
        tree = session.scalars(select(Dataset.tree_digest)).one()
    trees = [digest for digest in (tree, run.checkpoint_digest, run.bundle_digest) if digest]
    named = {file for digest in trees for file in stack.objects.list_tree(digest).values()}
    stored = {file.name for file in Path(stack.settings.object_store_url).glob("*/*") if file.name[0] != "."}
    expected = {*named, *trees, run.predictions_digest}
    assert expected <= stored
    assert len(stored - expected) <= (run.attempts - 1) * _OBJECTS_OF_A_CHECKPOINT
    collect(stack.database, stack.objects, grace_s=0.0)
    assert {each.digest for each in stack.objects.stored()} == expected


def owner(stack: Stack, run: RunRow) -> "subprocess.Popen[bytes]":
    """The worker process that holds the run."""
    assert run.worker is not None
    pid = int(run.worker.rpartition(":")[2])
    return next(process for process in stack.processes if process.pid == pid)


def test_a_killed_worker_leaves_a_run_that_ends_with_the_same_bits(stack: Stack, unbroken: Unbroken) -> None:
    """After `kill -9` the orphans end, another worker goes on from the checkpoint, and every metric and bit agrees."""
    stack.start("worker")
    stack.start("worker")
    job_id = stack.submit(training=TRAINING)
    first = owner(stack, stack.wait_for_epoch(job_id, 7))
    family = children_of(first)
    first.kill()
    first.wait()
    until(lambda: all_gone(family), within_s=15, what="the end of the orphans")
    assert stack.runs(job_id)[0].epoch < EPOCHS
    run = assert_as_if_nothing_had_happened(stack, job_id, unbroken)
    assert run.attempts == 2
    until(lambda: not list(stack.settings.scratch_dir.glob("*/*")), within_s=5, what="an empty scratch folder")


def test_a_killed_run_or_fork_server_is_survived_by_its_worker(stack: Stack, unbroken: Unbroken) -> None:
    """A run's process that dies costs an attempt, as does its fork server; the worker takes the run again."""
    worker = stack.start("worker")
    job_id = stack.submit(training=TRAINING)
    stack.wait_for_epoch(job_id, 3)
    run_process(worker.pid).kill()
    until(lambda: stack.runs(job_id)[0].attempts == 2, what="the second attempt")
    stack.wait_for_epoch(job_id, 20)
    orphan = run_process(worker.pid)
    psutil.Process(orphan.ppid()).kill()
    until(lambda: all_gone([orphan]), within_s=15, what="the end of the orphan")
    run = assert_as_if_nothing_had_happened(stack, job_id, unbroken)
    assert run.attempts >= 3  # a test's short lease may run out while the new fork server imports torch
    assert worker.poll() is None


def test_a_frozen_worker_finds_its_run_taken(stack: Stack, unbroken: Unbroken) -> None:
    """Worker and run stopped past the lease wake as strangers: they write nothing, end the run, and work on."""
    stack.start("worker")
    stack.start("worker")
    job_id = stack.submit(training=TRAINING)
    first = owner(stack, stack.wait_for_epoch(job_id, 5))
    frozen = run_process(first.pid)
    os.killpg(first.pid, signal.SIGSTOP)
    until(lambda: stack.runs(job_id)[0].attempts == 2, what="the second worker")
    second = owner(stack, stack.runs(job_id)[0])
    os.killpg(first.pid, signal.SIGCONT)
    until(lambda: all_gone([frozen]), within_s=15, what="the end of the frozen run")
    run = assert_as_if_nothing_had_happened(stack, job_id, unbroken)
    assert run.attempts == 2
    second.terminate()
    second.wait(20)
    following = stack.wait_for_epoch(stack.submit(), 1)
    assert owner(stack, following) is first


def test_a_run_without_steps_loses_its_lease(stack: Stack) -> None:
    """A run that hangs is killed although its supervisor lives, and is tried again."""
    worker = stack.start("worker", step_timeout_s=4.0)
    job_id = stack.submit(training={"epochs": 500, "batch_size": 16})
    stack.wait_for_epoch(job_id, 2)
    hanging = run_process(worker.pid)
    hanging.suspend()
    until(lambda: all_gone([hanging]), within_s=15, what="the end of the hanging run")
    assert worker.poll() is None
    until(lambda: stack.runs(job_id)[0].attempts == 2, what="the next attempt")
