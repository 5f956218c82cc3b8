"""Opaque cursors, bound to the filters of the list they page through."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from store.base import Base
from store.errors import BadCursor

T = TypeVar("T")
Row = TypeVar("Row", bound=Base)
Key = tuple[str | int | float | None, ...]

_LARGEST_INT = 2**31 - 1


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, and the cursor of those that follow."""

    items: Sequence[T]
    next_cursor: str | None


def encode(filters: Mapping[str, Any], key: Key) -> str:
    """A cursor that stands after the row with this sort key."""
    return base64.urlsafe_b64encode(json.dumps([_fingerprint(filters), *key]).encode()).decode().rstrip("=")


def decode(cursor: str, filters: Mapping[str, Any], kinds: tuple[type[Any], ...]) -> Key:
    """The sort key in a cursor; `kinds` are the types of its parts, of which a float may be null.

    Raises:
        BadCursor: it is damaged, or was made for other filters.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        fingerprint, *key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True), parse_constant=_refuse)
    except (ValueError, TypeError, RecursionError):
        raise BadCursor("the cursor is damaged; start again without one") from None
    if fingerprint != _fingerprint(filters):
        raise BadCursor("the cursor was made for other filters; start again without one")
    if len(key) != len(kinds) or not all(map(_fits, key, kinds)):
        raise BadCursor("the cursor is damaged; start again without one")
    return tuple(key)


def by_id(
    session: Session,
    statement: Select[Row],
    column: InstrumentedAttribute[str],
    filters: Mapping[str, Any],
    *,
    limit: int,
    cursor: str | None,
) -> Page[Row]:
    """A page of rows, newest first: ids sort by age. Raises BadCursor."""
    if cursor is not None:
        (last,) = decode(cursor, filters, (str,))
        statement = statement.where(column < last)
    rows = session.scalars(statement.order_by(column.desc()).limit(limit + 1)).all()
    return cut(rows, lambda row: (getattr(row, column.key),), filters, limit=limit)


def cut(rows: Sequence[T], key: Callable[[T], Key], filters: Mapping[str, Any], *, limit: int) -> Page[T]:
    """The page made of the first `limit` of the `limit + 1` rows that were asked for."""
    items = rows[:limit]
    return Page(items, encode(filters, key(items[-1])) if len(rows) > limit else None)


def _fingerprint(filters: Mapping[str, Any]) -> str:
    canonical = json.dumps(filters, sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _fits(part: object, kind: type[Any]) -> bool:
    if kind is float:
        return part is None or (isinstance(part, float | int) and not isinstance(part, bool))
    if kind is int:
        return type(part) is int and 0 <= part <= _LARGEST_INT
    return isinstance(part, str)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
