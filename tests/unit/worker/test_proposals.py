"""Where a TPE sweep looks next: a function of what is stored, and the same as an unbroken study of Optuna."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import TPESampler

from pskd_core.seed import generator
from pskd_core.sweep import Point, Sweep, Tpe, parse_sweep
from store.lifecycle import JobState
from store.sweeps import Measured, Trial
from worker.proposals import next_point

BASE = {"preset": "demo", "dataset": "utd", "validation": {"kind": "inner_loso"}}
RATE, LOSS = "training.student.learning_rate", "method.loss"
LOSSES = [{"kind": "st"}, {"kind": "pskd", "gamma": 0}, {"kind": "at"}]
SPACE = {RATE: {"low": 1e-4, "high": 1e-1, "log": True}, LOSS: {"choices": LOSSES}}


def make(*, seed: int = 0, space: dict[str, Any] | None = None) -> Sweep:
    search = {"kind": "tpe", "trials": 40, "startup_trials": 5, "seed": seed}
    return parse_sweep({"base": BASE, "space": space or SPACE, "search": search})


def ended(number: int, point: Point, *scores: float, state: JobState = JobState.SUCCEEDED) -> Trial:
    return Trial(number, point, f"job_{number}", state, None, None, Measured(scores=scores))


def proposed(sweep: Sweep, trials: Sequence[Trial]) -> Point:
    assert isinstance(sweep.search, Tpe)
    return next_point(sweep, sweep.search, trials)


def history(sweep: Sweep, score: Callable[[Point], float], *, count: int) -> list[Trial]:
    """So many trials, one after another."""
    trials: list[Trial] = []
    for number in range(1, count + 1):
        point = proposed(sweep, trials)
        trials.append(ended(number, point, score(point)))
    return trials


def hill(point: Point) -> float:
    """Best at a rate of 0.01 with the second loss."""
    rate, loss = point[RATE], point[LOSS]
    assert isinstance(rate, float)
    return 1 - abs(rate - 0.01) - (0.0 if loss == LOSSES[1] else 0.5)


def test_a_proposal_follows_from_history_and_seed_alone() -> None:
    """Asked again, or after a trip through JSON, the next point is the same; another seed gives another."""
    sweep = make()
    trials = history(sweep, hill, count=12)
    stored = [ended(each.number, json.loads(json.dumps(each.parameters)), *each.measured.scores) for each in trials]
    again = Sweep.model_validate_json(sweep.model_dump_json())
    assert proposed(sweep, trials) == proposed(again, stored)
    assert proposed(make(seed=1), trials) != proposed(sweep, trials)


def test_a_rebuilt_study_proposes_what_an_unbroken_one_does() -> None:
    """Optuna's own loop of ask and tell, never taken down, arrives at the same points."""
    trials = history(make(seed=7), hill, count=15)
    study = optuna.create_study(direction="maximize")
    space = {RATE: FloatDistribution(1e-4, 1e-1, log=True), LOSS: CategoricalDistribution(range(3))}
    for trial in trials:
        seed = int(generator(7, "tpe", trial.number).integers(2**32))
        study.sampler = TPESampler(seed=seed, n_startup_trials=5)
        asked = study.ask(space)
        assert {RATE: asked.params[RATE], LOSS: LOSSES[asked.params[LOSS]]} == trial.parameters
        study.tell(asked, trial.measured.scores[0])


def test_it_learns_where_the_best_are() -> None:
    """After its first draws it looks near what did well: most of the rest have the best loss."""
    trials = history(make(), hill, count=40)
    assert sum(trial.parameters[LOSS] == LOSSES[1] for trial in trials[20:]) > 10
    assert max(trial.measured.scores[0] for trial in trials) > 0.995


def test_the_mean_over_runs_is_what_counts() -> None:
    """Seeds and folds of a trial are one value to the search."""
    sweep = make()
    trials = history(sweep, hill, count=8)
    spread_out = [
        ended(each.number, each.parameters, s - 0.1, s + 0.1) for each in trials for s in each.measured.scores
    ]
    assert proposed(sweep, spread_out) == proposed(sweep, trials)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_what_failed_teaches_nothing(state: JobState) -> None:
    """While fewer than the first draws have succeeded, the next is a free draw, whatever has failed."""
    sweep = make()
    failed = [ended(each.number, each.parameters, state=state) for each in history(sweep, hill, count=9)]
    worse = history(sweep, lambda point: -hill(point), count=9)
    other = [ended(each.number, each.parameters, state=state) for each in worse]
    assert proposed(sweep, failed) == proposed(sweep, other)


def test_what_is_under_way_is_known() -> None:
    """A trial without a score yet steers the next away, so that trials side by side do not repeat one another."""
    sweep = make()
    trials = history(sweep, hill, count=12)
    under_way = ended(13, proposed(sweep, trials), state=JobState.RUNNING)
    assert proposed(sweep, [*trials, under_way]) != under_way.parameters


def test_values_are_those_of_the_space() -> None:
    """Whole numbers are whole, choices come as they were written, and `true` is not `1`."""
    space = {
        "training.epochs": {"low": 2, "high": 9, "integer": True},
        "method.loss.soft_target.temperature_squared": {"choices": [True, False]},
        "method.loss.alpha": {"choices": [1, 0, 0.5]},
    }
    sweep = make(space=space)
    for trial in history(sweep, lambda _: 0.5, count=12):
        epochs, squared, alpha = trial.parameters.values()
        assert type(epochs) is int
        assert type(squared) is bool
        assert alpha in (1, 0, 0.5)
        assert type(alpha) is not bool
