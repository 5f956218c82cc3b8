"""What holds for every route: errors, limits, pages, headers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from api.body import JSON_BYTES
from api.main import create_app
from store.settings import Settings
from tests.integration.api.conftest import HERE, ON_BOTH
from tests.integration.api.stored import Stored

JSON = {"Content-Type": "application/json"}


def problem(answer: Response, status: int, kind: str) -> dict[str, Any]:
    """The problem of an answer, after a look at its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert content["type"] == f"urn:pskd:problem:{kind}"
    assert content["status"] == status
    assert content["title"]
    assert content["detail"]
    assert content["instance"] == answer.request.url.path
    assert content["request_id"] == answer.headers["x-request-id"]
    return content


def test_unknown_paths_and_ids_are_problems(service: TestClient) -> None:
    """404 has one shape, whether the route or the thing is unknown."""
    problem(service.get("/v2/nothing"), 404, "not-found")
    problem(service.get("/v1/jobs/"), 404, "not-found")
    assert problem(service.get("/v1/jobs/job_x"), 404, "not-found")["detail"] == "there is no job 'job_x'"


@ON_BOTH
@pytest.mark.parametrize(
    "path", ["/v1/jobs/%00", "/v1/models/a%00b", "/v1/datasets/%F0%9F%98%80", "/v1/runs/%FF/report"]
)
def test_hostile_ids_are_unknown_ids(service: TestClient, path: str) -> None:
    """A NUL or a stray byte in a path never reaches the database as an error."""
    problem(service.get(path), 404, "not-found")


def test_a_wrong_method_is_told_the_right_ones(service: TestClient) -> None:
    """405 names every method that the path takes."""
    answer = service.put("/v1/jobs")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_a_path_says_what_it_takes(service: TestClient) -> None:
    """OPTIONS is answered with the methods, and opens nothing to pages from elsewhere; no path takes everything."""
    answer = service.options("/v1/jobs/job_1/cancel")
    assert (answer.status_code, answer.headers["allow"]) == (204, "OPTIONS, POST")
    assert not [name for name in answer.headers if name.startswith("access-control")]
    problem(service.options("/v1/nothing"), 404, "not-found")


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/job_1", "/docs", "/openapi.json", "/metrics"])
def test_heads_are_answers_without_bodies(service: TestClient, path: str) -> None:
    """HEAD has the status and the headers of GET, errors included, and nothing else."""
    head, whole = service.head(path), service.get(path)
    assert (head.status_code, head.headers["content-type"]) == (whole.status_code, whole.headers["content-type"])
    assert head.content == b""


@pytest.mark.parametrize("name", ["Authorization", "Content-Type", "Idempotency-Key", "Host", "X-Request-ID"])
def test_a_header_that_has_one_value_comes_once(service: TestClient, name: str) -> None:
    """Of two, a proxy and this service might each believe another; the refusal names the header."""
    headers = [(name, "127.0.0.1:8750"), (name, "x")]
    faults = problem(service.post("/v1/jobs", content=b"{}", headers=headers), 400, "malformed-request")["errors"]
    assert [fault["header"] for fault in faults] == [name.lower()]


def test_a_body_that_announces_too_much_is_not_read(service: TestClient) -> None:
    """413 comes before the body is read."""
    problem(service.post("/v1/jobs", content=b" " * (JSON_BYTES + 1), headers=JSON), 413, "body-too-large")


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "9" * 5000])
def test_a_length_that_is_none_hurts_nobody(service: TestClient, length: str) -> None:
    """A hostile Content-Length is not believed; what arrives is counted."""
    answer = service.post("/v1/jobs", content=b"{}", headers={"Content-Type": "text/plain", "Content-Length": length})
    problem(answer, 415, "unsupported-media-type")


def test_a_body_that_grows_too_large_is_cut_off(service: TestClient) -> None:
    """A body without a length is counted while it streams."""
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 16 * JSON_BYTES:
            sent += 65536
            yield b" " * 65536

    problem(service.post("/v1/jobs", content=endless(), headers=JSON), 413, "body-too-large")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", ""])
def test_a_body_of_another_type_is_refused(service: TestClient, kind: str) -> None:
    """415 where JSON is due, whatever the body holds, and what is read is named."""
    answer = service.post("/v1/jobs", content=b"{}", headers={"Content-Type": kind})
    assert "application/json" in problem(answer, 415, "unsupported-media-type")["detail"]


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 50_000])
def test_a_body_that_is_no_json_is_malformed(service: TestClient, body: bytes) -> None:
    """400 for what cannot be parsed at all."""
    problem(service.post("/v1/jobs", content=body, headers=JSON), 400, "malformed-request")


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999"])
def test_numbers_that_are_none_are_refused(service: TestClient, number: bytes) -> None:
    """NaN and infinities never get into the store, and their place is named."""
    body = b'{"dataset": "d", "training": {"ema_decay": ' + number + b"}}"
    faults = problem(service.post("/v1/jobs", content=body, headers=JSON), 422, "invalid-request")["errors"]
    assert [fault["pointer"] for fault in faults] == ["/training/ema_decay"]


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null", b"1", b""])
def test_a_body_that_is_no_object_is_refused(service: TestClient, body: bytes) -> None:
    """JSON of the wrong form is told so."""
    problem(service.post("/v1/jobs", content=body, headers=JSON), 422, "invalid-request")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("limit=-1", "limit"), ("limit=0", "limit"), ("limit=x", "limit"), ("state=odd", "state"), ("cursor=", None)],
)
def test_wrong_parameters_are_named(service: TestClient, query: str, parameter: str | None) -> None:
    """422 says which parameter is wrong."""
    answer = service.get(f"/v1/jobs?{query}")
    if parameter is None:
        problem(answer, 422, "bad-cursor")
    else:
        faults = problem(answer, 422, "invalid-request")["errors"]
        assert [fault["parameter"] for fault in faults] == [parameter]


def test_a_large_limit_is_capped(service: TestClient) -> None:
    """Asking for a million items gives a full page, not an error and not a million."""
    assert service.get("/v1/jobs?limit=1000000").status_code == 200


@ON_BOTH
def test_a_cursor_belongs_to_its_filters(service: TestClient, stored: Stored) -> None:
    """A cursor goes on where its page ended, and is refused by another list, other filters and when tampered with."""
    stored.dataset()
    submitted = [stored.job(seeds=[seed]) for seed in range(3)]
    first = service.get("/v1/jobs?limit=2").json()
    cursor = first["next_cursor"]
    second = service.get(f"/v1/jobs?limit=2&cursor={cursor}").json()
    assert [job["id"] for job in first["items"] + second["items"]] == submitted[::-1]
    assert second["next_cursor"] is None
    for path in ("/v1/datasets?", "/v1/jobs?state=queued&"):
        problem(service.get(f"{path}cursor={cursor}"), 422, "bad-cursor")
    problem(service.get(f"/v1/jobs?cursor=x{cursor}"), 422, "bad-cursor")


def test_a_request_keeps_the_id_it_came_with(service: TestClient) -> None:
    """A proxy's id is passed on if it is harmless; otherwise the request gets one."""
    assert service.get("/livez", headers={"X-Request-ID": "gw-1.2"}).headers["x-request-id"] == "gw-1.2"
    made = service.get("/livez", headers={"X-Request-ID": "a b<script>"}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", made)


@pytest.mark.parametrize("path", ["/livez", "/v1/jobs", "/v1/nothing", "/docs"])
def test_every_answer_is_guarded(service: TestClient, path: str) -> None:
    """No answer may be framed, sniffed or scripted from elsewhere, errors included."""
    headers = service.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_a_foreign_page_gets_nowhere(service: TestClient) -> None:
    """The guard stands before every route, and its refusal is a problem like any other."""
    problem(service.get("/v1/jobs", headers={"Host": "evil.example"}), 403, "forbidden")
    problem(service.post("/v1/jobs", json={}, headers={"Origin": "https://evil.example"}), 403, "forbidden")
    assert service.get("/v1/jobs", headers={"Origin": HERE}).status_code == 200


def test_a_crash_is_a_problem(
    service: TestClient, stored: Stored, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that nobody foresaw is a 500 without insides, and the log has it under the request id."""
    dataset_id = stored.dataset()
    service.get(f"/v1/datasets/{dataset_id}/recordings")
    monkeypatch.setattr("api.plots.summary", None)
    content = problem(service.get(f"/v1/datasets/{dataset_id}/recordings"), 500, "internal-error")
    assert "NoneType" not in content["detail"]
    assert content["request_id"] in caplog.text
    assert "NoneType" in caplog.text


def test_a_lost_object_is_a_problem(settings: Settings, stored: Stored, tmp_path: Path) -> None:
    """Damage to the object store is our fault, not the caller's."""
    dataset_id = stored.dataset()
    elsewhere = settings.model_copy(update={"object_store_url": str(tmp_path / "empty")})
    with TestClient(create_app(elsewhere), base_url=HERE) as service:
        problem(service.get(f"/v1/datasets/{dataset_id}/recordings"), 500, "internal-error")


def test_the_docs_need_nobody_else(service: TestClient) -> None:
    """The page and what it loads come from here, and no script is in it."""
    page = service.get("/docs").text
    assert "//" not in page
    assert "<script>" not in page
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', page):
        assert len(service.get(path).content) > 50
    assert service.get("/openapi.json").json()["paths"]
