"""What ended jobs leave behind and nobody needs for their results goes after a while, in small batches, and so do the
timelines of long recordings.

Results of jobs, reports, predictions and models are never touched. Each function removes a batch of what ended long
ago from id `start` on, and returns the id at which the next batch starts; none: that was all. Several keepers may call
them at once: each passes over what another has in its hands. The job says when something of it was removed last.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session, defer

from store.base import db_now
from store.lifecycle import ENDED_CLASSIFICATION, ENDED_JOB, ENDED_RUN
from store.models import Event, Job, Metric, Run
from store.timelines import Classification

_RUNS = 100
_EVENTS = 2000
_CLASSIFICATIONS = 100


def remove_checkpoints(session: Session, *, older_than_s: float, start: str) -> str | None:
    """Forgets checkpoints of runs, whose objects then go by collection; a retry of such a run begins afresh."""
    ended = (
        select(Run).join(Job, Job.id == Run.job_id).where(_ended_run(older_than_s), Run.checkpoint_digest.is_not(None))
    )
    locked = ended.where(Run.id >= start).order_by(Run.id).limit(_RUNS)
    locked = locked.options(defer(Run.report)).with_for_update(of=Run, skip_locked=True, key_share=True)
    found = session.scalars(locked, execution_options={"populate_existing": True}).all()
    for run in found:
        run.checkpoint_digest = run.checkpoint_bytes = run.checkpoint_epoch = None
    session.flush()
    for job_id in sorted({run.job_id for run in found}):  # after the runs and in order, as all who write both do
        _mark(session, job_id, Job.checkpoints_removed_at)
    return found[-1].id if found else None


def remove_curves(session: Session, *, older_than_s: float, start: str) -> str | None:
    """Deletes the curves of one run."""
    measured = exists().where(Metric.run_id == Run.id)
    first = select(Run.id, Run.job_id).join(Job, Job.id == Run.job_id).where(_ended_run(older_than_s), measured)
    locked = first.where(Run.id >= start).order_by(Run.id).limit(1)
    found = session.execute(locked.with_for_update(of=Run, skip_locked=True, key_share=True)).one_or_none()
    if found is None:
        return None
    run_id, job_id = found
    session.execute(delete(Metric).where(Metric.run_id == run_id))
    _mark(session, job_id, Job.curves_removed_at)
    return run_id


def remove_events(session: Session, *, older_than_s: float, start: str) -> str | None:
    """Deletes some of a job's events, the first ones first; later ones keep their numbers."""
    told = exists().where(Event.job_id == Job.id)
    first = select(Job.id).where(_ended(older_than_s), told, Job.id >= start).order_by(Job.id).limit(1)
    job_id = session.scalars(first.with_for_update(skip_locked=True, key_share=True)).one_or_none()
    if job_id is None:
        return None
    seq = session.scalars(select(func.min(Event.seq)).where(Event.job_id == job_id)).one()
    session.execute(delete(Event).where(Event.job_id == job_id, Event.seq < seq + _EVENTS))
    _mark(session, job_id, Job.events_removed_at)
    return job_id


def remove_classifications(session: Session, *, older_than_s: float, start: str) -> str | None:
    """Deletes classifications, whose files then go by collection."""
    ended = Classification.state.in_(ENDED_CLASSIFICATION) & (Classification.finished_at < db_now(-older_than_s))
    first = select(Classification.id).where(ended, Classification.id >= start).order_by(Classification.id)
    found = session.scalars(first.limit(_CLASSIFICATIONS).with_for_update(skip_locked=True)).all()
    session.execute(delete(Classification).where(Classification.id.in_(found)))
    return found[-1] if found else None


def _ended(older_than_s: float) -> ColumnElement[bool]:
    return Job.state.in_(ENDED_JOB) & (Job.finished_at < db_now(-older_than_s))


def _ended_run(older_than_s: float) -> ColumnElement[bool]:
    # Of the run as well: its row is the one that is locked, and so looked at again if a retry was faster.
    return _ended(older_than_s) & Run.state.in_(ENDED_RUN)


def _mark(session: Session, job_id: str, column: InstrumentedAttribute[datetime | None]) -> None:
    session.execute(update(Job).where(Job.id == job_id).values({column: db_now()}))
