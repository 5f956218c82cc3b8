"""Where a `tpe` sweep looks next: Optuna's sampler over a study that is rebuilt from our rows each time."""

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from pskd_core.evaluation.metrics import spread
from pskd_core.seed import generator
from pskd_core.sweep import Choices, Point, Range, Sweep, Tpe
from store.lifecycle import ENDED_JOB, JobState
from store.sweeps import Trial

optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell of every study in memory


def next_point(sweep: Sweep, search: Tpe, trials: Sequence[Trial]) -> Point:
    """The point of the trial after these; it depends on the arguments alone, so whoever asks again gets the same."""
    number = len(trials) + 1
    seed = int(generator(search.seed, "tpe", number).integers(2**32))
    sampler = TPESampler(seed=seed, n_startup_trials=search.startup_trials)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = {path: _distribution(axis) for path, axis in sweep.space.items()}
    study.add_trials([_told(sweep, space, trial) for trial in trials])
    asked = study.ask(space).params
    return {
        path: axis.choices[asked[path]] if isinstance(axis, Choices) else asked[path]
        for path, axis in sweep.space.items()
    }


def _distribution(axis: Choices | Range) -> BaseDistribution:
    match axis:
        case Choices(choices=choices):  # by their places, since a choice may be an object
            return CategoricalDistribution(range(len(choices)))
        case Range(low=low, high=high, log=log, integer=True):
            return IntDistribution(int(low), int(high), log=log)
        case Range(low=low, high=high, log=log):
            return FloatDistribution(low, high, log=log)
        case _ as never:
            assert_never(never)


def _told(sweep: Sweep, space: Mapping[str, BaseDistribution], trial: Trial) -> FrozenTrial:
    """A trial as the sampler knows it: what is under way repels others, what failed teaches nothing."""
    params: dict[str, Any] = {
        path: axis.place(trial.parameters[path]) if isinstance(axis, Choices) else trial.parameters[path]
        for path, axis in sweep.space.items()
    }
    if trial.state is JobState.SUCCEEDED and trial.measured.scores:
        value = spread(trial.measured.scores).mean
        return create_trial(params=params, distributions=dict(space), value=value)
    state = TrialState.FAIL if trial.state in ENDED_JOB else TrialState.RUNNING
    return create_trial(state=state, params=params, distributions=dict(space))
