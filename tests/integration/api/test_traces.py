"""Spans of requests, as a real collector receives them over OTLP."""

import sys
import threading

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from store import traces
from store.models import Job
from store.settings import Settings
from store.traces import ENDPOINT, NotInstalled
from tests.collector import collecting
from tests.integration.api.conftest import HERE
from tests.integration.api.stored import SPEC, Stored

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_each_request_is_a_span_named_by_its_route(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has method, route, status and request id, and no path; one that fails by our fault is marked, others not."""
    with collecting(monkeypatch) as collector:
        lost = settings.model_copy(update={"database_url": "sqlite:////nonexistent/pskd.db"})
        with TestClient(create_app(lost), base_url=HERE, raise_server_exceptions=False) as service:
            request_id = service.get("/v1/jobs/job_secret").headers["x-request-id"]
            service.head("/livez")
            service.get("/nowhere")
        spans = collector.spans
    assert [(span.name, span.failed) for span in spans] == [
        ("GET /v1/jobs/{job_id}", True),
        ("HEAD /livez", False),
        ("GET", False),
    ]
    assert {span.service for span in spans} == {"pskd-api"}
    assert spans[0].attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/jobs/{job_id}",
        "http.response.status_code": 503,
        "pskd.request_id": request_id,
    }
    assert {span.parent_id for span in spans} == {""}
    assert len({span.trace_id for span in spans}) == 3


def test_a_caller_s_trace_goes_on(settings: Settings, stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """The span is below the caller's, and the job remembers it; what is no traceparent begins a trace of its own."""
    stored.dataset()
    with collecting(monkeypatch) as collector:
        with TestClient(create_app(settings), base_url=HERE) as service:
            header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            job_id = service.post("/v1/jobs", json=SPEC, headers=header).json()["id"]
            service.get("/livez", headers={"traceparent": "nonsense"})
        joined, own = collector.spans
    assert (joined.name, joined.trace_id, joined.parent_id) == ("POST /v1/jobs", TRACE, PARENT)
    assert (own.trace_id != TRACE, own.parent_id) == (True, "")
    with stored.database.read() as session:
        assert session.get_one(Job, job_id).traceparent == f"00-{TRACE}-{joined.span_id}-01"


def test_without_a_collector_nothing_is_traced(service: TestClient, stored: Stored) -> None:
    """By default a job has no trace, whatever its request says."""
    stored.dataset()
    header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    job_id = service.post("/v1/jobs", json=SPEC, headers=header).json()["id"]
    with stored.database.read() as session:
        assert session.get_one(Job, job_id).traceparent is None


def test_a_collector_that_is_away_is_no_trouble(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are answered and the service stops although nobody takes the spans."""
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    with TestClient(create_app(settings), base_url=HERE) as service:
        assert [service.get("/v1/jobs").status_code for _ in range(3)] == [200] * 3
    # Its attempts draw pauses from `random`, which tests of properties watch.
    for thread in threading.enumerate():
        if thread.name.startswith("Otel"):
            thread.join(60)
            assert not thread.is_alive()


def test_a_missing_package_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wants traces and has not installed what they need is told what to install."""
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.delitem(sys.modules, traces.SDK, raising=False)
    with pytest.raises(NotInstalled, match=r"pip install 'pskd\[otel\]'"):
        traces.start("pskd-api")
