"""Sweeps over HTTP: submitted once, watched, and turned into a spec to submit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from pskd_core.data.importing import import_dataset
from store.objects import ObjectStore
from store.settings import Settings
from tests.integration.api.conftest import ON_BOTH
from tests.integration.api.stored import SPEC, Stored, Trees
from tests.integration.api.test_conventions import problem
from tests.small import PATCHY_SPEC, patchy_source

BASE = {**SPEC, "validation": {"kind": "inner_loso"}}  # two folds
EPOCHS = {"training.epochs": {"choices": [2, 4]}}
WIDTHS = {"feature_dim": {"choices": [16, 32, 64]}}
SWEEP: dict[str, Any] = {"name": "lengths", "base": BASE, "space": EPOCHS}
TPE = {"kind": "tpe", "trials": 5}
KEY = {"Idempotency-Key": "sweep-1"}


def end_runs(stored: Stored, *scores: float | None) -> None:
    """End the next runs with these validation scores; null is a failure."""
    for score in scores:
        claimed = stored.claim()
        if score is None:
            stored.fail(claimed.claim, "loss term ce of student is nan at step 3")
        else:
            stored.validate(claimed, accuracy=score)


@ON_BOTH
def test_a_sweep_from_its_submission_to_the_spec_that_won(service: TestClient, stored: Stored) -> None:
    """202 with Location; trials are ordinary jobs without a test part; the best trial's spec can be submitted."""
    dataset_id = stored.dataset()
    answer = service.post("/v1/sweeps", json=SWEEP)
    assert answer.status_code == 202
    sweep = answer.json()
    assert answer.headers["location"] == f"/v1/sweeps/{sweep['id']}"
    assert (sweep["state"], sweep["search"], sweep["metric"], sweep["dataset_id"]) == (
        "queued", "grid", "accuracy", dataset_id,
    )  # fmt: skip
    assert sweep["counts"] == {"total": 2, "to_come": 0, "states": {"queued": 2}}
    assert (sweep["best"], sweep["finished_at"]) == (None, None)
    assert service.get(answer.headers["location"]).json() == sweep

    end_runs(stored, 0.5, 0.7, 0.8, 0.6)
    done = service.get(answer.headers["location"]).json()
    first, second = done["trials"]
    assert (done["state"], done["counts"]["states"]) == ("succeeded", {"succeeded": 2})
    assert done["finished_at"] is not None
    assert (first["parameters"], first["score"]["mean"], first["score"]["runs"]) == (
        {"training.epochs": 2}, pytest.approx(0.6), 2,
    )  # fmt: skip
    assert second["score"]["sd"] == pytest.approx(0.2 / 2**0.5)
    assert (second["cost"]["parameters"], second["cost"]["macs"]) == (12, 300)
    assert done["best"]["number"] == 2
    job = service.get(f"/v1/jobs/{second['job_id']}").json()
    assert (job["name"], job["spec"]["test"], job["state"]) == ("lengths trial 2", "none", "succeeded")
    assert service.get("/v1/leaderboard").json()["items"] == []

    winner = service.post("/v1/jobs", json=done["best"]["spec"]).json()
    assert (winner["spec"]["test"], winner["spec"]["training"]["epochs"]) == ("report", 4)
    assert winner["progress"]["runs"] == {"queued": 1}


def test_of_equal_trials_the_first_is_best(service: TestClient, stored: Stored) -> None:
    """A tie is decided by the order of trials, so that asking again answers the same."""
    stored.dataset()
    sweep = service.post("/v1/sweeps", json=SWEEP).json()
    end_runs(stored, 0.5, 0.5, 0.5, 0.5)
    assert service.get(f"/v1/sweeps/{sweep['id']}").json()["best"]["number"] == 1


@ON_BOTH
def test_a_failed_trial_says_why_and_has_no_score(service: TestClient, stored: Stored) -> None:
    """Even where one of its runs did well, a failed trial cannot be best; the sweep goes on and succeeds."""
    stored.dataset()
    sweep = service.post("/v1/sweeps", json=SWEEP).json()
    end_runs(stored, 0.9, None, 0.2, 0.2)
    shown = service.get(f"/v1/sweeps/{sweep['id']}").json()
    failed, good = shown["trials"]
    assert (failed["state"], failed["cause"], failed["score"]) == ("failed", "nan_loss", None)
    assert "step 3" in failed["detail"]
    assert (shown["state"], shown["best"]["number"]) == ("succeeded", good["number"])


@ON_BOTH
def test_a_heat_map_shows_two_parameters(service: TestClient, stored: Stored) -> None:
    """Mean and best over the others stand in rows of `y` and columns of `x`; what was not measured is null."""
    stored.dataset()
    noise = {"augment.scale_sd": {"choices": [0.0, 0.1]}}
    sweep = service.post("/v1/sweeps", json={**SWEEP, "space": {**EPOCHS, **WIDTHS, **noise}}).json()
    # Trials 1 and 2 are (2 epochs, width 16), 3 and 4 (2, 32); the rest wait.
    end_runs(stored, 0.1, 0.1, 0.3, 0.3, 0.5, 0.5, 0.9, 0.9)
    path = f"/v1/sweeps/{sweep['id']}"
    shown = service.get(path).json()["heat_map"]
    assert (shown["x"], shown["y"]) == ("training.epochs", "feature_dim")
    assert (shown["x_values"], shown["y_values"]) == ([2, 4], [16, 32, 64])
    assert shown["mean"] == [[pytest.approx(0.2), None], [pytest.approx(0.7), None], [None, None]]
    assert shown["best"] == [[pytest.approx(0.3), None], [pytest.approx(0.9), None], [None, None]]
    turned = service.get(path, params={"x": "feature_dim"}).json()["heat_map"]
    assert (turned["x"], turned["y"]) == ("feature_dim", "training.epochs")
    chosen = service.get(path, params={"y": "augment.scale_sd"}).json()["heat_map"]
    assert chosen["mean"] == [[pytest.approx(0.3), None], [pytest.approx(0.6), None]]


@pytest.mark.parametrize("axes", [{"x": "nothing"}, {"x": "feature_dim", "y": "feature_dim"}])
def test_a_heat_map_needs_two_of_the_parameters(service: TestClient, stored: Stored, axes: dict[str, str]) -> None:
    """An axis that is none is refused by name; with one parameter there is no map."""
    stored.dataset()
    sweep = service.post("/v1/sweeps", json={**SWEEP, "space": {**EPOCHS, **WIDTHS}}).json()
    content = problem(service.get(f"/v1/sweeps/{sweep['id']}", params=axes), 422, "invalid-request")
    assert content["errors"][0]["parameter"] == list(axes)[-1]
    assert "training.epochs, feature_dim" in content["detail"]
    flat = service.post("/v1/sweeps", json=SWEEP).json()
    assert flat["heat_map"] is None


@ON_BOTH
def test_a_repeated_submission_gets_the_first_answer(service: TestClient, stored: Stored) -> None:
    """Same key, same sweep: nothing is made twice; another sweep under the key is refused."""
    stored.dataset()
    first = service.post("/v1/sweeps", json=SWEEP, headers=KEY)
    again = service.post("/v1/sweeps", json=SWEEP, headers=KEY)
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (202, first.content, "true")
    assert len(service.get("/v1/sweeps").json()["items"]) == 1
    assert len(service.get("/v1/jobs").json()["items"]) == 2
    other = service.post("/v1/sweeps", json=SWEEP | {"metric": "macro_f1"}, headers=KEY)
    problem(other, 422, "idempotency-key-reused")


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"base": SPEC}, "/base/validation"),
        ({"base": {**BASE, "protocol": {"kind": "loso"}}}, "/base/protocol"),
        ({"base": {**BASE, "dataset": "nobody"}}, "/base/dataset"),
        ({"base": {**BASE, "dataset": None}}, "/base/dataset"),
        ({"base": {**BASE, "protocol": {"kind": "named", "name": "cross_view"}}}, "/base/protocol/name"),
        ({"base": {**BASE, "validation": {"kind": "subjects", "subjects": ["2"]}}}, "/base/validation/subjects"),
        ({"space": {"student.inputs.0": {"choices": ["magnetometer"]}}}, "/space/student.inputs.0"),
        ({"space": {"training.epochs": {"choices": [2, 0]}}}, "/space/training.epochs"),
        ({"preset": "nobody"}, "/preset"),
        ({"colour": "red"}, "/colour"),
        ({"search": {"kind": "random"}}, "/search/trials"),
        ({"space": {"feature_dim": {"choices": list(range(8, 200))}, **EPOCHS}}, "/search"),
        (
            {"space": {"feature_dim": {"choices": list(range(8, 259))}}, "base": BASE | {"seeds": [*range(20)]}},
            "/search",
        ),
    ],
)
def test_a_wrong_sweep_is_pointed_at(
    service: TestClient, stored: Stored, fields: dict[str, Any], pointer: str, dry_run: bool
) -> None:
    """Each fault has its pointer into the sweep, whoever finds it, and no job is made."""
    stored.dataset()
    answer = service.post("/v1/sweeps", json=SWEEP | fields, params={"dry_run": dry_run})
    assert [fault["pointer"] for fault in problem(answer, 422, "invalid-spec")["errors"]] == [pointer]
    assert service.get("/v1/jobs").json()["items"] == service.get("/v1/sweeps").json()["items"] == []


def test_what_the_dataset_lacks_is_found_before_the_write(service: TestClient, stored: Stored) -> None:
    """Trials are planned while the database is free: a sweep that one of them is unfit for writes nothing at all."""
    stored.dataset()
    written: list[str] = []
    engine = service.app.state.services.database.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", lambda *call: written.append(call[2]))
    space = {"student.inputs.0": {"choices": ["accelerometer", "magnetometer"]}}
    problem(service.post("/v1/sweeps", json={**SWEEP, "space": space}), 422, "invalid-spec")
    assert written
    assert not [statement for statement in written if statement.startswith(("INSERT", "UPDATE"))]


@pytest.mark.parametrize("search", [{"kind": "grid"}, TPE])
def test_trials_judged_on_other_recordings_are_refused(
    service: TestClient, settings: Settings, trees: Trees, tmp_path: Path, search: dict[str, Any]
) -> None:
    """Inputs that some validation recordings lack are refused beforehand; where all have them, inputs may vary."""
    report = import_dataset(patchy_source(tmp_path / "patchy"), tmp_path / "imported")
    objects = ObjectStore(settings.object_store_url, cache_dir=tmp_path / "cache")
    tree = objects.put_tree(tmp_path / "imported")
    patchy = Stored(settings, replace(trees, dataset=tmp_path / "imported", dataset_digest=tree, report=report))
    patchy.dataset("patchy")
    base = {**PATCHY_SPEC, "dataset": "patchy"}
    space = {"student.inputs": {"choices": [["accelerometer"], ["gyroscope"]]}}
    refused = problem(
        service.post("/v1/sweeps", json={"base": base, "space": space, "search": search}), 422, "invalid-spec"
    )
    assert [fault["pointer"] for fault in refused["errors"]] == ["/space/student.inputs"]
    assert "on 2 validation recordings, and the sweep's first point on 4" in refused["detail"]
    base["validation"] = {"kind": "trials", "trials": ["3"]}
    assert service.post("/v1/sweeps", json={"base": base, "space": space, "search": search}).status_code == 202
    patchy.database.dispose()


def test_a_dry_run_counts_trials_and_runs(service: TestClient, stored: Stored) -> None:
    """The answer has the whole spec, how many trials and runs it would be, and how many a sweep may have."""
    stored.dataset()
    body = {"base": BASE | {"seeds": [0, 1, 2]}, "space": EPOCHS, "search": TPE}
    answer = service.post("/v1/sweeps", json=body, params={"dry_run": True})
    assert answer.status_code == 200
    estimate = answer.json()
    assert (estimate["trials"], estimate["most_trials"], estimate["runs"]) == (5, 256, 5 * 3 * 2)
    assert estimate["spec"]["search"] == {**TPE, "seed": 0, "startup_trials": 10, "at_once": 1}
    assert service.get("/v1/sweeps").json()["items"] == []


def test_a_preset_is_laid_under_the_fields_given(service: TestClient, stored: Stored) -> None:
    """A recipe for sweeps needs a base, which may be a recipe for jobs, and its fields may differ from it."""
    stored.dataset()
    base = {"preset": "demo", "dataset": "tiny", "validation": {"kind": "inner_loso"}}
    body = {"preset": "alpha-beta-gamma", "base": base, "space": {"method.loss.gamma": {"choices": [1]}}}
    estimate = service.post("/v1/sweeps", json=body, params={"dry_run": True}).json()
    assert (estimate["trials"], estimate["spec"]["base"]["training"]["epochs"]) == (16, 20)


@ON_BOTH
def test_a_sweep_may_come_before_its_dataset(service: TestClient, stored: Stored) -> None:
    """Its trials start when the import ends; a dry run cannot count runs yet."""
    service.post("/v1/datasets", json={"name": "tiny", "source": {"kind": "synthetic"}})
    assert service.post("/v1/sweeps", json=SWEEP, params={"dry_run": True}).json()["runs"] is None
    sweep = service.post("/v1/sweeps", json=SWEEP).json()
    assert (sweep["state"], sweep["counts"]["states"]) == ("queued", {"validating": 2})
    stored.finish_import()
    assert service.get(f"/v1/sweeps/{sweep['id']}").json()["counts"]["states"] == {"queued": 2}


@ON_BOTH
def test_a_sweep_is_cancelled_with_its_jobs(service: TestClient, stored: Stored) -> None:
    """Waiting trials end at once, and cancelling again changes nothing; an ended sweep is a conflict."""
    stored.dataset()
    sweep = service.post("/v1/sweeps", json=SWEEP).json()
    path = f"/v1/sweeps/{sweep['id']}"
    end_runs(stored, 0.5, 0.5)
    cancelled = service.post(f"{path}/cancel").json()
    assert (cancelled["state"], cancelled["counts"]["states"]) == ("cancelled", {"succeeded": 1, "cancelled": 1})
    assert cancelled["best"]["number"] == 1
    assert cancelled["finished_at"] is not None
    assert service.post(f"{path}/cancel").json() == cancelled
    done = service.post("/v1/sweeps", json=SWEEP).json()
    end_runs(stored, 0.5, 0.5, 0.5, 0.5)
    problem(service.post(f"/v1/sweeps/{done['id']}/cancel"), 409, "illegal-transition")
    problem(service.post("/v1/sweeps/swp_x/cancel"), 404, "not-found")
    problem(service.get("/v1/sweeps/swp_x"), 404, "not-found")


@ON_BOTH
def test_a_cancelled_search_without_a_trial_has_ended(service: TestClient, stored: Stored) -> None:
    """A TPE sweep begins without trials, which the keeper proposes; cancelled before, it has ended at once."""
    stored.dataset()
    sweep = service.post("/v1/sweeps", json=SWEEP | {"search": TPE}).json()
    assert (sweep["state"], sweep["counts"]) == ("queued", {"total": 5, "to_come": 5, "states": {}})
    cancelled = service.post(f"/v1/sweeps/{sweep['id']}/cancel").json()
    assert (cancelled["state"], cancelled["finished_at"] is not None) == ("cancelled", True)


def test_lists_come_in_pages_without_trials(service: TestClient, stored: Stored) -> None:
    """Sweeps are listed newest first with their counts; one alone is shown as in the list."""
    stored.dataset()
    ids = [service.post("/v1/sweeps", json=SWEEP).json()["id"] for _ in range(3)]
    first = service.get("/v1/sweeps?limit=2").json()
    rest = service.get(f"/v1/sweeps?limit=2&cursor={first['next_cursor']}").json()
    assert [sweep["id"] for sweep in first["items"] + rest["items"]] == ids[::-1]
    assert (first["items"][0]["counts"]["total"], "trials" in first["items"][0]) == (2, False)
    assert service.get(f"/v1/sweeps/{ids[-1]}/summary").json() == first["items"][0]
    problem(service.get("/v1/sweeps/swp_x/summary"), 404, "not-found")
