"""Sweeps: their trials as ordinary jobs, and what these measured on the validation part."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pskd_core.config import JobSpec
from pskd_core.errors import DataError, SpecError
from pskd_core.sweep import Point, Tpe, in_sweep, planned_points, trial_spec
from pskd_core.sweep import Sweep as SweepSpec
from store import jobs, paging
from store.base import db_now
from store.errors import DatasetNotUsable, IllegalTransition, NotFound
from store.lifecycle import ENDED_JOB, ENDED_SWEEP, FailureCause, JobState, SweepState, sweep_state
from store.lookup import find_dataset
from store.models import TENANT, Job, Run, Sweep, SweepTrial
from store.paging import Page

PlanOf = Callable[[JobSpec], jobs.Plan]


@dataclass(frozen=True)
class Measured:
    """What the runs of one trial's job have measured and cost so far."""

    scores: Sequence[float] = ()  # of the sweep's metric, one a run that has succeeded
    parameters: int | None = None  # of the student
    macs: int | None = None
    seconds: float = 0.0  # of all runs that have ended


@dataclass(frozen=True)
class Trial:
    """One trial as it stands."""

    number: int
    parameters: Point
    job_id: str | None
    state: JobState
    cause: str | None
    detail: str | None
    measured: Measured


@dataclass(frozen=True)
class Counts:
    """How many trials of a sweep are in which state, and since when nothing more has happened."""

    states: Mapping[JobState, int] = field(default_factory=dict)
    finished_at: datetime | None = None


def create(session: Session, spec: SweepSpec, *, plan_of: PlanOf, tenant: str = TENANT) -> Sweep:
    """Writes the sweep and the jobs of all trials that are known from the start; the keeper proposes the others.

    Raises:
        NotFound: no such dataset.
        DatasetNotUsable: its import failed.
        SpecError: a trial names what the dataset does not have; pointers lead into the sweep.
        ProtocolError: subjects, trials or classes have no recording.
    """
    dataset = find_dataset(session, spec.base.dataset or "", tenant=tenant, lock=True)
    # By its id, since a name may be given to another dataset before the last trial.
    spec = spec.model_copy(update={"base": spec.base.model_copy(update={"dataset": dataset.id})})
    points = planned_points(spec)
    sweep = Sweep(
        tenant=tenant,
        name=spec.name,
        spec=spec.model_dump(mode="json"),
        dataset_id=dataset.id,
        trials=spec.trials,
        at_once=spec.search.at_once if isinstance(spec.search, Tpe) else spec.trials,
        proposed=len(points),
    )
    session.add(sweep)
    session.flush()
    for number, point in enumerate(points, start=1):
        try:
            _submit(session, sweep, number, point, plan_of)
        except SpecError as unfit:
            raise in_sweep(unfit, point) from unfit
    session.flush()
    return sweep


def propose(session: Session, sweep_id: str, number: int, point: Point, *, plan_of: PlanOf) -> bool:
    """Makes trial `number` at this point; false if it is not the next (any more), or the sweep ends without it.

    Invariant: the sweep's row is locked from the count to the commit, so of all who propose a number one succeeds,
    with one job. A trial that can be no job counts as failed.
    """
    counted = (
        update(Sweep)
        .where(
            Sweep.id == sweep_id,
            Sweep.proposed == number - 1,
            Sweep.trials >= number,
            Sweep.cancelled_at.is_(None),
        )
        .values(proposed=number)
        .returning(Sweep)
    )
    sweep = session.scalars(counted, execution_options={"synchronize_session": False}).one_or_none()
    if sweep is None:
        return False
    try:
        _submit(session, sweep, number, point, plan_of)
    except (SpecError, DataError, DatasetNotUsable) as unfit:  # nothing has been written of the job
        cause = FailureCause.USER_ERROR if isinstance(unfit, SpecError) else FailureCause.DATA
        session.add(
            SweepTrial(sweep_id=sweep.id, number=number, parameters=dict(point), cause=cause, detail=str(unfit))
        )
    session.flush()
    return True


def _submit(session: Session, sweep: Sweep, number: int, point: Point, plan_of: PlanOf) -> None:
    spec = trial_spec(spec_of(sweep), number, point)
    job = jobs.submit(session, spec, plan=plan_of(spec), tenant=sweep.tenant)
    session.add(SweepTrial(sweep_id=sweep.id, number=number, parameters=dict(point), job_id=job.id))


def spec_of(sweep: Sweep) -> SweepSpec:
    """The spec as it was submitted, with all defaults filled in."""
    return SweepSpec.model_validate(sweep.spec)


def of_waiting(session: Session, dataset_id: str) -> Mapping[str, Sweep]:
    """Of the jobs that wait for this dataset's import, those that are trials, by id, with their sweep."""
    found = (
        select(Job.id, Sweep)
        .join(SweepTrial, SweepTrial.job_id == Job.id)
        .join(Sweep, Sweep.id == SweepTrial.sweep_id)
        .where(Job.dataset_id == dataset_id, Job.state == JobState.VALIDATING)
    )
    return dict(session.execute(found).all())


def unsaturated(session: Session) -> Sequence[Sweep]:
    """Sweeps that may propose a trial, oldest first; whoever proposes looks again at the trials it starts from."""
    not_ended = (
        select(func.count())
        .select_from(SweepTrial)
        .join(Job, Job.id == SweepTrial.job_id)
        .where(SweepTrial.sweep_id == Sweep.id, Job.state.not_in(ENDED_JOB))
        .scalar_subquery()
    )
    may_propose = (Sweep.proposed < Sweep.trials) & Sweep.cancelled_at.is_(None) & (not_ended < Sweep.at_once)
    return session.scalars(select(Sweep).where(may_propose).order_by(Sweep.id)).all()


def get(session: Session, sweep_id: str, *, tenant: str = TENANT) -> Sweep:
    """One sweep. Raises NotFound."""
    sweep = session.scalars(select(Sweep).where(Sweep.id == sweep_id, Sweep.tenant == tenant)).one_or_none()
    if sweep is None:
        raise NotFound("sweep", sweep_id)
    return sweep


def page(session: Session, *, tenant: str = TENANT, limit: int = 50, cursor: str | None = None) -> Page[Sweep]:
    """Sweeps, newest first. Raises BadCursor."""
    of_tenant = select(Sweep).where(Sweep.tenant == tenant)
    return paging.by_id(session, of_tenant, Sweep.id, {"list": "sweeps"}, limit=limit, cursor=cursor)


def counts(session: Session, sweep_ids: Sequence[str]) -> Mapping[str, Counts]:
    """The trials of these sweeps by state: one query for a page of sweeps."""
    counted = (
        select(SweepTrial.sweep_id, Job.state, func.count(), func.max(Job.finished_at))
        .outerjoin(Job, Job.id == SweepTrial.job_id)
        .where(SweepTrial.sweep_id.in_(sweep_ids))
        .group_by(SweepTrial.sweep_id, Job.state)
    )
    found: dict[str, Counts] = {}
    for sweep_id, state, count, last in session.execute(counted):
        before = found.get(sweep_id, Counts())
        of_state = {**before.states, (key := state or JobState.FAILED): count + before.states.get(key, 0)}
        found[sweep_id] = Counts(of_state, max(filter(None, (last, before.finished_at)), default=None))
    return {sweep_id: found.get(sweep_id, Counts()) for sweep_id in sweep_ids}


def under_way(trials: Sequence[Trial]) -> int:
    """How many of these have not ended."""
    return sum(trial.state not in ENDED_JOB for trial in trials)


def state_of(sweep: Sweep, of_trials: Counts) -> SweepState:
    """Where the sweep stands."""
    to_come = sweep.trials - sweep.proposed
    return sweep_state(of_trials.states, to_come=to_come, cancelled=sweep.cancelled_at is not None)


def trials_of(session: Session, sweep: Sweep) -> list[Trial]:
    """All trials in order, with what they measured: two queries, however many trials and runs there are."""
    found = (
        select(SweepTrial, Job.state, Job.cause, Job.detail)
        .outerjoin(Job, Job.id == SweepTrial.job_id)
        .where(SweepTrial.sweep_id == sweep.id)
        .order_by(SweepTrial.number)
    )
    rows = session.execute(found).all()
    measured = _measured(session, sweep)  # after the states, so that a trial that has succeeded has all its scores
    return [
        Trial(
            number=trial.number,
            parameters=trial.parameters,
            job_id=trial.job_id,
            state=state or JobState.FAILED,
            cause=trial.cause or cause,
            detail=trial.detail or detail,
            measured=measured.get(trial.job_id, Measured()),
        )
        for trial, state, cause, detail in rows
    ]


def _measured(session: Session, sweep: Sweep) -> Mapping[str | None, Measured]:
    metric = spec_of(sweep).metric
    of_runs = (
        select(
            Run.job_id,
            Run.result["validation"],  # whole: SQLite rounds a number that it takes out by itself
            Run.result["parameters"],
            Run.result["macs"],
            Run.started_at,
            Run.finished_at,
        )
        .join(SweepTrial, SweepTrial.job_id == Run.job_id)
        .where(SweepTrial.sweep_id == sweep.id, Run.finished_at.is_not(None))
        .order_by(Run.job_id, Run.position)
    )
    found: dict[str | None, Measured] = {}
    for job_id, validation, parameters, macs, started_at, finished_at in session.execute(of_runs):
        before = found.get(job_id, Measured())
        found[job_id] = Measured(
            scores=(*before.scores, *([validation[metric]] if validation else ())),
            parameters=parameters or before.parameters,
            macs=macs or before.macs,
            seconds=before.seconds + _between(started_at, finished_at),
        )
    return found


def _between(started_at: datetime | None, finished_at: datetime) -> float:
    return (finished_at - started_at).total_seconds() if started_at is not None else 0.0


def cancel(session: Session, sweep_id: str, *, tenant: str = TENANT) -> Sweep:
    """Adds no more trials and cancels the jobs of those that have not ended; cancelling again changes nothing.

    Invariant: a trial that is being proposed either comes before, and is cancelled, or is not made. Jobs are locked in
    order, each after all its runs; who waits for a job holds one of its runs or takes jobs in order too, so no two wait
    for each other.

    Raises:
        NotFound: no such sweep.
        IllegalTransition: the sweep has ended otherwise.
    """
    locked = select(Sweep).where(Sweep.id == sweep_id, Sweep.tenant == tenant).with_for_update(key_share=True)
    sweep = session.scalars(locked, execution_options={"populate_existing": True}).one_or_none()
    if sweep is None:
        raise NotFound("sweep", sweep_id)
    if sweep.cancelled_at is not None:
        return sweep
    if (state := state_of(sweep, counts(session, [sweep_id])[sweep_id])) in ENDED_SWEEP:
        raise IllegalTransition("sweep", state, "cancel")
    sweep.cancelled_at = db_now()
    session.flush()
    of_sweep = select(Job.id).join(SweepTrial, SweepTrial.job_id == Job.id).where(SweepTrial.sweep_id == sweep_id)
    for job_id in session.scalars(of_sweep.where(Job.state.not_in(ENDED_JOB)).order_by(Job.id)).all():
        with suppress(IllegalTransition):  # it has ended meanwhile
            jobs.cancel(session, job_id, tenant=tenant)
    return sweep
