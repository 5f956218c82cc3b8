"""Deleting over HTTP: what refers to a thing is named, or goes along; nothing is deleted that runs or is served."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import func, select

from store import leaderboard
from store.models import Configuration, Event, Metric, Outbox, Run, SweepTrial
from tests.integration.api.conftest import ON_BOTH
from tests.integration.api.stored import SPEC, Stored
from tests.integration.api.test_conventions import problem

FORCE = {"force": True}


def refused(answer: Response) -> list[tuple[str, str]]:
    """What a deletion was refused for: kinds and ids."""
    return [(each["kind"], each["id"]) for each in problem(answer, 409, "still-used")["references"]]


def count(stored: Stored, table: Any) -> int:
    with stored.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


@ON_BOTH
def test_a_dataset_names_its_jobs_or_takes_them_along(service: TestClient, stored: Stored) -> None:
    """A dataset with a job is kept and the job named; with force both go, and the name is free again."""
    dataset_id = stored.dataset()
    job_id = stored.job()
    running = problem(service.delete(f"/v1/datasets/{dataset_id}", params=FORCE), 409, "illegal-transition")
    assert job_id in running["detail"]
    assert "cancel it first" in running["detail"]
    service.post(f"/v1/jobs/{job_id}/cancel")
    assert refused(service.delete(f"/v1/datasets/{dataset_id}")) == [("job", job_id)]
    gone = service.delete(f"/v1/datasets/{dataset_id}", params=FORCE)
    assert (gone.status_code, gone.json()) == (200, {"removed": {"datasets": 1, "jobs": 1}})
    problem(service.get(f"/v1/datasets/{dataset_id}"), 404, "not-found")
    problem(service.get(f"/v1/jobs/{job_id}"), 404, "not-found")
    problem(service.delete(f"/v1/datasets/{dataset_id}"), 404, "not-found")
    assert stored.dataset() != dataset_id


def test_deleting_a_dataset_ends_its_import(service: TestClient, stored: Stored) -> None:
    """What is being imported can be deleted; the worker that is at it finds its claim gone."""
    made = service.post("/v1/datasets", json={"name": "made", "source": {"kind": "synthetic"}}).json()
    assert service.delete(f"/v1/datasets/{made['id']}").status_code == 200
    with pytest.raises(AssertionError):  # nothing is there to be claimed
        stored.finish_import()


@ON_BOTH
def test_results_do_not_vanish_silently(service: TestClient, stored: Stored) -> None:
    """A job with a result and a version is kept and both are named; forced, the row equals its recomputation."""
    stored.dataset()
    first, second = stored.finished_job(seeds=[0]), stored.finished_job(seeds=[1], accuracy=0.5)
    (row,) = service.get("/v1/leaderboard").json()["items"]
    assert row["n_seeds"] == 2
    assert refused(service.delete(f"/v1/jobs/{second}")) == [
        ("leaderboard row", row["id"]),
        ("model version", "tiny/2"),
    ]
    gone = service.delete(f"/v1/jobs/{second}", params=FORCE).json()
    assert gone == {"removed": {"jobs": 1, "model_versions": 1}}
    (left,) = service.get("/v1/leaderboard").json()["items"]
    assert (left["id"], left["n_seeds"], left["accuracy"]["mean"]) == (row["id"], 1, 0.75)
    assert [each["id"] for each in service.get("/v1/jobs").json()["items"]] == [first]
    with stored.database.write() as session:
        kept = session.scalars(select(Configuration)).one()
        before = {column.key: getattr(kept, column.key) for column in Configuration.__table__.columns}
        leaderboard.refresh(session, kept)
        after = {column.key: getattr(kept, column.key) for column in Configuration.__table__.columns}
        assert before | {"updated_at": None} == after | {"updated_at": None}
    assert {count(stored, Run), count(stored, Event) > 0} == {1}


@ON_BOTH
def test_what_is_served_keeps_its_provenance(service: TestClient, stored: Stored) -> None:
    """A job whose model an alias names stays even if forced; once the model is deleted it goes, row and all."""
    dataset_id = stored.dataset()
    job_id = stored.finished_job()
    for path in (f"/v1/jobs/{job_id}", f"/v1/datasets/{dataset_id}"):
        assert refused(service.delete(path, params=FORCE)) == [("alias", "champion")]
    assert service.get("/v1/models/tiny/versions/1").json()["job_id"] == job_id
    assert refused(service.delete("/v1/models/tiny")) == [("alias", "champion")]
    gone = service.delete("/v1/models/tiny", params=FORCE).json()
    assert gone == {"removed": {"models": 1, "model_versions": 1, "aliases": 1}}
    problem(service.get("/v1/models/tiny"), 404, "not-found")
    assert service.get(f"/v1/jobs/{job_id}").json()["state"] == "succeeded"
    gone = service.delete(f"/v1/datasets/{dataset_id}", params=FORCE).json()
    assert gone == {"removed": {"datasets": 1, "jobs": 1, "leaderboard_rows": 1}}
    assert service.get("/v1/leaderboard").json()["items"] == []
    assert [count(stored, table) for table in (Run, Event, Metric)] == [0, 0, 0]


@ON_BOTH
def test_a_version_is_deleted_and_its_number_is_not_given_again(service: TestClient, stored: Stored) -> None:
    """A version that an alias names is kept unless forced, which the history tells; the next version counts on."""
    stored.dataset()
    stored.finished_job(seeds=[0, 1])
    assert service.delete("/v1/models/tiny/versions/2").json() == {"removed": {"model_versions": 1}}
    problem(service.get("/v1/models/tiny/versions/2"), 404, "not-found")
    assert refused(service.delete("/v1/models/tiny/versions/1")) == [("alias", "champion")]
    assert service.delete("/v1/models/tiny/versions/1", params=FORCE).status_code == 200
    last = service.get("/v1/models/tiny/history").json()["items"][0]
    assert (last["to_version"], last["reason"]) == (None, "version 1 of model 'tiny' was deleted")
    assert service.get("/v1/models/tiny").json()["items"] == []
    problem(service.post("/v1/models/tiny/classify", content=b"0,0,1\n", headers=CSV), 404, "not-found")
    stored.finished_job(seeds=[2])
    assert [each["version"] for each in service.get("/v1/models/tiny").json()["items"]] == [3]


CSV = {"Content-Type": "text/csv"}


@ON_BOTH
def test_rows_of_one_content_name_a_dataset_that_is_there(service: TestClient, stored: Stored) -> None:
    """Of two datasets of the same content the one can go; the row that both share then names the other."""
    first = stored.dataset()
    stored.finished_job(seeds=[0])
    second = stored.dataset("again")
    stored.finished_job(dataset="again", seeds=[1])
    service.delete("/v1/models/tiny", params=FORCE)
    assert service.delete(f"/v1/datasets/{first}", params=FORCE).status_code == 200
    (row,) = service.get("/v1/leaderboard").json()["items"]
    assert (row["dataset_id"], row["dataset_name"], row["n_seeds"]) == (second, "again", 1)


@ON_BOTH
def test_a_trial_s_job_waits_for_its_sweep(service: TestClient, stored: Stored) -> None:
    """While a sweep goes on its trials stay; later a forced deletion leaves the trial, which says why it is bare."""
    stored.dataset()
    base = {**SPEC, "validation": {"kind": "trials", "trials": ["1"]}}
    space = {"training.epochs": {"choices": [2, 4]}}
    sweep = service.post("/v1/sweeps", json={"base": base, "space": space}).json()["id"]
    claimed = stored.claim()
    stored.validate(claimed, accuracy=0.5)
    job_id = claimed.job_id
    going_on = problem(service.delete(f"/v1/jobs/{job_id}", params=FORCE), 409, "illegal-transition")
    assert sweep in going_on["detail"]
    stored.validate(stored.claim(), accuracy=0.75)
    assert refused(service.delete(f"/v1/jobs/{job_id}")) == [("sweep", sweep)]
    assert service.delete(f"/v1/jobs/{job_id}", params=FORCE).json() == {"removed": {"jobs": 1}}
    with stored.database.read() as session:
        bare = session.scalars(select(SweepTrial).where(SweepTrial.job_id.is_(None))).one()
        assert (bare.cause, bare.parameters) == ("deleted", {"training.epochs": 2})
    shown = service.get(f"/v1/sweeps/{sweep}").json()
    assert [trial["detail"] for trial in shown["trials"]] == ["its job was deleted", None]


@ON_BOTH
def test_a_sweep_names_its_jobs_or_takes_them_along(service: TestClient, stored: Stored) -> None:
    """A sweep that goes on is kept; ended, it names its trials' jobs, and with force goes with them."""
    dataset_id = stored.dataset()
    base = {**SPEC, "validation": {"kind": "trials", "trials": ["1"]}}
    space = {"training.epochs": {"choices": [2, 4]}}
    sweep = service.post("/v1/sweeps", json={"base": base, "space": space}).json()["id"]
    path = f"/v1/sweeps/{sweep}"
    assert "cancel it first" in problem(service.delete(path, params=FORCE), 409, "illegal-transition")["detail"]
    claimed = [stored.claim(), stored.claim()]
    for each in claimed:
        stored.validate(each, accuracy=0.5)
    assert refused(service.delete(path)) == [("job", each.job_id) for each in claimed]
    assert service.get(path).json()["state"] == "succeeded"
    assert service.delete(path, params=FORCE).json() == {"removed": {"sweeps": 1, "jobs": 2}}
    problem(service.get(path), 404, "not-found")
    problem(service.delete(path), 404, "not-found")
    assert [count(stored, table) for table in (SweepTrial, Run)] == [0, 0]
    assert service.delete(f"/v1/datasets/{dataset_id}").json() == {"removed": {"datasets": 1}}


def test_a_sweep_whose_jobs_are_gone_goes_by_itself(service: TestClient, stored: Stored) -> None:
    """Once nothing refers to an ended sweep it needs no force."""
    stored.dataset()
    base = {**SPEC, "validation": {"kind": "trials", "trials": ["1"]}}
    space = {"training.epochs": {"choices": [2, 4]}}
    sweep = service.post("/v1/sweeps", json={"base": base, "space": space}).json()
    service.post(f"/v1/sweeps/{sweep['id']}/cancel")
    for trial in sweep["trials"]:
        assert service.delete(f"/v1/jobs/{trial['job_id']}", params=FORCE).status_code == 200
    assert service.delete(f"/v1/sweeps/{sweep['id']}").json() == {"removed": {"sweeps": 1}}


def test_what_was_still_to_be_told_of_a_job_goes_with_it(service: TestClient, stored: Stored) -> None:
    """No note for MLflow is left that names a run which is gone."""
    stored.dataset()
    job_id = stored.job()
    claimed = stored.claim()
    with stored.database.write() as session:
        session.add(Outbox(kind="mlflow", key=claimed.run_id, payload={"op": "state", "state": "running"}))
    stored.fail(claimed.claim, "nan")
    assert service.delete(f"/v1/jobs/{job_id}").status_code == 200
    with stored.database.read() as session:
        assert session.scalars(select(Outbox).where(Outbox.kind == "mlflow")).all() == []


@ON_BOTH
def test_submitting_and_deleting_at_once_leaves_no_job_without_its_dataset(service: TestClient, stored: Stored) -> None:
    """Of jobs that are submitted while their dataset is deleted each is there with it, or refused."""
    for number in range(4):
        dataset_id = stored.dataset(f"d{number}")
        spec = SPEC | {"dataset": dataset_id}
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(service.post, "/v1/jobs", json=spec) for _ in range(3)]
            deleted = pool.submit(service.delete, f"/v1/datasets/{dataset_id}").result().status_code
            told = [each.result().status_code for each in asked]
        assert set(told) <= {202, 404, 422}
        kept = service.get(f"/v1/datasets/{dataset_id}").status_code
        assert (deleted, kept) == ((409, 200) if 202 in told else (200, 404))
