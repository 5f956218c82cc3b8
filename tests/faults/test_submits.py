"""Jobs that are submitted as fast as they are taken while the broker goes and comes back."""

from pathlib import Path

from benchmarks.submit import measure


def test_every_acknowledged_job_is_there(tmp_path: Path) -> None:
    """Two API processes take jobs while Redis is killed; each has one row, some finish once, the rest are cancelled."""
    found = measure(tmp_path, seconds=1.5, finish=2, workers=1)
    assert found["acknowledged"] > 5
    assert (found["other_answers"], found["lost"], found["violations"]) == ({}, 0, [])
    assert (found["finished_once"], found["cancelled"]) == (2, found["acknowledged"] - 2)
