"""A job's state follows from its runs, in the transaction that changes them."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from store import events, webhooks
from store.base import db_now
from store.errors import NotFound
from store.events import Happening
from store.lifecycle import ENDED_JOB, JobEvent, JobState, RunState, job_state, next_job_state
from store.models import Job, Run


def settle(session: Session, job_id: str, *happenings: Happening, asked: JobEvent | None = None) -> Job:
    """Sets the job's state from its runs (and from what its user `asked`) and adds the events, its own last.

    Invariant: takes the job's row lock, after which the states of all runs are read afresh; so of two runs that end
    at the same time the second to come here sees both. Nothing else may be locked afterwards.

    Raises:
        IllegalTransition: the job's state does not allow what was asked.
    """
    session.flush()
    job = lock(session, job_id)
    before = job.state
    current = next_job_state(before, asked) if asked else before
    states = session.scalars(select(Run.state).where(Run.job_id == job_id).distinct()).all()
    job.state = job_state(current, states)
    if job.state is not before:
        _mark_time(job)
        _mark_cause(session, job)
        happenings = (*happenings, job_happening(job))
    session.flush()
    events.append(session, job_id, *happenings)
    if job.state is not before:
        webhooks.announce(session, job)
    return job


def lock(session: Session, job_id: str) -> Job:
    """The job's row as it is now, locked until the commit. Raises NotFound: it was deleted meanwhile."""
    locked = select(Job).where(Job.id == job_id).with_for_update(key_share=True)
    job = session.scalars(locked, execution_options={"populate_existing": True}).one_or_none()
    if job is None:
        raise NotFound("job", job_id)
    return job


def job_happening(job: Job) -> Happening:
    """The event of a job that came into its state."""
    return Happening("job.state", {"state": job.state, **_why(job)})


def run_happening(run: Run) -> Happening:
    """The event of a run that came into its state."""
    return Happening("run.state", {**name_of(run), "state": run.state, "attempts": run.attempts, **_why(run)})


def name_of(run: Run) -> dict[str, Any]:
    """How events name a run."""
    return {"run_id": run.id, "seed": run.seed, "fold": run.fold}


def _why(row: Job | Run) -> dict[str, Any]:
    return {"cause": row.cause, "detail": row.detail} if row.cause else {}


def _mark_time(job: Job) -> None:
    if job.state is JobState.RUNNING and job.started_at is None:
        job.started_at = db_now()
    job.finished_at = db_now() if job.state in ENDED_JOB else None


def _mark_cause(session: Session, job: Job) -> None:
    """A failed job says what its first failed run says."""
    job.cause = job.detail = None
    if job.state is JobState.FAILED:
        failed = select(Run.cause, Run.detail).where(Run.job_id == job.id, Run.state == RunState.FAILED)
        job.cause, job.detail = session.execute(failed.order_by(Run.position).limit(1)).one()
