"""Jobs, their runs and what these measured, as answered."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import Field

from api.schemas.common import Json, Out, Paged
from pskd_core.config import JobSpec
from pskd_core.training.schedule import epoch_plan
from store.base import present
from store.lifecycle import CLAIMABLE, JobState, RunState
from store.models import Event, Job, Run
from store.outlook import Outlook, seconds_left


class JobRequest(JobSpec):
    """A job spec; with `preset`, its fields are laid over the recipe of that name."""

    preset: str | None = None


class Progress(Out):
    """How far a job is, over all its runs."""

    runs: dict[RunState, int]
    epochs_done: int
    epochs: int
    fraction: float


class JobSummary(Out):
    """A job in a list."""

    id: str
    name: str
    state: JobState
    cause: str | None
    detail: str | None = Field(description="why it failed")
    dataset_id: str
    configuration_hash: str = Field(description="equal for equal specs, whatever their name, dataset and seeds")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: Progress | None = Field(description="null while the dataset is being imported")
    eta_s: float | None = Field(
        description="seconds to the end: epochs as long as those measured, after the runs ahead of it, on the slots "
        "that there are; null while one of these is not known, and in the answer to a submit"
    )
    warnings: tuple[str, ...] = Field(
        description="what keeps it from going on, such as that no worker serves its queue"
    )
    checkpoints_removed_at: datetime | None = Field(
        description="when retention removed some last; a retry then begins afresh. null: it never did"
    )
    curves_removed_at: datetime | None
    events_removed_at: datetime | None

    @classmethod
    def of(cls, job: Job, runs: Sequence[Run], outlook: Outlook) -> Self:
        """A job with its runs, seen in the light of what else there is to do."""
        return cls(**_job_fields(job, JobSpec.model_validate(job.spec), runs, outlook))


class JobDetail(JobSummary):
    """A job with its whole spec."""

    spec: JobSpec

    @classmethod
    def of(cls, job: Job, runs: Sequence[Run], outlook: Outlook) -> Self:
        """A job with its runs, seen in the light of what else there is to do."""
        spec = JobSpec.model_validate(job.spec)
        return cls(**_job_fields(job, spec, runs, outlook), spec=spec)

    @classmethod
    def accepted(cls, job: Job, spec: JobSpec, *, runs: int, warning: str | None) -> Self:
        """A job that was submitted just now: so many runs wait, and when they will end is told by a later look."""
        epochs = runs * len(epoch_plan(spec.method, epochs=spec.epochs))
        progress = Progress(runs={RunState.QUEUED: runs}, epochs_done=0, epochs=epochs, fraction=0.0) if runs else None
        warnings = () if warning is None or not runs else (warning,)
        return cls(**_own_fields(job), progress=progress, eta_s=None, warnings=warnings, spec=spec)


def _job_fields(job: Job, spec: JobSpec, runs: Sequence[Run], outlook: Outlook) -> dict[str, Any]:
    planned = len(epoch_plan(spec.method, epochs=spec.epochs))
    return _own_fields(job) | {
        "progress": _progress(planned, runs) if runs else None,
        "eta_s": seconds_left(outlook, job, runs, planned=planned),
        "warnings": _warnings(runs, outlook),
    }


def _own_fields(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "cause": job.cause,
        "detail": job.detail,
        "dataset_id": job.dataset_id,
        "configuration_hash": job.configuration_hash,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "checkpoints_removed_at": job.checkpoints_removed_at,
        "curves_removed_at": job.curves_removed_at,
        "events_removed_at": job.events_removed_at,
    }


def _progress(planned: int, runs: Sequence[Run]) -> Progress:
    done, total = sum(run.epoch for run in runs), planned * len(runs)
    return Progress(runs=Counter(run.state for run in runs), epochs_done=done, epochs=total, fraction=done / total)


def _warnings(runs: Sequence[Run], outlook: Outlook) -> tuple[str, ...]:
    """Of a job whose runs wait while no worker could take them."""
    waiting = next((run.device for run in runs if run.state in CLAIMABLE), None)
    unserved = outlook.unserved(waiting) if waiting is not None else None
    return () if unserved is None else (unserved,)


class PlannedRun(Out):
    """One fold that each seed trains."""

    fold: str
    train: int
    validation: int
    test: int
    steps: int = Field(description="optimisation steps over all networks")


class JobEstimate(Out):
    """What a job would do; nothing was submitted."""

    spec: JobSpec = Field(description="with the preset and all defaults filled in")
    configuration_hash: str
    dataset_id: str
    folds: tuple[PlannedRun, ...] | None = Field(description="null while the dataset is being imported")
    runs: int | None
    epochs: int = Field(description="of one run, over all its networks' phases")
    steps: int | None = Field(description="of all runs")


class RunOut(Out):
    """One training: a seed on a fold."""

    id: str
    job_id: str
    seed: int
    fold: str
    state: RunState
    epoch: int = Field(description="epochs done")
    epochs: int | None
    attempts: int
    cause: str | None
    detail: str | None = Field(description="why it failed")
    started_at: datetime | None
    finished_at: datetime | None
    result: Json | None = Field(description="scores of student and teachers, cost; null until it has succeeded")


class CheckpointOut(Out):
    """From what a run would go on."""

    epoch: int = Field(description="epochs that are done in it")
    size_bytes: int | None = Field(description="null: stored by an older version, and not measured yet")
    digest: str = Field(description="of its files")

    @classmethod
    def of(cls, run: Run) -> "CheckpointOut":
        """The one that a run has."""
        return cls(
            epoch=present(run.checkpoint_epoch), size_bytes=run.checkpoint_bytes, digest=present(run.checkpoint_digest)
        )


class RunReport(RunOut):
    """One run with everything that was measured."""

    report: Json = Field(description="confusion matrix, per-class and per-subject scores")


class EventOut(Out):
    """Something that happened to a job."""

    seq: int
    kind: str
    at: datetime
    data: Json

    @classmethod
    def of(cls, row: Event) -> Self:
        """An event as it was written."""
        return cls.model_validate(row)


class EventPage(Paged[EventOut]):
    """A page of what happened to a job."""

    removed_at: datetime | None = Field(description="when retention removed events last, the first ones first")


class RunCurves(Out):
    """The curves of one run; `values[i]` belongs to epoch `steps[i]`."""

    run_id: str
    seed: int
    fold: str
    curves: dict[str, "Curve"]


class Curve(Out):
    """One measured value over epochs."""

    steps: list[int]
    values: list[float]


class JobMetrics(Out):
    """Every curve of a job."""

    runs: tuple[RunCurves, ...]
    removed_at: datetime | None = Field(description="when retention removed curves last")
