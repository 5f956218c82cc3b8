"""API keys: who bears one acts for its tenant, within its scopes.

A key is `pskd_`, ten letters that tell it from others and 256 random bits. The store has its beginning, by which it is
found, and the SHA-256 of the whole: enough to recognise it, and nothing to log in with.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import ColumnElement, false, func, or_, select, true, update
from sqlalchemy.orm import Session

from store import paging
from store.base import db_now
from store.errors import NotFound
from store.models import TENANT, ApiKey
from store.paging import Page

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # none is taken for another
_PREFIX_LETTERS = 10
_SECRET_BYTES = 32
_FORM = re.compile(r"(pskd_[0-9a-z]{10})_[A-Za-z0-9_-]{43}")
_USED_WITHIN_S = 60.0  # a key that is in use is not written more often


class Scope(StrEnum):
    """What a key lets its bearer do; none includes another."""

    READ = "read"  # look at datasets, jobs, results and models
    SUBMIT = "submit"  # import datasets, start jobs and sweeps, and steer them
    CLASSIFY = "classify"  # ask models
    PROMOTE = "promote"  # point a model's aliases at other versions
    ADMIN = "admin"  # make and revoke the tenant's keys, and say where it hears of jobs that end


@dataclass(frozen=True)
class Issued:
    """A new key; nobody can show `secret` again."""

    row: ApiKey
    secret: str


class Bearer(NamedTuple):
    """How a key is named where it has acted, also after it is gone."""

    prefix: str
    name: str


@dataclass(frozen=True)
class Known:
    """A key that was recognised."""

    id: str
    bearer: Bearer
    tenant: str
    scopes: frozenset[Scope]
    revoked: bool
    expired: bool
    use_is_due: bool  # its last use is to be written

    @property
    def holds(self) -> bool:
        """Whether it lets its bearer in."""
        return not (self.revoked or self.expired)


def create(
    session: Session,
    *,
    name: str,
    scopes: Collection[Scope],
    expires_at: datetime | None = None,
    tenant: str = TENANT,
) -> Issued:
    """A key of the tenant, valid from the commit on."""
    prefix = "pskd_" + "".join(secrets.choice(_LETTERS) for _ in range(_PREFIX_LETTERS))
    secret = f"{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    held = [scope.value for scope in Scope if scope in scopes]
    row = ApiKey(tenant=tenant, name=name, prefix=prefix, digest=_digest(secret), scopes=held, expires_at=expires_at)
    session.add(row)
    session.flush()
    return Issued(row, secret)


def is_key(text: str) -> bool:
    """Whether it has the form of a key, which costs no query to tell."""
    return _FORM.fullmatch(text) is not None


def recognise(session: Session, secret: str) -> Known | None:
    """What is known of a key, by one look into an index; None: nobody issued it."""
    form = _FORM.fullmatch(secret)
    if form is None:
        return None
    use_is_due = func.coalesce(ApiKey.last_used_at < db_now(-_USED_WITHIN_S), true())
    found = select(ApiKey, _expired(), use_is_due).where(ApiKey.prefix == form[1])
    row = session.execute(found).one_or_none()
    if row is None:
        return None
    key, expired, due = row
    if not hmac.compare_digest(key.digest, _digest(secret)):
        return None
    scopes = frozenset(map(Scope, key.scopes))
    bearer = Bearer(key.prefix, key.name)
    return Known(key.id, bearer, key.tenant, scopes, key.revoked_at is not None, bool(expired), bool(due))


def holds(session: Session, key_id: str) -> bool:
    """Whether a key that was recognised still lets its bearer in."""
    good = ApiKey.revoked_at.is_(None) & ~_expired()
    return session.scalar(select(ApiKey.id).where(ApiKey.id == key_id, good)) is not None


def mark_used(session: Session, key_id: str) -> None:
    """Writes that the key is in use now, unless another process has just done so."""
    due = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < db_now(-_USED_WITHIN_S))
    session.execute(update(ApiKey).where(ApiKey.id == key_id, due).values(last_used_at=db_now()))


def get(session: Session, key_id: str, *, tenant: str = TENANT) -> ApiKey:
    """One key. Raises NotFound."""
    key = session.scalars(select(ApiKey).where(ApiKey.id == key_id, ApiKey.tenant == tenant)).one_or_none()
    if key is None:
        raise NotFound("key", key_id)
    return key


def page(session: Session, *, tenant: str = TENANT, limit: int = 50, cursor: str | None = None) -> Page[ApiKey]:
    """Keys, newest first; those that hold no more are among them. Raises BadCursor."""
    of_tenant = select(ApiKey).where(ApiKey.tenant == tenant)
    return paging.by_id(session, of_tenant, ApiKey.id, {"list": "keys"}, limit=limit, cursor=cursor)


def revoke(session: Session, key_id: str, *, tenant: str = TENANT) -> ApiKey:
    """Lets the key's bearer in no more; revoking again changes nothing. Raises NotFound."""
    now = update(ApiKey).where(ApiKey.id == key_id, ApiKey.tenant == tenant, ApiKey.revoked_at.is_(None))
    session.execute(now.values(revoked_at=db_now()))
    return get(session, key_id, tenant=tenant)


def _expired() -> ColumnElement[bool]:
    return func.coalesce(ApiKey.expires_at <= db_now(), false())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
