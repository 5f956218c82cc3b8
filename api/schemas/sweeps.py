"""Sweeps, their trials, and what they say of the space, as answered."""

from collections.abc import Callable, Sequence
from datetime import datetime
from statistics import fmean
from typing import Any, Self

from pydantic import Field, JsonValue

from api.schemas.common import Out
from api.schemas.jobs import JobRequest
from pskd_core.config import JobSpec
from pskd_core.evaluation.metrics import spread
from pskd_core.sweep import Axis, Choices, Metric, Sweep, winner_spec
from store import sweeps
from store.lifecycle import ENDED_SWEEP, JobState, SweepState
from store.models import Sweep as SweepRow
from store.sweeps import Counts, Trial


class SweepRequest(Sweep):
    """A sweep; with `preset`, its fields are laid over the recipe of that name."""

    preset: str | None = None
    base: JobRequest
    space: dict[str, Axis] = Field(default={}, description="by path in the spec; may stay out if the preset has one")


class SweepEstimate(Out):
    """What a sweep would do; nothing was submitted."""

    spec: Sweep = Field(description="with the presets and all defaults filled in")
    dataset_id: str
    trials: int
    most_trials: int = Field(description="a sweep may have so many")
    runs: int | None = Field(description="of all trials; null while the dataset is being imported")


class TrialCounts(Out):
    """How many trials there are."""

    total: int
    to_come: int = Field(description="not proposed yet")
    states: dict[JobState, int]


class SweepSummary(Out):
    """A sweep in a list."""

    id: str
    name: str
    state: SweepState
    search: str
    metric: Metric
    dataset_id: str
    counts: TrialCounts
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, sweep: SweepRow, counts: Counts) -> Self:
        """A sweep with the states of its trials."""
        return cls(**_sweep_fields(sweep, counts))


class TrialScore(Out):
    """A trial's metric on the validation part, over its runs (seed × fold)."""

    mean: float
    sd: float | None = Field(description="standard deviation; null with one run")
    runs: int


class TrialCost(Out):
    """What a trial's student costs, and what the trial took."""

    parameters: int | None
    macs: int | None
    seconds: float = Field(description="sum over the runs that have ended")


class TrialOut(Out):
    """One trial: an ordinary job at one point of the space."""

    number: int = Field(description="from 1")
    parameters: dict[str, JsonValue]
    job_id: str | None = Field(description="null if the point made no valid job")
    state: JobState
    cause: str | None
    detail: str | None = Field(description="why it failed")
    score: TrialScore | None = Field(description="null until it has succeeded")
    cost: TrialCost

    @classmethod
    def of(cls, trial: Trial) -> Self:
        """A trial as it stands."""
        measured = trial.measured
        return cls(
            number=trial.number,
            parameters=dict(trial.parameters),
            job_id=trial.job_id,
            state=trial.state,
            cause=trial.cause,
            detail=trial.detail,
            score=_score(measured.scores) if trial.state is JobState.SUCCEEDED and measured.scores else None,
            cost=TrialCost(parameters=measured.parameters, macs=measured.macs, seconds=measured.seconds),
        )


def _score(scores: Sequence[float]) -> TrialScore:
    over_runs = spread(scores)
    return TrialScore(mean=over_runs.mean, sd=over_runs.sd, runs=len(scores))


class BestTrial(Out):
    """The trial with the highest mean so far; of equal ones the first."""

    number: int
    parameters: dict[str, JsonValue]
    score: TrialScore
    spec: JobSpec = Field(description="to be submitted: trains on all of the training part, and is tested")


class HeatMap(Out):
    """Two parameters against the metric; rows are `y`, columns `x`, and what was not tried is null."""

    x: str
    y: str
    x_values: tuple[JsonValue, ...]
    y_values: tuple[JsonValue, ...]
    mean: tuple[tuple[float | None, ...], ...] = Field(description="mean over all other parameters")
    best: tuple[tuple[float | None, ...], ...] = Field(description="best over all other parameters")


class SweepDetail(SweepSummary):
    """A sweep with all its trials."""

    spec: Sweep
    trials: tuple[TrialOut, ...]
    best: BestTrial | None = Field(description="null until a trial has succeeded")
    heat_map: HeatMap | None = Field(description="null with fewer than two parameters that have choices")


def sweep_detail(sweep: SweepRow, counts: Counts, trials: Sequence[Trial], axes: tuple[str, str] | None) -> SweepDetail:
    """A sweep with its trials, and the heat map over two of its parameters."""
    spec = sweeps.spec_of(sweep)
    shown = tuple(map(TrialOut.of, trials))
    return SweepDetail(
        **_sweep_fields(sweep, counts),
        spec=spec,
        trials=shown,
        best=_best(spec, shown),
        heat_map=_heat_map(spec, shown, *axes) if axes else None,
    )


def _sweep_fields(sweep: SweepRow, counts: Counts) -> dict[str, Any]:
    state = sweeps.state_of(sweep, counts)
    return {
        "id": sweep.id,
        "name": sweep.name,
        "state": state,
        "search": sweep.spec["search"]["kind"],
        "metric": sweep.spec["metric"],
        "dataset_id": sweep.dataset_id,
        "counts": TrialCounts(total=sweep.trials, to_come=sweep.trials - sweep.proposed, states=dict(counts.states)),
        "created_at": sweep.created_at,
        "finished_at": (counts.finished_at or sweep.cancelled_at) if state in ENDED_SWEEP else None,
    }


def _best(spec: Sweep, trials: Sequence[TrialOut]) -> BestTrial | None:
    scored = [(trial.score.mean, -trial.number, trial, trial.score) for trial in trials if trial.score is not None]
    if not scored:
        return None
    _, _, trial, score = max(scored, key=lambda each: each[:2])
    return BestTrial(
        number=trial.number, parameters=trial.parameters, score=score, spec=winner_spec(spec, trial.parameters)
    )


def _heat_map(spec: Sweep, trials: Sequence[TrialOut], x: str, y: str) -> HeatMap:
    axes = axes_of(spec)
    cells: dict[tuple[int, int], list[float]] = {}
    for trial in trials:
        if trial.score is not None:
            place = axes[y].place(trial.parameters[y]), axes[x].place(trial.parameters[x])
            cells.setdefault(place, []).append(trial.score.mean)

    def table(pool: Callable[[Sequence[float]], float]) -> tuple[tuple[float | None, ...], ...]:
        rows, columns = range(len(axes[y].choices)), range(len(axes[x].choices))
        return tuple(
            tuple(pool(cells[row, column]) if (row, column) in cells else None for column in columns) for row in rows
        )

    return HeatMap(x=x, y=y, x_values=axes[x].choices, y_values=axes[y].choices, mean=table(fmean), best=table(max))


def axes_of(spec: Sweep) -> dict[str, Choices]:
    """The parameters that a heat map may show: those with choices."""
    return {path: axis for path, axis in spec.space.items() if isinstance(axis, Choices)}
