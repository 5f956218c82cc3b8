"""Events of a job: rows numbered without gaps, which the event stream replays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from store.models import Event, Job

Kind = Literal["job.state", "run.state", "run.epoch", "warning"]


@dataclass(frozen=True)
class Happening:
    """An event that has no number yet."""

    kind: Kind
    data: dict[str, Any]


def append(session: Session, job_id: str, *happenings: Happening) -> None:
    """Adds events to a job, numbered in this order.

    Invariant: the number comes from the job's row, which stays locked until the commit, so that numbers are visible
    in their order; a database sequence would let 8 commit before 7, and a reader at 8 would never see 7. Everyone
    takes this lock last, after those of runs, so that two writers never wait for each other.
    """
    if not happenings:
        return
    count = len(happenings)
    counted = update(Job).where(Job.id == job_id).values(event_seq=Job.event_seq + count).returning(Job.event_seq)
    last = session.scalars(counted.execution_options(synchronize_session=False)).one()
    rows = [
        {"job_id": job_id, "seq": seq, "kind": happening.kind, "data": happening.data}
        for seq, happening in enumerate(happenings, start=last - count + 1)
    ]
    session.execute(insert(Event), rows)


def after(session: Session, job_id: str, seq: int, *, limit: int = 500) -> Sequence[Event]:
    """Events with a number above `seq`, in order."""
    found = select(Event).where(Event.job_id == job_id, Event.seq > seq).order_by(Event.seq).limit(limit)
    return session.scalars(found).all()
