"""Jobs: submit, read, and what their users ask of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session, defer

from pskd_core.config import JobSpec, configuration_hash
from store import claims, events, outbox, paging, traces, webhooks
from store.base import db_now, new_id
from store.errors import DatasetNotUsable, IllegalTransition, NotFound, QuotaExceeded
from store.lifecycle import (
    CLAIMABLE,
    DatasetState,
    FailureCause,
    JobEvent,
    JobState,
    RunEvent,
    RunState,
    Wanted,
    next_job_state,
    next_run_state,
)
from store.lookup import find_dataset
from store.models import BY_CLASS, TENANT, Dataset, Event, Job, Metric, Run
from store.paging import Page
from store.queues import queue_of
from store.settle import job_happening, lock, run_happening, settle


@dataclass(frozen=True)
class PlannedFold:
    """One training a seed: what `pskd_core.data.splits` plans, as far as the store needs it."""

    name: str
    n_test: int  # recordings tested; 0 means the fold yields no leaderboard result


# Past the session's bookkeeping, which costs as much again as the statement.
_NEW_EVENT = insert(Event)
_NEW_RUN = insert(Run).values(queued_at=db_now())

# Called with a ready dataset inside the transaction; raises ProtocolError, which then ends the submit.
Plan = Callable[[Dataset], Sequence[PlannedFold]]


def submit(session: Session, spec: JobSpec, *, plan: Plan, tenant: str = TENANT) -> Job:
    """Writes the job, and with a ready dataset its runs and their wakes; else it waits, `validating`, for the import.

    `spec.dataset` is the id or name of a dataset of the tenant.

    Raises:
        NotFound: no such dataset.
        DatasetNotUsable: its import failed.
    """
    # An import that ends meanwhile either waits for the commit and then sees this job, or is seen here as ended.
    dataset = find_dataset(session, spec.dataset or "", tenant=tenant, lock=True)
    if dataset.state is DatasetState.FAILED:
        raise DatasetNotUsable(f"the import of dataset {dataset.name!r} failed: {dataset.detail}")
    folds = plan(dataset) if dataset.state is DatasetState.READY else None
    job = Job(
        id=new_id("job"),
        tenant=tenant,
        name=spec.name,
        state=JobState.VALIDATING if folds is None else JobState.QUEUED,
        spec=spec.model_dump(mode="json"),
        configuration_hash=configuration_hash(spec),
        dataset_id=dataset.id,
        priority=spec.resources.priority,
        traceparent=traces.current(),
        event_seq=1,
    )
    session.add(job)
    session.flush()
    happening = job_happening(job)
    first = {"job_id": job.id, "seq": 1, "kind": happening.kind, "data": happening.data}
    session.connection().execute(_NEW_EVENT, first)
    if folds is not None:
        _fan_out(session, job, spec, folds)
    return job


def check_room(session: Session, *, adding: int, limit: int | None, tenant: str = TENANT) -> None:
    """Refuses more waiting jobs than `limit`; what others submit at this very moment is not counted.

    Raises:
        QuotaExceeded: with both figures.
    """
    if limit is None:
        return
    first = select(Job.id).where(text("job.state IN ('validating', 'queued')"), Job.tenant == tenant).limit(limit + 1)
    count = session.scalar(select(func.count()).select_from(first.subquery())) or 0
    if count + adding > limit:
        raise QuotaExceeded(
            f"{count} jobs wait already, and {adding} more would exceed the {limit} that may wait at once; "
            "cancel some, or submit again once some have started"
        )


def waiting(session: Session, dataset_id: str) -> Sequence[Job]:
    """Jobs that wait for this dataset's import, oldest first."""
    found = select(Job).where(Job.dataset_id == dataset_id, Job.state == JobState.VALIDATING).order_by(Job.id)
    return session.scalars(found).all()


def expand(session: Session, job: Job, folds: Sequence[PlannedFold]) -> Job:
    """Fans a validating job out to runs (seed × fold), queues them and wakes a worker for each.

    Invariant: a job that is validating no longer (cancelled, or expanded before) is left as it is.
    """
    job = lock(session, job.id)
    if job.state is JobState.VALIDATING:
        _fan_out(session, job, JobSpec.model_validate(job.spec), folds)
        job.state = JobState.QUEUED
        session.flush()
        events.append(session, job.id, job_happening(job))
    return job


def _fan_out(session: Session, job: Job, spec: JobSpec, folds: Sequence[PlannedFold]) -> None:
    device = spec.resources.device
    alike = {
        "tenant": job.tenant,
        "job_id": job.id,
        "rank": -job.priority,
        "device": device,
        "deadline_s": spec.resources.deadline_s,
    }
    rows = [
        {
            "seed": seed,
            "fold": fold.name,
            "fold_index": fold_index,
            "n_test": fold.n_test,
            "position": position,
            **alike,
        }
        for position, (seed, (fold_index, fold)) in enumerate(product(spec.seeds, enumerate(folds)))
    ]
    session.connection().execute(_NEW_RUN, rows)
    outbox.wake(session, queue_of(device), times=len(rows))


def fail(session: Session, job: Job, *, cause: FailureCause, detail: str) -> Job:
    """Ends a validating job whose dataset cannot serve it; one that is validating no longer is left as it is."""
    job = lock(session, job.id)
    if job.state is JobState.VALIDATING:
        job.state, job.cause, job.detail = JobState.FAILED, cause, detail
        job.finished_at = db_now()
        session.flush()
        events.append(session, job.id, job_happening(job))
        webhooks.announce(session, job)
    return job


def get(session: Session, job_id: str, *, tenant: str = TENANT) -> Job:
    """One job. Raises NotFound."""
    job = session.scalars(select(Job).where(Job.id == job_id, Job.tenant == tenant)).one_or_none()
    if job is None:
        raise NotFound("job", job_id)
    return job


def page(
    session: Session, *, tenant: str = TENANT, state: JobState | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Job]:
    """Jobs, newest first. Raises BadCursor."""
    wanted = select(Job).where(Job.tenant == tenant)
    if state is not None:
        wanted = wanted.where(Job.state == state)
    return paging.by_id(session, wanted, Job.id, {"list": "jobs", "state": state}, limit=limit, cursor=cursor)


def runs_of(session: Session, job_ids: Sequence[str]) -> Sequence[Run]:
    """The runs of these jobs in order of job and position, without their reports: one query for a page of jobs."""
    found = select(Run).where(Run.job_id.in_(job_ids)).order_by(Run.job_id, Run.position)
    return session.scalars(found.options(defer(Run.report, raiseload=True))).all()


def metrics(
    session: Session, job_id: str, *, names: Sequence[str] | None = None, by_class: bool = False
) -> Sequence[Metric]:
    """All curves of a job, in order of run, name and step: of all classes together, or of single ones."""
    of_classes = Metric.name.startswith(BY_CLASS, autoescape=True)
    found = select(Metric).join(Run, Run.id == Metric.run_id).where(Run.job_id == job_id)
    found = found.where(of_classes if by_class else ~of_classes)
    if names is not None:
        found = found.where(Metric.name.in_(names))
    return session.scalars(found.order_by(Run.position, Metric.name, Metric.step)).all()


def cancel(session: Session, job_id: str, *, tenant: str = TENANT) -> Job:
    """Cancels what waits at once and flags what runs; cancelling again changes nothing.

    Raises:
        IllegalTransition: the job has ended otherwise.
    """
    return _ask(session, job_id, tenant, JobEvent.CANCEL, done={JobState.CANCELLING, JobState.CANCELLED})


def pause(session: Session, job_id: str, *, tenant: str = TENANT) -> Job:
    """Pauses what waits at once and flags what runs, which checkpoints and stops; pausing again changes nothing.

    Raises:
        IllegalTransition: the job has ended or is being cancelled.
    """
    return _ask(session, job_id, tenant, JobEvent.PAUSE, done={JobState.PAUSING, JobState.PAUSED})


def resume(session: Session, job_id: str, *, tenant: str = TENANT) -> Job:
    """Queues paused runs again, which go on from their checkpoints, and lets go on what has not stopped yet.

    Raises:
        IllegalTransition: the job is neither paused nor pausing.
    """
    return _ask(session, job_id, tenant, JobEvent.RESUME, done=set())


def retry(session: Session, job_id: str, *, tenant: str = TENANT) -> Job:
    """Queues the failed runs of a failed job again; they go on from their checkpoints.

    Raises:
        IllegalTransition: the job has not failed, or failed before it had runs.
    """
    return _ask(session, job_id, tenant, JobEvent.RETRY, done=set())


def _ask(session: Session, job_id: str, tenant: str, asked: JobEvent, *, done: set[JobState]) -> Job:
    job, runs = _locked(session, job_id, tenant)
    if job.state in done:
        return job
    next_job_state(job.state, asked)
    changed = [run for run in runs if _tell(run, asked)]
    if asked is JobEvent.RETRY and not changed:
        raise IllegalTransition("job without runs", job.state, asked)
    for run in changed:
        if run.state is RunState.QUEUED:
            outbox.wake(session, queue_of(run.device))
        if run.tracking_id is not None:  # MLflow knows it, and no worker is there to tell
            outbox.add(session, "mlflow", run.id, {"op": "state", "state": run.state})
    return settle(session, job_id, *map(run_happening, changed), asked=asked)


def _locked(session: Session, job_id: str, tenant: str) -> tuple[Job, Sequence[Run]]:
    """The job and its runs, locked: runs first, as those who write runs do.

    A validating job has no runs, so it is locked alone; if it was expanded meanwhile, the lock finds no row.
    """
    fresh = {"populate_existing": True}
    if get(session, job_id, tenant=tenant).state is JobState.VALIDATING:
        alone = select(Job).where(Job.id == job_id, Job.state == JobState.VALIDATING).with_for_update(key_share=True)
        if job := session.scalars(alone, execution_options=fresh).one_or_none():
            return job, []
    ordered = select(Run).where(Run.job_id == job_id).order_by(Run.id).options(defer(Run.report, raiseload=True))
    runs = session.scalars(ordered.with_for_update(key_share=True), execution_options=fresh).all()
    return lock(session, job_id), runs


def _tell(run: Run, asked: JobEvent) -> bool:
    """Does to one run what its job's user asked; says whether its state changed."""
    match asked:
        case JobEvent.CANCEL if run.state in CLAIMABLE | {RunState.PAUSED}:
            _change(run, RunEvent.STOP_CANCELLED)
            run.finished_at = db_now()
        case JobEvent.PAUSE if run.state in CLAIMABLE:
            _change(run, RunEvent.STOP_PAUSED)
        case JobEvent.RESUME if run.state is RunState.PAUSED:
            _change(run, RunEvent.RESUME)
        case JobEvent.RETRY if run.state is RunState.FAILED:
            _change(run, RunEvent.RETRY)
            run.stalled_attempts, run.cause, run.detail, run.finished_at = 0, None, None, None
            run.ran_s = 0.0
        case _ if run.state is RunState.RUNNING:
            run.wanted = _WANTED[asked]
            return False
        case _:
            return False
    return True


_WANTED = {
    JobEvent.CANCEL: Wanted.CANCEL,
    JobEvent.PAUSE: Wanted.PAUSE,
    JobEvent.RESUME: Wanted.RUN,
    JobEvent.RETRY: Wanted.RUN,
}


def _change(run: Run, event: RunEvent) -> None:
    run.state = next_run_state(run.state, event)
    run.queued_at = db_now() if run.state is RunState.QUEUED else None
    claims.release(run)
    run.wanted = Wanted.RUN
