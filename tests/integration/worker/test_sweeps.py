"""Sweeps from rows to scores through a real worker and a real keeper, on both databases."""

from typing import Any

import numpy as np
from sqlalchemy import func, select

from pskd_core.sweep import Tpe, parse_sweep, winner_spec
from store import leaderboard, sweeps
from store.lifecycle import JobState, SweepState
from store.models import Model, Sweep
from tests.integration.worker.stack import Stack
from tests.small import SMALL_SPEC
from worker.proposals import next_point

BASE: dict[str, Any] = {
    **SMALL_SPEC,
    "dataset": "made",
    "protocol": {"kind": "subjects", "train": ["1", "2", "3"], "test": ["4"]},
    "validation": {"kind": "subjects", "subjects": ["3"]},
    "training": {"epochs": 1, "batch_size": 16},
}
N_VALIDATION = 12  # two trials of six classes by subject 3


def assert_test_part_untouched(stack: Stack, trials: list[sweeps.Trial]) -> None:
    """No trial has a test score, test predictions, a row in the leaderboard or a model."""
    for trial in trials:
        for run in stack.runs(trial.job_id or ""):
            assert run.result is not None
            assert run.report is not None
            assert run.result["test"] is run.report["test"] is None
            assert run.result["validation"]["n"] == N_VALIDATION
            assert {teacher["test"] for teacher in run.result["teachers"].values()} == {None}
            with np.load(stack.objects.get_file(run.predictions_digest or "")) as predictions:
                assert {name.partition("_")[0] for name in predictions.files} == {"validation"}
            assert not [name for name, _ in stack.metrics(run.id) if name.startswith("test")]
    with stack.database.read() as session:
        assert leaderboard.rows(session).items == []
        assert session.scalars(select(func.count()).select_from(Model)).one() == 0


def test_a_grid_trains_every_trial(service: Stack) -> None:
    """A grid that may come before its dataset trains every combination, seed by seed, and leaves the test part shut."""
    space = {
        "method.loss": {"choices": [{"kind": "pskd", "gamma": 0}, {"kind": "st"}]},
        "training.student.learning_rate": {"choices": [1e-3, 1e-2]},
    }
    sweep_id = service.submit_sweep(name="small", base={**BASE, "seeds": [0, 1]}, space=space)
    state, trials = service.wait_for_sweep(sweep_id)
    assert state is SweepState.SUCCEEDED, trials
    assert [len(trial.measured.scores) for trial in trials] == [2, 2, 2, 2]
    assert all(trial.measured.parameters and trial.measured.seconds > 0 for trial in trials)
    assert_test_part_untouched(service, trials)


def test_a_tpe_sweep_goes_on_trial_by_trial(service: Stack) -> None:
    """The keeper proposes each trial once the one before has ended; each is the one that the rows lead to."""
    space = {"training.student.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}
    search = {"kind": "tpe", "trials": 4, "startup_trials": 2, "seed": 1}
    sweep_id = service.submit_sweep(base=BASE, space=space, search=search, metric="macro_f1")
    state, trials = service.wait_for_sweep(sweep_id)
    assert (state, len(trials)) == (SweepState.SUCCEEDED, 4)
    assert_test_part_untouched(service, trials)
    with service.database.read() as session:
        spec = sweeps.spec_of(session.get_one(Sweep, sweep_id))
    assert isinstance(spec.search, Tpe)
    for number, trial in enumerate(trials):
        assert next_point(spec, spec.search, trials[:number]) == trial.parameters
    scores = [service.runs(trial.job_id or "")[0].result for trial in trials]
    assert [trial.measured.scores[0] for trial in trials] == [
        score["validation"]["macro_f1"] for score in scores if score
    ]


def test_a_cancelled_sweep_stops_what_runs(service: Stack) -> None:
    """The running trial stops within its grace, and no other follows."""
    long = {**BASE, "training": {"epochs": 500, "batch_size": 16}}
    space = {"training.student.learning_rate": {"low": 1e-4, "high": 1e-1}}
    sweep_id = service.submit_sweep(base=long, space=space, search={"kind": "tpe", "trials": 9})
    job_id = service.wait_for_trial(sweep_id).job_id or ""
    service.wait_for_epoch(job_id, 1)
    with service.database.write() as session:
        sweeps.cancel(session, sweep_id)
    state, trials = service.wait_for_sweep(sweep_id)
    assert (state, [trial.state for trial in trials]) == (SweepState.CANCELLED, [JobState.CANCELLED])


def test_the_winner_can_be_submitted(service: Stack) -> None:
    """The winning spec trains on the whole training part and is the first of the sweep's jobs to be tested."""
    fields = {"base": BASE, "space": {"feature_dim": {"choices": [8]}}}
    state, (trial,) = service.wait_for_sweep(service.submit_sweep(**fields))
    assert state is SweepState.SUCCEEDED
    winner = winner_spec(parse_sweep(fields), trial.parameters).model_dump(mode="json")
    job_id = service.submit(**winner)
    service.wait_for_job(job_id, "succeeded", "failed")
    (run,) = service.runs(job_id)
    assert run.result is not None
    assert (run.result["validation"], run.result["test"]["n"], run.result["train_n"]) == (None, 12, 36)
