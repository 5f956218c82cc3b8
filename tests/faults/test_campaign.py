"""The fault campaign and the kills at random points in short; `make faults` has them at length."""

from pathlib import Path

import pytest

from tests.faults import campaign, resume

pytestmark = pytest.mark.timeout(600)  # six processes that import torch, on a busy machine

# Of these eight faults each is another one: a full disk, kills of run, keeper, database and worker, a broker that
# stops, lost wakes (where any wait; else the next of the schedule), a worker that is frozen past its lease.
SEED, INJECTIONS = 238, 8


def test_faults_at_random_violate_no_invariant(tmp_path: Path) -> None:
    """Whatever is killed, frozen, filled up or forgotten, nothing acknowledged is lost and nothing is done twice."""
    found = campaign.run(tmp_path, seed=SEED, injections=INJECTIONS, gap_s=1.2, most_open=3, tracked=False)
    assert found["violated"] == []
    assert found["injections"] == INJECTIONS
    assert found["runs"].get("succeeded", 0) > 0, found


def test_runs_killed_at_random_points_end_with_the_same_bits(tmp_path: Path) -> None:
    """Metrics, predictions and weights of runs that were killed equal those of one that was not, bit for bit."""
    found = resume.run(tmp_path, seed=0, points=2)
    assert [kill["differs_in"] for kill in found["kills"]] == [[], []]
