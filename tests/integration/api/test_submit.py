"""What a submit costs, and what it may rely on."""

from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.deps import Services
from store import datasets, workers
from tests.integration.api.conftest import ON_BOTH
from tests.integration.api.stored import SPEC, Stored
from tests.stored import counted

_KINDS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_MINE = ("dataset", "job", "event", "run", "outbox")  # find, and four inserts


def services_of(service: TestClient) -> Services:
    found: Services = cast(FastAPI, service.app).state.services
    return found


def submit(service: TestClient, **fields: Any) -> dict[str, Any]:
    headers = fields.pop("headers", {})
    answer = service.post("/v1/jobs", json=SPEC | fields, headers=headers)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    return told


@ON_BOTH
@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_a_submit_is_five_statements(
    service: TestClient, stored: Stored, monkeypatch: pytest.MonkeyPatch, seeds: list[int]
) -> None:
    """However many runs it has and jobs wait; an Idempotency-Key costs two more. A look now and then comes on top."""
    stored.dataset()
    monkeypatch.setattr(services_of(service).recent, "_lasts_s", 60.0)
    for _ in range(3):
        submit(service, seeds=[0, 1])
    with counted(services_of(service).database, _KINDS) as statements:
        submit(service, seeds=seeds)
    assert len(statements) == len(_MINE), statements
    with counted(services_of(service).database, _KINDS) as statements:
        submit(service, seeds=seeds, headers={"Idempotency-Key": "k"})
    assert len(statements) == len(_MINE) + 2, statements


@ON_BOTH
def test_the_answer_to_a_submit_is_the_job_as_it_stands(service: TestClient, stored: Stored) -> None:
    """It says of the job what reading it says, though it asks less."""
    stored.dataset()
    told = submit(service, seeds=[0, 1], name="mine")
    assert told == service.get(f"/v1/jobs/{told['id']}").json()
    assert (told["state"], told["progress"]["runs"]) == ("queued", {"queued": 2})


def test_a_submit_warns_as_long_as_nobody_serves_its_queue(
    service: TestClient, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are looked for once a second at most, and seen soon after they are there."""
    stored.dataset()
    (warning,) = submit(service)["warnings"]
    assert warning.startswith("no worker of queue cpu or gpu has been seen")
    with stored.database.write() as session:
        workers.seen(session, "host:1", queues=["cpu"], device="cpu", devices=[], runs_at_once=1)
    monkeypatch.setattr(services_of(service).recent, "_lasts_s", 0.0)
    assert submit(service)["warnings"] == []


@ON_BOTH
def test_what_is_remembered_of_a_dataset_decides_nothing(service: TestClient, stored: Stored) -> None:
    """A dataset that was there a moment ago and has failed since is refused all the same."""
    service.post("/v1/datasets", json={"name": "tiny", "source": {"kind": "synthetic"}})
    assert submit(service)["state"] == "validating"
    stored.fail_import("row 7 of a.csv is no number")
    refused = service.post("/v1/jobs", json=SPEC)
    assert (refused.status_code, "row 7" in refused.json()["detail"]) == (409, True)
    with stored.database.read() as session:
        assert datasets.resolve(session, "tiny").detail is not None
