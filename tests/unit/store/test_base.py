"""Ids."""

import re
import time

from store.base import new_id


def test_ids_are_opaque_and_sort_by_age() -> None:
    """An id has its kind as a prefix, is never the same twice, and a later one sorts after an earlier one."""
    ids = []
    for _ in range(20):
        ids.append(new_id("job"))
        time.sleep(0.002)
    assert all(re.fullmatch(r"job_[0-9a-z]{26}", id_) for id_ in ids)
    assert ids == sorted(set(ids))
