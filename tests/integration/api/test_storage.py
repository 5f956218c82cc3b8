"""What a tenant has stored over HTTP, the limit that refuses more, and what was removed of old jobs."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from store import retention
from store.models import Dataset, Job
from store.settings import Settings
from tests.integration.api.conftest import ON_BOTH
from tests.integration.api.stored import BUNDLE_BYTES, DATASET_BYTES, PREDICTIONS, SPEC, Stored
from tests.integration.api.test_conventions import problem
from tests.integration.api.test_datasets import a_zip

LIMIT_BYTES = 100_000
SYNTHETIC = {"kind": "synthetic"}
SWEEP = {
    "base": {**SPEC, "validation": {"kind": "trials", "trials": ["1"]}},
    "space": {"training.epochs": {"choices": [2, 4]}},
}


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """The same, with a limit."""
    return settings.model_copy(update={"tenant_storage_bytes": LIMIT_BYTES})


def fill(stored: Stored, *, left_bytes: int = 0) -> None:
    """Make the first dataset so large that so much is left."""
    with stored.database.write() as session:
        session.execute(update(Dataset).values(tree_bytes=LIMIT_BYTES - left_bytes))


@ON_BOTH
def test_usage_says_what_is_stored_and_what_is_left(service: TestClient, stored: Stored) -> None:
    """An upload counts with its bytes, a finished job with model and predictions, and the sum is what is not left."""
    stored.dataset()
    stored.finished_job()
    content = a_zip()
    service.post("/v1/datasets", files={"file": ("mine.zip", content)})
    used = service.get("/v1/usage").json()
    shown = {kind: (kept["count"], kept["size_bytes"]) for kind, kept in used["kinds"].items()}
    assert shown == {
        "datasets": (2, DATASET_BYTES + len(content)),
        "classifications": (0, 0),
        "model_versions": (1, BUNDLE_BYTES),
        "runs": (1, len(PREDICTIONS)),
        "checkpoints": (0, 0),
        "jobs": (1, 0),
        "sweeps": (0, 0),
    }
    assert used["size_bytes"] == sum(size for _, size in shown.values())
    assert used["left_bytes"] == used["limit_bytes"] - used["size_bytes"] == LIMIT_BYTES - used["size_bytes"]


def test_without_a_limit_nothing_is_said_to_be_left(service: TestClient, stored: Stored) -> None:
    """A service whose operator sets none answers so and takes what comes."""
    open_ = service.app.state.services.settings.model_copy(update={"tenant_storage_bytes": None})  # type: ignore[attr-defined]
    object.__setattr__(service.app.state.services, "settings", open_)  # type: ignore[attr-defined]
    stored.dataset()
    fill(stored)
    used = service.get("/v1/usage").json()
    assert (used["limit_bytes"], used["left_bytes"]) == (None, None)
    assert service.post("/v1/jobs", json=SPEC).status_code == 202
    assert service.post("/v1/datasets", files={"file": ("mine.zip", a_zip())}).status_code == 202


@ON_BOTH
def test_an_upload_that_does_not_fit_is_refused_with_figures(
    service: TestClient, stored: Stored, settings: Settings
) -> None:
    """One byte too many is refused with figures and leaves neither row nor object nor file; what just fits is taken."""
    stored.dataset()
    content = a_zip()
    fill(stored, left_bytes=len(content) - 1)
    before = {each.digest for each in stored.objects.stored()}
    refused = problem(service.post("/v1/datasets", files={"file": ("mine.zip", content)}), 507, "storage-full")
    stored_bytes = LIMIT_BYTES - len(content) + 1
    figures = {"stored_bytes": stored_bytes, "adding_bytes": len(content), "limit_bytes": LIMIT_BYTES}
    assert refused["storage"] == figures
    assert "delete datasets, jobs, sweeps or models" in refused["detail"]
    assert [each["name"] for each in service.get("/v1/datasets").json()["items"]] == ["tiny"]
    assert {each.digest for each in stored.objects.stored()} == before
    assert list((settings.cache_dir / "uploads").iterdir()) == []
    fill(stored, left_bytes=len(content))
    assert service.post("/v1/datasets", files={"file": ("mine.zip", content)}).status_code == 202
    assert service.get("/v1/usage").json()["left_bytes"] == 0
    refused = problem(service.post("/v1/datasets", json={"name": "n", "source": SYNTHETIC}), 507, "storage-full")
    assert refused["storage"]["adding_bytes"] == 0


def test_a_repetition_gets_its_answer_though_no_room_is_left(service: TestClient, stored: Stored) -> None:
    """What was accepted under a key is accepted again; nothing new is."""
    stored.dataset()
    key, content = {"Idempotency-Key": "once"}, a_zip()
    first = service.post("/v1/datasets", files={"file": ("mine.zip", content)}, headers=key)
    job = service.post("/v1/jobs", json=SPEC, headers={"Idempotency-Key": "job"})
    fill(stored)
    again = service.post("/v1/datasets", files={"file": ("mine.zip", content)}, headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    repeated = service.post("/v1/jobs", json=SPEC, headers={"Idempotency-Key": "job"})
    assert (repeated.status_code, repeated.json()) == (202, job.json())


@ON_BOTH
def test_a_full_tenant_finishes_what_runs_and_starts_nothing(service: TestClient, stored: Stored) -> None:
    """A run that ends stores its model beyond the limit; jobs and sweeps are refused, until something was deleted."""
    stored.dataset()
    stored.finished_job()
    stored.job(seeds=[1])
    claimed = stored.claim()
    fill(stored)
    stored.train(claimed)
    stored.succeed(claimed)
    assert [each["version"] for each in service.get("/v1/models/tiny").json()["items"]] == [2, 1]
    used = service.get("/v1/usage").json()
    assert (used["left_bytes"], used["size_bytes"] > LIMIT_BYTES) == (0, True)
    for path, body in (("/v1/jobs", SPEC), ("/v1/sweeps", SWEEP)):
        refused = problem(service.post(path, json=body), 507, "storage-full")
        assert refused["storage"] == {
            "stored_bytes": used["size_bytes"],
            "adding_bytes": 0,
            "limit_bytes": LIMIT_BYTES,
        }
    assert service.post("/v1/jobs?dry_run=true", json=SPEC).status_code == 200
    fill(stored, left_bytes=LIMIT_BYTES // 2)
    for path, body in (("/v1/jobs", SPEC), ("/v1/sweeps", SWEEP)):
        assert service.post(path, json=body).status_code == 202


@ON_BOTH
def test_what_was_removed_of_a_job_is_said(service: TestClient, stored: Stored) -> None:
    """Curves and events that retention took are not merely empty: job, curves, events and page say when they went."""
    stored.dataset()
    job_id = stored.finished_job()
    path = f"/v1/jobs/{job_id}"
    assert service.get(path).json()["curves_removed_at"] is None
    whole = service.get(f"{path}/events").json()
    assert (len(whole["items"]) > 4, whole["removed_at"]) == (True, None)
    with stored.database.write() as session:
        assert session.get_one(Job, job_id).finished_at is not None
        for remove in (retention.remove_curves, retention.remove_events):
            assert remove(session, older_than_s=-60.0, start="") is not None
    job = service.get(path).json()
    assert None not in (job["curves_removed_at"], job["events_removed_at"])
    assert job["checkpoints_removed_at"] is None
    assert service.get(f"{path}/events").json() == {
        "items": [],
        "next_cursor": None,
        "removed_at": job["events_removed_at"],
    }
    curves = service.get(f"{path}/metrics").json()
    assert (curves["runs"][0]["curves"], curves["removed_at"]) == ({}, job["curves_removed_at"])
    (listed,) = service.get("/v1/jobs").json()["items"]
    assert listed["curves_removed_at"] == job["curves_removed_at"]
    assert "Curves were removed" in service.get(f"/jobs/{job_id}").text
    accept = {"Accept": "text/event-stream"}
    assert service.get(f"{path}/events", headers=accept).status_code == 204
