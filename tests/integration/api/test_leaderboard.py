"""The leaderboard over HTTP."""

import csv
import io

import pytest
from fastapi.testclient import TestClient

from tests.integration.api.conftest import ON_BOTH
from tests.integration.api.stored import Stored
from tests.integration.api.test_conventions import problem


@ON_BOTH
def test_rows_carry_what_their_figures_stand_on(service: TestClient, stored: Stored) -> None:
    """Mean, spread, seeds, test size, dataset and protocol stand in every row, best first."""
    dataset_id = stored.dataset()
    stored.finished_job(accuracy=0.5)
    stored.finished_job(accuracy=0.75, seeds=[0, 1], feature_dim=64)
    best, other = service.get("/v1/leaderboard").json()["items"]
    assert best["accuracy"] == {"mean": 0.75, "sd": 0.0, "low": 0.75, "high": 0.75}
    assert (best["n_seeds"], best["n_test"], best["source"]) == (2, 12, "measured")
    assert (best["dataset_id"], best["dataset_name"], best["protocol"]) == (dataset_id, "tiny", "cross_subject")
    assert (best["method"], best["spec"]["feature_dim"], best["parameters"]) == ("none", 64, 12)
    assert best["ece"] == {"mean": 0.1875, "sd": 0.0, "low": 0.1875, "high": 0.1875}
    assert best["weighted_f1"]["mean"] == pytest.approx((1 + 8 / 11 + 2 / 5) / 3)  # by hand from 4, 4 and 1 of 4
    assert (best["top5_accuracy"], best["latency_ms"]) == (None, 0.25)
    assert other["accuracy"] == {"mean": 0.5, "sd": None, "low": None, "high": None}


@ON_BOTH
def test_rows_are_filtered_sorted_and_paged(service: TestClient, stored: Stored) -> None:
    """Every filter narrows, the sort turns the order round, and pages join up."""
    stored.dataset()
    for place, accuracy in enumerate((0.5, 0.25, 0.75)):
        stored.finished_job(accuracy=accuracy, feature_dim=16 + place)
    ascending = service.get("/v1/leaderboard?sort=accuracy").json()["items"]
    assert [row["accuracy"]["mean"] for row in ascending] == [0.25, 0.5, 0.75]
    first = service.get("/v1/leaderboard?limit=2").json()
    rest = service.get(f"/v1/leaderboard?limit=2&cursor={first['next_cursor']}").json()
    assert [row["accuracy"]["mean"] for row in first["items"] + rest["items"]] == [0.75, 0.5, 0.25]
    assert len(service.get("/v1/leaderboard?dataset=tiny&protocol=cross_subject&method=none").json()["items"]) == 3
    for empty in ("dataset=other", "protocol=loso", "method=pskd"):
        assert service.get(f"/v1/leaderboard?{empty}").json()["items"] == []
    problem(service.get("/v1/leaderboard?sort=colour"), 422, "invalid-request")


@pytest.mark.parametrize(("query", "accept"), [("?format=csv", "*/*"), ("", "text/csv")])
def test_a_spreadsheet_gets_the_same_rows(service: TestClient, stored: Stored, query: str, accept: str) -> None:
    """CSV holds the figures unrounded, one row a configuration."""
    stored.dataset()
    stored.finished_job(accuracy=1 / 3, seeds=[0, 1])
    answer = service.get(f"/v1/leaderboard{query}", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert float(row["accuracy_mean"]) == 1 / 3
    assert (row["dataset_name"], row["n_test"], row["n_seeds"]) == ("tiny", "12", "2")


def test_csv_pages_are_linked(service: TestClient, stored: Stored) -> None:
    """A CSV has no room for a cursor, so a header leads to the next page."""
    stored.dataset()
    for place in range(2):
        stored.finished_job(feature_dim=16 + place)
    first = service.get("/v1/leaderboard?format=csv&limit=1")
    link = first.headers["link"]
    assert link.endswith('; rel="next"')
    second = service.get(link[1 : link.index(">")])
    assert len(second.text.splitlines()) == 2
    assert second.text != first.text
    assert "link" not in second.headers


def test_a_name_is_no_formula(service: TestClient, stored: Stored) -> None:
    """A dataset's name that a spreadsheet would compute is shown as text."""
    stored.dataset("=1+1")
    stored.finished_job(dataset="=1+1")
    (row,) = csv.DictReader(io.StringIO(service.get("/v1/leaderboard?format=csv").text))
    assert row["dataset_name"] == "'=1+1"


@ON_BOTH
def test_what_read_a_substitute_of_the_skeleton_says_so(service: TestClient, stored: Stored) -> None:
    """Rows, CSV and pages mark what was taught by guessed skeletons, and nothing else."""
    stored.dataset(skeleton_substitute="poses of the video")
    stored.finished_job(accuracy=0.5)
    stored.finished_job(accuracy=0.75, preset="demo", method={"kind": "distill"})
    taught, alone = service.get("/v1/leaderboard").json()["items"]
    assert (taught["skeleton_substitute"], alone["skeleton_substitute"]) == ("poses of the video", None)
    first, second = csv.DictReader(io.StringIO(service.get("/v1/leaderboard?format=csv").text))
    assert (first["skeleton_substitute"], second["skeleton_substitute"]) == ("poses of the video", "")
    board, row = (service.get(path).text for path in ("/leaderboard", f"/leaderboard/{taught['id']}"))
    assert board.count(">substitute skeleton<") == 1
    assert "poses of the video, not the dataset" in row
