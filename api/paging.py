"""Pages of what is at hand as a whole and does not change its order."""

from collections.abc import Sequence
from typing import TypeVar

from store import paging
from store.paging import Page

T = TypeVar("T")


def page_of(rows: Sequence[T], filters: dict[str, str], *, limit: int, cursor: str | None) -> Page[T]:
    """The rows that follow the cursor's place.

    Raises:
        BadCursor: it is damaged, or was made for other filters.
    """
    start = 0
    if cursor is not None:
        (place,) = paging.decode(cursor, filters, (int,))
        start = int(place or 0)
    end = start + limit
    return Page(rows[start:end], paging.encode(filters, (end,)) if end < len(rows) else None)
