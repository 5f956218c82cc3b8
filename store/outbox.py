"""Messages that leave only after their transaction has committed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import delete, func, insert, select, text, true, union_all, update
from sqlalchemy.orm import Session

from store.base import db_now
from store.lifecycle import CLAIMABLE, ClassificationState, DatasetState
from store.models import Dataset, Outbox, Run
from store.queues import IO, queue_of
from store.timelines import Classification

Kind = Literal["wake", "mlflow"]


_NEW = insert(Outbox)


@dataclass(frozen=True)
class Message:
    """One thing to send."""

    id: int
    kind: str
    key: str  # wake: the queue; mlflow: the run's id
    payload: dict[str, Any]
    attempts: int  # sends tried before this one


def add(session: Session, kind: Kind, key: str, payload: dict[str, Any]) -> None:
    """Makes a message due with this transaction's commit.

    Messages of one key keep their order if whoever adds them holds the row that the key names.
    """
    session.add(Outbox(kind=kind, key=key, payload=payload))


def wake(session: Session, queue: str, *, times: int = 1) -> None:
    """Bare nudges to a queue; which run comes next is for `runs.claim_next` to say."""
    session.connection().execute(_NEW, times * [{"kind": "wake", "key": queue, "payload": {"queue": queue}}])


def take(session: Session, kind: Kind, *, limit: int = 100, hold_s: float = 60.0) -> Sequence[Message]:
    """The oldest due messages, hidden from other takers for `hold_s`; commit, send, then `mark_sent` or `postpone`.

    Invariant: of one (kind, key) nothing is taken while something older is held or postponed, so order stands.
    """
    _one_taker_at_a_time(session, kind)
    unsent = (Outbox.kind == kind) & Outbox.sent_at.is_(None)
    held = select(Outbox.key, func.min(Outbox.id).label("first")).where(unsent, Outbox.available_at > db_now())
    held_of_key = held.group_by(Outbox.key).subquery()
    due = (
        select(Outbox.id)
        .outerjoin(held_of_key, Outbox.key == held_of_key.c.key)
        .where(unsent, Outbox.available_at <= db_now(), func.coalesce(Outbox.id < held_of_key.c.first, true()))
    )
    taken = (
        update(Outbox)
        .where(Outbox.id.in_(due.order_by(Outbox.id).limit(limit)))
        .values(available_at=db_now(hold_s), attempts=Outbox.attempts + 1)
        .returning(Outbox.id, Outbox.kind, Outbox.key, Outbox.payload, Outbox.attempts - 1)
    )
    rows = session.execute(taken, execution_options={"synchronize_session": False}).all()
    return sorted((Message(*row) for row in rows), key=lambda message: message.id)


def _one_taker_at_a_time(session: Session, kind: str) -> None:
    # SKIP LOCKED would let a second taker have a later message of a key while the first holds the earlier one.
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"pskd.outbox.{kind}"})


def mark_sent(session: Session, ids: Collection[int]) -> None:
    """These have arrived."""
    session.execute(update(Outbox).where(Outbox.id.in_(ids)).values(sent_at=db_now()))


def postpone(session: Session, ids: Collection[int], *, delay_s: float) -> None:
    """These have not arrived: due again after `delay_s` (0: at once)."""
    later = update(Outbox).where(Outbox.id.in_(ids), Outbox.sent_at.is_(None))
    session.execute(later.values(available_at=db_now(delay_s)))


def unclaimed(session: Session, *, older_than_s: float) -> dict[str, int]:
    """Queues with something free to claim for so long, and how many: a nudge was lost, or workers are busy."""
    since = db_now(-older_than_s)
    runs = select(Run.device, func.count()).where(Run.state.in_(CLAIMABLE), Run.queued_at <= since)
    of_io = select(text(f"'{IO}'"), func.count())
    imports = of_io.where(Dataset.state == DatasetState.VALIDATING, Dataset.queued_at <= since)
    recordings = of_io.where(Classification.state == ClassificationState.QUEUED, Classification.queued_at <= since)
    found: dict[str, int] = {}
    for device, count in session.execute(union_all(runs.group_by(Run.device), imports, recordings)):
        queue = IO if device == IO else queue_of(device)
        found[queue] = found.get(queue, 0) + count
    return {queue: count for queue, count in found.items() if count}


def purge(session: Session, *, older_than_s: float) -> int:
    """Deletes messages sent so long ago and returns how many."""
    gone = delete(Outbox).where(Outbox.sent_at < db_now(-older_than_s)).returning(Outbox.id)
    return len(session.scalars(gone, execution_options={"synchronize_session": False}).all())
