"""Idempotency keys: the answer to a creating request is stored in the transaction that creates."""

from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from store.base import db_now
from store.errors import KeyInFlight, KeyReused
from store.models import TENANT, IdempotencyKey


def recall(session: Session, key: str, *, fingerprint: str, tenant: str = TENANT) -> dict[str, Any] | None:
    """The answer that the same request got before; None: create, and `remember` the answer in this transaction.

    Invariant: of all requests with one key, one creates. On PostgreSQL a lock until the commit sees to it; SQLite has
    one writer at a time.

    Raises:
        KeyReused: the key came with another payload before.
        KeyInFlight: a request with this key is being worked on.
    """
    alone, found = _look(session, tenant, key)
    if not alone:
        raise _in_flight(key)
    if found is None:
        return None
    if found.fingerprint != fingerprint:
        raise KeyReused(f"Idempotency-Key {key!r} came with another payload before; take a new key")
    return found.answer


def remember(session: Session, key: str, *, fingerprint: str, answer: dict[str, Any], tenant: str = TENANT) -> None:
    """Keeps the answer for requests to come with this key.

    Raises:
        KeyInFlight: another request with this key has just been answered.
    """
    row = {"tenant": tenant, "key": key, "fingerprint": fingerprint, "answer": answer}
    try:
        session.execute(insert(IdempotencyKey), [row])
    except IntegrityError:  # it was committed between this one's look and lock, which are one statement
        raise _in_flight(key) from None


def purge(session: Session, *, older_than_s: float) -> None:
    """Forgets answers given so long ago: a request that comes again with such a key creates anew."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < db_now(-older_than_s)))


def _look(session: Session, tenant: str, key: str) -> tuple[bool, IdempotencyKey | None]:
    """Whether nobody else works on this key, and what it was answered."""
    if session.get_bind().dialect.name != "postgresql":
        return True, session.get(IdempotencyKey, (tenant, key))
    lock = select(func.pg_try_advisory_xact_lock(func.hashtextextended(f"{tenant}/{key}", 0)).label("alone")).subquery()
    mine = (IdempotencyKey.tenant == tenant) & (IdempotencyKey.key == key)
    alone, found = session.execute(
        select(lock.c.alone, IdempotencyKey).select_from(lock).outerjoin(IdempotencyKey, mine)
    ).one()
    return bool(alone), found


def _in_flight(key: str) -> KeyInFlight:
    return KeyInFlight(f"a request with Idempotency-Key {key!r} is still being worked on; try again shortly")
