"""Jobs that are submitted as fast as they are taken while the broker goes and comes back."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.submit import measure, misses


def test_every_acknowledged_job_is_there(tmp_path: Path) -> None:
    """Two API processes take jobs while Redis is killed; each has one row, some finish once, the rest are cancelled."""
    found = measure(tmp_path, seconds=1.5, finish=2, workers=1)
    assert list(misses(found, at_least=1.0, finish=2)) == []
    assert found["acknowledged"] > 5
    assert (found["other_answers"], found["lost"], found["violations"]) == ({}, 0, [])
    assert (found["finished_once"], found["cancelled"]) == (2, found["acknowledged"] - 2)


KEPT = {
    "acknowledged_a_second": 350.0,
    "other_answers": {},
    "lost": 0,
    "to_finish": 300,
    "finished_once": 300,
    "to_cancel": 10_200,
    "cancelled": 10_200,
    "violations": [],
}


@pytest.mark.parametrize(
    "worse",
    [
        {"acknowledged_a_second": 299.9},
        {"other_answers": {"503": 1}},
        {"lost": 1},
        {"to_finish": 299, "finished_once": 299},
        {"finished_once": 299},
        {"cancelled": 10_199},
        {"violations": [["lost_submit", "job-000001"]]},
    ],
    ids=lambda worse: next(iter(worse)),
)
def test_each_miss_is_told(worse: dict[str, Any]) -> None:
    """What the benchmark promises is what it fails for, one sentence each."""
    assert list(misses(KEPT, at_least=300, finish=300)) == []
    assert len(list(misses(KEPT | worse, at_least=300, finish=300))) == 1
