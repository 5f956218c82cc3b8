"""Which workers there are: each says every few seconds that it lives."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from store.base import db_now, upsert
from store.models import WorkerSeen


def seen(
    session: Session, name: str, *, queues: Sequence[str], device: str, devices: Sequence[str], runs_at_once: int
) -> None:
    """This worker lives, and serves these queues with so many runs side by side."""
    row = {
        "queues": list(queues),
        "device": device,
        "devices": list(devices),
        "runs_at_once": runs_at_once,
        "seen_at": db_now(),
        "stopped_at": None,
    }
    insert = upsert(session, WorkerSeen).values(name=name, started_at=db_now(), **row)
    session.execute(insert.on_conflict_do_update(index_elements=["name"], set_=row))


def stopped(session: Session, name: str) -> None:
    """This worker has ended in good order."""
    session.execute(update(WorkerSeen).where(WorkerSeen.name == name).values(stopped_at=db_now()))


def known(session: Session) -> Sequence[WorkerSeen]:
    """All workers that are remembered, the one seen last first."""
    return session.scalars(select(WorkerSeen).order_by(WorkerSeen.seen_at.desc(), WorkerSeen.name)).all()


def lives(worker: WorkerSeen, *, now: datetime, lease_s: float) -> bool:
    """Whether it has been heard of within a lease and has not said good-bye."""
    return worker.stopped_at is None and (now - worker.seen_at).total_seconds() < lease_s


def purge(session: Session, *, older_than_s: float) -> None:
    """Forgets workers that were not seen for so long."""
    session.execute(delete(WorkerSeen).where(WorkerSeen.seen_at < db_now(-older_than_s)))
