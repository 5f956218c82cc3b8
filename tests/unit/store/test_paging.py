"""Cursors: they come back as they were, and nothing else gets through."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import paging
from store.errors import BadCursor

FILTERS = {"list": "jobs", "state": None}


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.none(), st.integers(0, 2**31 - 1))
def test_round_trip(text: str, number: float | None, count: int) -> None:
    """The key of the last row comes back to the last bit."""
    cursor = paging.encode(FILTERS, (text, number, count))
    assert paging.decode(cursor, FILTERS, (str, float, int)) == (text, number, count)


def test_other_filters() -> None:
    """A cursor means nothing under other filters."""
    cursor = paging.encode(FILTERS, ("job_1",))
    with pytest.raises(BadCursor, match="other filters"):
        paging.decode(cursor, {**FILTERS, "state": "queued"}, (str,))


@given(st.text())
def test_any_text_is_refused(cursor: str) -> None:
    """What is not a cursor is refused as one, never a crash."""
    with pytest.raises(BadCursor):
        paging.decode(cursor, FILTERS, (str,))


@pytest.mark.parametrize("key", [[], ["a", "b"], [1], [None], [["a"]], [{"a": 1}], [True]], ids=json.dumps)
def test_forged_key_is_refused(key: list[object]) -> None:
    """A key of another shape, though made for these filters, never reaches SQL."""
    fingerprint = json.loads(base64.urlsafe_b64decode(paging.encode(FILTERS, ()) + "=="))[0]
    forged = base64.urlsafe_b64encode(json.dumps([fingerprint, *key]).encode()).decode()
    with pytest.raises(BadCursor):
        paging.decode(forged, FILTERS, (str,))


@pytest.mark.parametrize(("kind", "value"), [(int, 2**31), (int, -1), (int, 1.5), (float, "0.5"), (float, True)])
def test_forged_number_is_refused(kind: type[object], value: object) -> None:
    """Nor does a number that the column cannot hold."""
    cursor = paging.encode(FILTERS, (value,))  # type: ignore[arg-type]
    with pytest.raises(BadCursor):
        paging.decode(cursor, FILTERS, (kind,))


def test_cut() -> None:
    """A page has at most `limit` rows, and a cursor only if more follow."""
    assert paging.cut([1, 2], lambda row: (row,), FILTERS, limit=2) == paging.Page([1, 2], None)
    page = paging.cut([1, 2, 3], lambda row: (row,), FILTERS, limit=2)
    assert page.items == [1, 2]
    assert paging.decode(page.next_cursor or "", FILTERS, (int,)) == (2,)
