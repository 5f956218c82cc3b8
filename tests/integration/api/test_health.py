"""Liveness, readiness and figures."""

import os
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.deps import build_services
from api.main import create_app
from store.settings import Settings
from tests.integration.api.conftest import HERE


def test_alive_and_ready(service: TestClient) -> None:
    """A whole service is alive, and ready with each dependency named."""
    assert service.get("/livez").status_code == 204
    ready = service.get("/readyz")
    assert ready.status_code == 200
    assert {check["name"]: check["ok"] for check in ready.json()["checks"]} == {"database": True, "objects": True}


@pytest.fixture
def without_database(settings: Settings) -> Iterator[TestClient]:
    """A service whose database is gone."""
    lost = settings.model_copy(update={"database_url": "sqlite:////nonexistent/pskd.db"})
    with TestClient(create_app(lost), base_url=HERE) as client:
        yield client


def test_alive_but_not_ready_without_database(without_database: TestClient) -> None:
    """A missing database is named and makes the service unready, but it must not be killed for that."""
    assert without_database.get("/livez").status_code == 204
    ready = without_database.get("/readyz")
    assert ready.status_code == 503
    assert ready.headers["content-type"] == "application/problem+json"
    assert {check["name"]: check["ok"] for check in ready.json()["checks"]} == {"database": False, "objects": True}


def test_requests_without_database_may_be_tried_again(without_database: TestClient) -> None:
    """An outage is a 503 with Retry-After, not a fault of the request or of the software."""
    answer = without_database.get("/v1/jobs")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["type"] == "urn:pskd:problem:unavailable"


def test_figures_count_requests_by_route(service: TestClient) -> None:
    """A path with an id counts under its route, so that figures do not grow with the ids asked for."""
    service.get("/v1/jobs/job_1")
    service.get("/v1/jobs/job_2")
    service.get("/nowhere")
    figures = service.get("/metrics").text
    assert 'pskd_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"} 2.0' in figures
    assert 'pskd_http_requests_total{method="GET",route="none",status="404"} 1.0' in figures
    assert "job_1" not in figures


def test_stale_uploads_are_cleared_away_at_start(settings: Settings) -> None:
    """What a killed process had received by half does not fill the disk for ever; what is fresh stays."""
    folder = settings.cache_dir / "uploads"
    folder.mkdir(parents=True)
    for name, age_s in {"old": 2 * 24 * 3600, "new": 60}.items():
        (folder / name).touch()
        stamp = (folder / name).stat().st_mtime - age_s
        os.utime(folder / name, (stamp, stamp))
    build_services(settings).database.dispose()
    assert [file.name for file in folder.iterdir()] == ["new"]


def test_not_ready_without_objects(settings: Settings) -> None:
    """A store whose folder has gone makes the service unready, and is named."""
    lost = settings.model_copy(update={"object_store_url": str(settings.home / "objects")})
    with TestClient(create_app(lost), base_url=HERE) as client:
        assert client.get("/readyz").status_code == 200
        (settings.home / "objects").rmdir()
        ready = client.get("/readyz")
    assert ready.status_code == 503
    assert {check["name"]: check["ok"] for check in ready.json()["checks"]} == {"database": True, "objects": False}
