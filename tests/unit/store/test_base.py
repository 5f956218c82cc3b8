"""Ids."""

import re
import time

import pytest

from store.base import new_id


def test_ids_are_opaque_and_sort_by_age() -> None:
    """An id has its kind as a prefix, is never the same twice, and a later one sorts after an earlier one."""
    ids = [new_id("job") for _ in range(2000)]
    assert all(re.fullmatch(r"job_[0-9a-z]{26}", id_) for id_ in ids)
    assert ids == sorted(set(ids))


def test_a_clock_set_back_does_not_make_ids_older(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages show the newest first by id, also after the machine's clock was corrected by an hour."""
    before = new_id("job")
    hour_ago = time.time_ns() - 3_600_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: hour_ago)
    assert new_id("job") > before
