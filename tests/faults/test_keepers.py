"""Keepers that are killed at random while a sweep goes on: no trial is made twice, and none is lost."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from pskd_core.sweep import Tpe
from store import sweeps
from store.lifecycle import ENDED_SWEEP, SweepState
from store.models import Job, Sweep
from tests.integration.worker.stack import Stack, running
from tests.small import SMALL_SPEC
from worker.proposals import next_point

pytestmark = pytest.mark.timeout(400)

BASE = {
    **SMALL_SPEC,
    "dataset": "made",
    "method": {"kind": "none"},
    "validation": {"kind": "subjects", "subjects": ["3"]},
    "training": {"epochs": 1, "batch_size": 16},
}
TRIALS = 20
WITHIN_S = 300.0


@pytest.fixture
def stack(tmp_path: Path, postgresql_url: str, redis_url: str) -> Iterator[Stack]:
    with running(tmp_path / "home", database_url=postgresql_url, broker_url=redis_url) as started:
        yield started


def test_keepers_killed_at_random_make_each_trial_once(stack: Stack) -> None:
    """Two keepers of which one is always about to die make every trial of a sweep, each with one job and in order."""
    stack.start("worker")
    keepers = [stack.start("worker.keeper"), stack.start("worker.keeper")]
    stack.add_dataset()
    space = {"training.student.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}
    search = {"kind": "tpe", "trials": TRIALS, "startup_trials": 5}
    sweep_id = stack.submit_sweep(base=BASE, space=space, search=search)
    chance, killed, deadline = random.Random(0), 0, time.monotonic() + WITHIN_S  # noqa: S311 - repeatable
    while stack.sweep(sweep_id)[0] not in ENDED_SWEEP:
        assert time.monotonic() < deadline, stack.sweep(sweep_id)
        time.sleep(chance.uniform(2.0, 5.0))  # about as long as a keeper takes to start, so that most propose
        victim = keepers.pop(0)
        victim.kill()
        victim.wait()
        keepers.append(stack.start("worker.keeper"))
        killed += 1
    state, trials = stack.sweep(sweep_id)
    assert killed > 0
    assert (state, [trial.number for trial in trials]) == (SweepState.SUCCEEDED, list(range(1, TRIALS + 1)))
    with stack.database.read() as session:
        assert sorted(session.scalars(select(Job.id))) == sorted(trial.job_id or "" for trial in trials)
        spec = sweeps.spec_of(session.get_one(Sweep, sweep_id))
    assert isinstance(spec.search, Tpe)
    for number, trial in enumerate(trials):
        assert next_point(spec, spec.search, trials[:number]) == trial.parameters
