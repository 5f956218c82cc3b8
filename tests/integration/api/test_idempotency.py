"""A creating request that is sent again creates once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from store.settings import Settings
from tests.integration.api.conftest import HERE, ON_BOTH
from tests.integration.api.stored import SPEC, Stored
from tests.integration.api.test_conventions import problem

KEY = {"Idempotency-Key": "abc-123"}


@ON_BOTH
def test_a_repeated_submission_gets_the_first_answer(service: TestClient, stored: Stored) -> None:
    """Same key, same payload: the stored answer comes back, although the job has changed since, and says so."""
    stored.dataset()
    first = service.post("/v1/jobs", json=SPEC, headers=KEY)
    stored.claim()
    again = service.post("/v1/jobs", json=SPEC, headers=KEY)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert len(service.get("/v1/jobs").json()["items"]) == 1


def test_equal_meaning_is_equal_payload(service: TestClient, stored: Stored) -> None:
    """A spec is compared as it is understood, not byte by byte; a form's random boundary is no difference either."""
    stored.dataset()
    service.post("/v1/jobs", json=SPEC, headers=KEY)
    assert service.post("/v1/jobs", json=SPEC | {"test": "report"}, headers=KEY).status_code == 202
    upload = {"files": {"file": ("d.zip", b"PK")}, "headers": {"Idempotency-Key": "upload"}}
    first = service.post("/v1/datasets", **upload).json()  # type: ignore[arg-type]
    assert service.post("/v1/datasets", **upload).json() == first  # type: ignore[arg-type]


@ON_BOTH
@pytest.mark.parametrize("other", [{"seeds": [7]}, {"name": "other"}])
def test_a_key_with_another_payload_is_refused(service: TestClient, stored: Stored, other: dict[str, object]) -> None:
    """A key that is used twice for different things is a mistake of the client that must not pass in silence."""
    stored.dataset()
    service.post("/v1/jobs", json=SPEC, headers=KEY)
    problem(service.post("/v1/jobs", json=SPEC | other, headers=KEY), 422, "idempotency-key-reused")
    source = {"name": "other", "source": {"kind": "synthetic"}}
    problem(service.post("/v1/datasets", json=source, headers=KEY), 422, "idempotency-key-reused")


@ON_BOTH
def test_a_refused_request_keeps_no_key(service: TestClient, stored: Stored) -> None:
    """A request that failed may be mended and sent again under its key."""
    problem(service.post("/v1/jobs", json=SPEC, headers=KEY), 422, "invalid-spec")
    stored.dataset()
    assert service.post("/v1/jobs", json=SPEC, headers=KEY).status_code == 202


_SWEEP = {
    "base": {**SPEC, "validation": {"kind": "trials", "trials": ["1"]}},
    "space": {"training.epochs": {"choices": [2]}},
}


@ON_BOTH
@pytest.mark.parametrize(("path", "body"), [("/v1/jobs", SPEC), ("/v1/sweeps", _SWEEP)])
@pytest.mark.parametrize("since", ["failed", "deleted", "full"])
def test_a_repetition_has_its_answer_whatever_became_of_the_dataset(
    service: TestClient, stored: Stored, settings: Settings, path: str, body: dict[str, object], since: str
) -> None:
    """The answer may have been lost on its way; that nobody could submit the like today is no reason to deny it."""
    dataset = service.post("/v1/datasets", json={"name": "tiny", "source": {"kind": "synthetic"}}).json()
    first = service.post(path, json=body, headers=KEY)
    assert first.status_code == 202, first.text
    if since == "failed":
        stored.fail_import("row 7 of a.csv is no number")
    elif since == "deleted":
        stored.fail_import("row 7 of a.csv is no number")
        assert service.delete(f"/v1/datasets/{dataset['id']}", params={"force": True}).is_success
    limits = {"tenant_storage_bytes": 1, "tenant_waiting_jobs": 1} if since == "full" else {}
    with TestClient(create_app(settings.model_copy(update=limits)), base_url=HERE) as another:
        again = another.post(path, json=body, headers=KEY)
        assert (again.status_code, again.content) == (202, first.content)
        assert again.headers["idempotent-replayed"] == "true"
        fresh = another.post(path, json=body)
        assert fresh.status_code in {409, 422, 429, 507}, fresh.text
        other = another.post(path, json=body | {"name": "other"}, headers=KEY)
        problem(other, 422, "idempotency-key-reused")


@ON_BOTH
def test_many_at_once_create_one(service: TestClient, stored: Stored) -> None:
    """Of requests that arrive together one creates; the others get its answer or are told to come back."""
    stored.dataset()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.post("/v1/jobs", json=SPEC, headers=KEY), range(16)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    for answer in answers:
        if answer.status_code == 409:
            problem(answer, 409, "request-in-flight")
    assert len({answer.content for answer in answers if answer.status_code == 202}) == 1
    assert len(service.get("/v1/jobs").json()["items"]) == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
def test_an_unusable_key_is_refused(service: TestClient, stored: Stored, key: str) -> None:
    """A key must be short and printable, or two clients might not agree what it is."""
    stored.dataset()
    answer = service.post("/v1/jobs", json=SPEC, headers={b"Idempotency-Key": key.encode()})
    assert problem(answer, 422, "invalid-request")["errors"][0]["header"] == "idempotency-key"
