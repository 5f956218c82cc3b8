"""States of datasets, jobs, runs and sweeps, and the one pure table of how they change."""

from collections.abc import Collection, Mapping
from enum import StrEnum

from store.errors import IllegalTransition


class DatasetState(StrEnum):
    """Where an import stands."""

    VALIDATING = "validating"  # waits for a worker or is being read by one
    READY = "ready"
    FAILED = "failed"


class JobState(StrEnum):
    """Where a job stands; it follows from its runs, except for what its user asked."""

    VALIDATING = "validating"  # its dataset is still being imported; it has no runs yet
    QUEUED = "queued"  # no run has started since it was submitted, resumed or retried
    RUNNING = "running"
    RETRYING = "retrying"  # a run lost its worker and waits for another, and none is running
    PAUSING = "pausing"  # asked to pause; a run has not stopped yet
    PAUSED = "paused"
    CANCELLING = "cancelling"  # asked to cancel; a run has not stopped yet
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RunState(StrEnum):
    """Where one run (a seed on a fold) stands."""

    QUEUED = "queued"
    RUNNING = "running"  # a worker holds its lease
    RETRYING = "retrying"  # its worker was lost; it waits like a queued one
    PAUSED = "paused"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class SweepState(StrEnum):
    """Where a sweep stands; it follows from its trials, except for being cancelled."""

    QUEUED = "queued"  # no trial has started
    RUNNING = "running"
    CANCELLING = "cancelling"  # no trial is added, and one has not stopped yet
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"  # all trials have ended, and at least one well
    FAILED = "failed"  # all trials have ended, and none well


class ClassificationState(StrEnum):
    """Where the labelling of a long recording stands."""

    QUEUED = "queued"
    RUNNING = "running"  # a worker holds its lease
    CANCELLING = "cancelling"  # asked to cancel; its worker has not stopped yet
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Wanted(StrEnum):
    """What the user wants of a run; a running one sees it within a second."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


class FailureCause(StrEnum):
    """Why a job, a run, an import or the labelling of a recording failed."""

    USER_ERROR = "user_error"  # the spec asks for what cannot be done
    DATA = "data"  # the dataset is unusable for it
    OUT_OF_MEMORY = "out_of_memory"
    NAN_LOSS = "nan_loss"
    WORKER_LOST = "worker_lost"  # workers died too often without progress
    TIMEOUT = "timeout"
    QUOTA = "quota"  # its tenant may not store that much
    INTERNAL = "internal"  # a fault of this software


class RunEvent(StrEnum):
    """What can happen to a run, as the verb that an error message shows."""

    CLAIM = "start"
    HAND_BACK = "be handed back"
    EXPIRE = "lose its worker"
    SUCCEED = "succeed"
    FAIL = "fail"
    STOP_PAUSED = "pause"
    STOP_CANCELLED = "cancel"
    RESUME = "resume"
    RETRY = "retry"


class JobEvent(StrEnum):
    """What a user can ask of a job, as the verb that an error message shows."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"


_RUN: dict[tuple[RunState, RunEvent], RunState] = {
    (RunState.QUEUED, RunEvent.CLAIM): RunState.RUNNING,
    (RunState.RETRYING, RunEvent.CLAIM): RunState.RUNNING,
    (RunState.RUNNING, RunEvent.HAND_BACK): RunState.QUEUED,
    (RunState.RUNNING, RunEvent.EXPIRE): RunState.RETRYING,
    (RunState.RUNNING, RunEvent.SUCCEED): RunState.SUCCEEDED,
    (RunState.RUNNING, RunEvent.FAIL): RunState.FAILED,
    (RunState.QUEUED, RunEvent.STOP_PAUSED): RunState.PAUSED,
    (RunState.RETRYING, RunEvent.STOP_PAUSED): RunState.PAUSED,
    (RunState.RUNNING, RunEvent.STOP_PAUSED): RunState.PAUSED,
    (RunState.QUEUED, RunEvent.STOP_CANCELLED): RunState.CANCELLED,
    (RunState.RETRYING, RunEvent.STOP_CANCELLED): RunState.CANCELLED,
    (RunState.RUNNING, RunEvent.STOP_CANCELLED): RunState.CANCELLED,
    (RunState.PAUSED, RunEvent.STOP_CANCELLED): RunState.CANCELLED,
    (RunState.PAUSED, RunEvent.RESUME): RunState.QUEUED,
    (RunState.FAILED, RunEvent.RETRY): RunState.QUEUED,
}

# What the job shows at once; `job_state` then settles it from its runs (cancelling with nothing running is cancelled).
_JOB: dict[tuple[JobState, JobEvent], JobState] = {
    (JobState.VALIDATING, JobEvent.CANCEL): JobState.CANCELLED,
    (JobState.QUEUED, JobEvent.CANCEL): JobState.CANCELLING,
    (JobState.RUNNING, JobEvent.CANCEL): JobState.CANCELLING,
    (JobState.RETRYING, JobEvent.CANCEL): JobState.CANCELLING,
    (JobState.PAUSING, JobEvent.CANCEL): JobState.CANCELLING,
    (JobState.PAUSED, JobEvent.CANCEL): JobState.CANCELLING,
    (JobState.QUEUED, JobEvent.PAUSE): JobState.PAUSING,
    (JobState.RUNNING, JobEvent.PAUSE): JobState.PAUSING,
    (JobState.RETRYING, JobEvent.PAUSE): JobState.PAUSING,
    (JobState.PAUSED, JobEvent.RESUME): JobState.QUEUED,
    (JobState.PAUSING, JobEvent.RESUME): JobState.RUNNING,
    (JobState.FAILED, JobEvent.RETRY): JobState.QUEUED,
}

ENDED_RUN = frozenset({RunState.CANCELLED, RunState.SUCCEEDED, RunState.FAILED})
ENDED_JOB = frozenset({JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED})
ENDED_SWEEP = frozenset({SweepState.CANCELLED, SweepState.SUCCEEDED, SweepState.FAILED})
ENDED_CLASSIFICATION = frozenset(
    {ClassificationState.CANCELLED, ClassificationState.SUCCEEDED, ClassificationState.FAILED}
)
CLAIMABLE = frozenset({RunState.QUEUED, RunState.RETRYING})


def possible(state: JobState) -> frozenset[JobEvent]:
    """What a user can ask of a job in that state."""
    return frozenset(event for before, event in _JOB if before is state)


def next_run_state(state: RunState, event: RunEvent) -> RunState:
    """The state after `event`.

    Raises:
        IllegalTransition: the table has no such step.
    """
    try:
        return _RUN[state, event]
    except KeyError:
        raise IllegalTransition("run", state, event) from None


def next_job_state(state: JobState, event: JobEvent) -> JobState:
    """The state a job shows once its user has asked for `event`.

    Raises:
        IllegalTransition: the table has no such step.
    """
    try:
        return _JOB[state, event]
    except KeyError:
        raise IllegalTransition("job", state, event) from None


def run_states_before(event: RunEvent) -> frozenset[RunState]:
    """The states in which `event` may happen: the condition of its UPDATE."""
    return frozenset(state for state, possible in _RUN if possible is event)


def job_state(current: JobState, runs: Collection[RunState]) -> JobState:
    """A job's state from those of its runs and from what its user asked of it; without runs it is as it is.

    Invariant: a job with runs has ended exactly when each of its runs has ended.
    """
    if not runs:
        return current
    if ENDED_RUN.issuperset(runs):
        return _ended(current, runs)
    if current is JobState.CANCELLING:
        return current
    if RunState.RUNNING in runs:
        return JobState.PAUSING if current is JobState.PAUSING else JobState.RUNNING
    if RunState.PAUSED in runs:
        return JobState.PAUSED
    if RunState.RETRYING in runs:
        return JobState.RETRYING
    # Between two of its runs a job that has started counts as running.
    return JobState.QUEUED if current is JobState.QUEUED else JobState.RUNNING


def _ended(current: JobState, runs: Collection[RunState]) -> JobState:
    if current in {JobState.CANCELLING, JobState.CANCELLED} or RunState.CANCELLED in runs:
        return JobState.CANCELLED
    return JobState.FAILED if RunState.FAILED in runs else JobState.SUCCEEDED


def sweep_state(trials: Mapping[JobState, int], *, to_come: int, cancelled: bool) -> SweepState:
    """A sweep's state from how many of its trials are in which state, and how many are still to be proposed."""
    under_way = trials.keys() - ENDED_JOB
    if cancelled:
        return SweepState.CANCELLING if under_way else SweepState.CANCELLED
    if trials.keys() <= {JobState.VALIDATING, JobState.QUEUED}:
        return SweepState.QUEUED
    if to_come or under_way:
        return SweepState.RUNNING
    return SweepState.SUCCEEDED if JobState.SUCCEEDED in trials else SweepState.FAILED
