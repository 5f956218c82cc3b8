"""Claims with fencing tokens and leases on the database's clock, the same for runs, imports and classifications."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from store.base import db_now
from store.errors import LostLease
from store.models import Claimable, Dataset, Run
from store.timelines import Classification

Row = TypeVar("Row", Run, Dataset, Classification)

# What comes back overwrites what the session remembers, and nothing is evaluated in Python.
_FRESH = {"populate_existing": True, "synchronize_session": False}


class Claim(NamedTuple):
    """The right to write one row: its id and the token of this claim."""

    id: str
    token: int


def take(
    session: Session,
    table: type[Row],
    *,
    free: ColumnElement[bool],
    order: Sequence[ColumnElement[Any] | InstrumentedAttribute[Any]],
    worker: str,
    lease_s: float,
) -> Row | None:
    """Claims the first free row, in one statement; rows that another claim is about to take are passed over."""
    # A locked row is about to be taken or changed; `key_share` leaves alone those who only refer to it.
    first = select(table.id).where(free).order_by(*order).limit(1).with_for_update(skip_locked=True, key_share=True)
    claimed = (
        update(table)
        .where(table.id == first.scalar_subquery())
        .values(
            token=table.token + 1,
            worker=worker,
            lease_expires_at=db_now(lease_s),
            queued_at=None,
            attempts=table.attempts + 1,
            stalled_attempts=table.stalled_attempts + 1,
        )
        .returning(table)
    )
    return session.scalars(claimed, execution_options=_FRESH).one_or_none()


def hold(
    session: Session, table: type[Row], claim: Claim, held: ColumnElement[bool], *, no_new_references: bool = False
) -> Row:
    """The claimed row, locked until the commit, so that what follows writes under a valid token.

    With `no_new_references` it also waits for, and keeps away, those who are about to refer to the row.

    Raises:
        LostLease: the row is not `held` under this token.
    """
    locked = select(table).where(table.id == claim.id, table.token == claim.token, held)
    locked = locked.with_for_update(key_share=not no_new_references)
    row = session.scalars(locked, execution_options=_FRESH).one_or_none()
    if row is None:
        raise LostLease(table.__tablename__, *claim)
    return row


def lengthen(session: Session, table: type[Row], claim: Claim, held: ColumnElement[bool], *, lease_s: float) -> Row:
    """Renews the lease, counted from now. Raises LostLease."""
    renewed = (
        update(table)
        .where(table.id == claim.id, table.token == claim.token, held)
        .values(lease_expires_at=db_now(lease_s))
        .returning(table)
    )
    row = session.scalars(renewed, execution_options=_FRESH).one_or_none()
    if row is None:
        raise LostLease(table.__tablename__, *claim)
    return row


def release(row: Claimable) -> None:
    """Ends a claim: nobody works on the row, and the token that was given out is stale."""
    row.token += 1
    row.worker = None
    row.lease_expires_at = None


def uncount(row: Claimable) -> None:
    """An orderly hand-back is no attempt."""
    row.attempts -= 1
    row.stalled_attempts = max(row.stalled_attempts - 1, 0)


def expired(
    session: Session,
    table: type[Row],
    held: ColumnElement[bool],
    *,
    limit: int,
    overdue: ColumnElement[bool] | None = None,
    no_new_references: bool = False,
) -> Sequence[Row]:
    """Held rows whose lease has run out (or that are `overdue`), locked as in `hold`.

    Those that another session holds are passed over.
    """
    ended = table.lease_expires_at < db_now()
    gone = ended if overdue is None else ended | overdue
    late = select(table).where(held, gone).order_by(table.id).limit(limit)
    locked = late.with_for_update(skip_locked=True, key_share=not no_new_references)
    return session.scalars(locked, execution_options={"populate_existing": True}).all()
