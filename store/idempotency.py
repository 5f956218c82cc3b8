"""Idempotency keys: the answer to a creating request is stored in the transaction that creates."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

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
    if not _alone(session, f"{tenant}/{key}"):
        raise KeyInFlight(f"a request with Idempotency-Key {key!r} is still being worked on; try again shortly")
    found = session.get(IdempotencyKey, (tenant, key))
    if found is None:
        return None
    if found.fingerprint != fingerprint:
        raise KeyReused(f"Idempotency-Key {key!r} came with another payload before; take a new key")
    return found.answer


def remember(session: Session, key: str, *, fingerprint: str, answer: dict[str, Any], tenant: str = TENANT) -> None:
    """Keeps the answer for requests to come with this key."""
    session.add(IdempotencyKey(tenant=tenant, key=key, fingerprint=fingerprint, answer=answer))
    session.flush()


def _alone(session: Session, name: str) -> bool:
    if session.get_bind().dialect.name != "postgresql":
        return True
    lock = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
    return bool(session.execute(lock, {"name": name}).scalar_one())
