"""Rows of the leaderboard compared over HTTP: with one another, with all others on a page, and beside the paper."""

import csv
import io
import tracemalloc
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from pskd_core.published import published_rows
from store.models import Run
from tests.integration.api.conftest import ON_BOTH
from tests.integration.api.stored import Stored
from tests.integration.api.test_conventions import problem
from tests.stored import counted


def wrong(truth: list[int], *places: int) -> list[int]:
    """The truth but for these recordings."""
    return [(label + 1) % 3 if place in places else label for place, label in enumerate(truth)]


@pytest.fixture
def rows(service: TestClient, stored: Stored) -> dict[int, dict[str, Any]]:
    """Two configurations on twelve recordings of two subjects, by width: seeds 0, 1, 2 and seeds 1, 2, 3."""
    stored.dataset()
    truth = stored.truth()
    stored.judged_job({0: truth, 1: wrong(truth, 0), 2: wrong(truth, 1)}, feature_dim=16)
    stored.judged_job({1: wrong(truth, 0, 2, 3), 2: wrong(truth, 2), 3: truth}, feature_dim=24)
    return {row["spec"]["feature_dim"]: row for row in service.get("/v1/leaderboard").json()["items"]}


def compared(service: TestClient, a: str, b: str) -> Any:
    return service.get("/v1/leaderboard/comparison", params={"a": a, "b": b})


@ON_BOTH
def test_two_rows_are_compared_recording_by_recording(service: TestClient, rows: dict[int, dict[str, Any]]) -> None:
    """Common seeds, counts, means, difference, votes and confusion matrices are those counted by hand."""
    found = compared(service, rows[16]["id"], rows[24]["id"]).json()
    assert (found["n_test"], found["n_seeds"], found["classes"][0]) == (12, 2, "wave")
    pairs = [(pair["seed"], pair["only_a"], pair["only_b"], pair["p"]) for pair in found["seeds"]]
    assert pairs == [(1, 2, 0, 0.5), (2, 1, 1, 1.0)]
    assert found["accuracy"]["difference"]["mean"] == pytest.approx(1 / 12)
    assert (found["accuracy"]["a"], found["accuracy"]["b"]) == pytest.approx((11 / 12, 10 / 12))
    # Recording 2 is A's with both seeds and 3 with one, 1 is B's with one.
    assert (found["samples"]["more_a"], found["samples"]["more_b"], found["samples"]["p"]) == (2, 1, 1.0)
    assert found["subjects"]["n"] == 2
    assert sum(map(sum, found["confusion_a"])) == sum(map(sum, found["confusion_b"])) == 24
    assert sum(row[label] for label, row in enumerate(found["confusion_b"])) == 20
    for name, dim in (("a", 16), ("b", 24)):
        assert {**found[name], "difference": None} == rows[dim]
        assert (found[name]["protocol"], found[name]["dataset_name"]) == ("cross_subject", "tiny")


def test_beginnings_of_ids_are_enough(service: TestClient, rows: dict[int, dict[str, Any]]) -> None:
    """Twelve letters, as tables show them, name a row; an unknown one is a 404."""
    a, b = rows[16]["id"], rows[24]["id"]
    assert compared(service, a[:12], b[:12]).json() == compared(service, a, b).json()
    problem(compared(service, a, "nothing"), 404, "not-found")
    problem(service.get("/v1/leaderboard?against=nothing"), 404, "not-found")
    problem(service.get("/v1/leaderboard/comparison", params={"a": a}), 422, "invalid-request")


def test_what_cannot_be_paired_is_refused(service: TestClient, stored: Stored, rows: dict[int, dict[str, Any]]) -> None:
    """Another protocol, or no common seed, is a conflict that says so."""
    truth = stored.truth()
    stored.judged_job({7: truth}, feature_dim=32)
    stored.judged_job(
        {0: truth}, feature_dim=40, protocol={"kind": "subjects", "train": ["1", "3"], "test": ["2", "4"]}
    )
    by_dim = {row["spec"]["feature_dim"]: row["id"] for row in service.get("/v1/leaderboard").json()["items"]}
    told = problem(compared(service, by_dim[16], by_dim[32]), 409, "not-comparable")["detail"]
    assert "A has seeds 0, 1, 2, B has 7" in told
    told = problem(compared(service, by_dim[16], by_dim[40]), 409, "not-comparable")["detail"]
    assert "protocol" in told
    page = service.get(f"/v1/leaderboard?against={by_dim[16]}").json()["items"]
    assert {row["spec"]["feature_dim"] for row in page if row["difference"] is None} == {32, 40}


def test_predictions_that_are_gone_are_our_fault(service: TestClient, stored: Stored) -> None:
    """A row whose files the object store has lost is not the caller's mistake."""
    stored.dataset()
    stored.finished_job(feature_dim=16)
    (row,) = service.get("/v1/leaderboard").json()["items"]
    problem(compared(service, row["id"], row["id"]), 500, "internal-error")


def test_a_comparison_holds_few_seeds_at_once(service: TestClient, stored: Stored) -> None:
    """Twelve seeds of 7,200 recordings in 35 classes, over 40 MB of predictions together, are compared within 20 MB."""
    stored.dataset()
    for width in (16, 24):
        stored.judged_job(dict.fromkeys(range(12), stored.truth()), feature_dim=width)
    file, names = io.BytesIO(), np.array([f"recording_{place:05}" for place in range(7200)])
    labels, subjects = np.arange(7200) % 35, np.array(["1", "2"] * 3600)
    logits = np.eye(35, dtype=np.float32)[labels]
    np.savez(file, test_ids=names, test_subjects=subjects, test_labels=labels, test_logits=logits)
    with stored.database.write() as session:
        session.execute(update(Run).values(predictions_digest=stored.objects.put_bytes(file.getvalue())))
    a, b = (row["id"] for row in service.get("/v1/leaderboard").json()["items"])
    del file
    tracemalloc.start()
    try:
        found = compared(service, a, b).json()
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert (found["n_test"], found["n_seeds"], found["accuracy"]["a"]) == (7200, 12, 1)


@ON_BOTH
def test_every_row_of_a_page_differs_from_one(service: TestClient, rows: dict[int, dict[str, Any]]) -> None:
    """The difference on the page is that of the comparison, from figures alone; both intervals stand in each row."""
    a, b = rows[16]["id"], rows[24]["id"]
    page = {row["id"]: row for row in service.get(f"/v1/leaderboard?against={b}").json()["items"]}
    whole = compared(service, a, b).json()["accuracy"]["difference"]
    assert page[a]["difference"] == {**{key: pytest.approx(value) for key, value in whole.items()}, "n_seeds": 2}
    assert (page[b]["difference"]["mean"], page[b]["difference"]["n_seeds"]) == (0, 3)
    assert rows[16]["difference"] is None
    over = page[a]["accuracy_over_subjects"]
    assert over["n"] == 2
    assert over["low"] < page[a]["accuracy"]["mean"] < over["high"]


def test_results_without_subjects_claim_nothing_about_them(service: TestClient, stored: Stored) -> None:
    """A result of an older version has an interval over seeds and none over subjects."""
    stored.dataset()
    stored.finished_job(seeds=[0, 1])
    (row,) = service.get("/v1/leaderboard").json()["items"]
    assert row["accuracy"]["low"] is not None
    assert row["accuracy_over_subjects"] is None


# --- Beside the paper ---------------------------------------------------------------------------------------------


def test_published_rows_stand_apart(service: TestClient, stored: Stored) -> None:
    """What the paper prints comes when it is asked for, marked, in a list of its own."""
    stored.dataset()
    stored.finished_job()
    assert service.get("/v1/leaderboard").json()["published"] is None
    answer = service.get("/v1/leaderboard?published=true").json()
    assert [row["source"] for row in answer["items"]] == ["measured"]
    assert {row["source"] for row in answer["published"]} == {"published"}
    assert len(answer["published"]) == len(published_rows())
    (pskd,) = (row for row in answer["published"] if row["id"] == "table1-13")
    assert (pskd["method"], pskd["accuracy"], pskd["dataset"]) == ("PSKD", 0.9519, "UTD-MHAD")
    assert pskd["protocol"].startswith("not stated")


@ON_BOTH
def test_published_rows_are_those_of_the_same_recordings(service: TestClient, stored: Stored) -> None:
    """A dataset in UTD-MHAD's layout has UTD-MHAD's rows, whatever it is called; a synthetic one has none."""
    dataset_id = stored.dataset()
    for filter_, expected in ((dataset_id, set()), ("tiny", set()), ("MMAct", {"MMAct"}), ("none", set())):
        answer = service.get("/v1/leaderboard", params={"published": True, "dataset": filter_}).json()
        assert {row["dataset"] for row in answer["published"]} == expected
    stored.dataset("mine", layout="utd_mhad")
    answer = service.get("/v1/leaderboard?published=true&dataset=mine").json()
    assert {row["table"] for row in answer["published"]} == {"1", "4", "figure 5"}


def test_a_spreadsheet_has_published_rows_below_ours(service: TestClient, stored: Stored) -> None:
    """The CSV says of each row where it comes from; published ones follow the last of ours, on the last page."""
    stored.dataset()
    truth = stored.truth()
    stored.judged_job({0: truth, 1: wrong(truth, 0)}, feature_dim=16)
    stored.judged_job({0: wrong(truth, 1), 1: wrong(truth, 0, 1)}, feature_dim=24)
    best = service.get("/v1/leaderboard").json()["items"][0]
    query = f"format=csv&published=true&limit=1&against={best['id'][:12]}"
    first = service.get(f"/v1/leaderboard?{query}")
    link = first.headers["link"]
    ours, *none = csv.DictReader(io.StringIO(first.text))
    assert (ours["id"], ours["n_subjects"], ours["difference_mean"], none) == (best["id"], "2", "0.0", [])
    assert float(ours["accuracy_subjects_high"]) == best["accuracy_over_subjects"]["high"]
    other, *published = csv.DictReader(io.StringIO(service.get(link[1 : link.index(">")]).text))
    assert float(other["difference_mean"]) == pytest.approx(-1 / 12)
    assert [row["source"] for row in (ours, other)] == ["measured"] * 2
    assert {row["source"] for row in published} == {"published"}
    assert {row["n_seeds"] for row in published} == {""}
    mmact = next(row for row in published if row["dataset_name"] == "MMAct" and row["method"] == "PSKD")
    assert (mmact["accuracy_mean"], mmact["macro_f1_mean"], mmact["f1"]) == ("", "", "0.7142")


@ON_BOTH
def test_a_page_costs_the_same_queries_whatever_it_holds(service: TestClient, stored: Stored) -> None:
    """With everything that can be asked for, six rows of two seeds cost as many queries as one row of one."""
    dataset_id = stored.dataset()
    stored.finished_job()
    (row,) = service.get("/v1/leaderboard").json()["items"]
    asked = {"against": row["id"], "dataset": dataset_id, "published": True}
    numbers = []
    for widths in ((), range(24, 29)):
        for width in widths:
            stored.finished_job(seeds=[0, 1], feature_dim=width)
        with counted(service.app.state.services.database) as queries:  # type: ignore[attr-defined]
            page = service.get("/v1/leaderboard", params=asked).json()
        assert all(row["difference"] is not None for row in page["items"])
        numbers.append((len(page["items"]), len(queries)))
    assert numbers == [(1, 5), (6, 5)]


def test_rows_are_sorted_by_cost(service: TestClient, stored: Stored) -> None:
    """Every cost is an order, and another one is refused."""
    stored.dataset()
    stored.finished_job()
    for sort in ("parameters", "-macs", "bundle_bytes"):
        assert len(service.get(f"/v1/leaderboard?sort={sort}").json()["items"]) == 1
    problem(service.get("/v1/leaderboard?sort=latency"), 422, "invalid-request")
