"""Liveness, readiness and figures."""

import os
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.deps import build_services
from api.main import create_app
from store.settings import Settings
from tests.integration.api.conftest import HERE, ON_BOTH
from tests.integration.api.stored import Stored
from tests.stored import counted


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


@ON_BOTH
def test_figures_of_the_system(service: TestClient, stored: Stored) -> None:
    """Queues, the oldest wait, running and ended runs, messages and classified recordings are told as they are."""
    stored.dataset()
    stored.finished_job()
    stored.job(seeds=[1, 2])
    stored.claim()
    service.post("/v1/models/tiny/classify", content=b"0,0,1\n" * 64, headers={"Content-Type": "text/csv"})
    told = figures(service)
    assert told['pskd_queue_depth{queue="cpu",state="queued"}'] == 1
    assert told['pskd_queue_depth{queue="cpu",state="running"}'] == 1
    assert told['pskd_queue_oldest_seconds{queue="cpu"}'] > 0
    assert told['pskd_queue_oldest_seconds{queue="gpu"}'] == 0
    assert told['pskd_run_seconds_bucket{le="+Inf",outcome="succeeded"}'] == 1
    assert told['pskd_run_seconds_count{outcome="worker_lost"}'] == 0
    assert told['pskd_leases_lost_total{of="run"}'] == 0
    assert told['pskd_outbox_depth{kind="wake"}'] == 4  # one for the import, one for each run
    assert told['pskd_classify_seconds_count{step="label"}'] == 1
    assert told["pskd_database_up"] == 1


def test_figures_cost_the_same_however_much_there_is(service: TestClient, stored: Stored) -> None:
    """With more jobs, models and tenants a scrape makes as many queries, and has as many lines of the system."""
    database = service.app.state.services.database  # type: ignore[attr-defined]
    stored.dataset()

    def lines() -> set[str]:
        return {name for name in figures(service) if not name.startswith(("pskd_http", "process"))}

    with counted(database) as before:
        few = lines()
    for seed in range(3):
        stored.finished_job(seeds=[seed], name=f"model-{seed}")
        stored.job(seeds=[seed + 10])
    with counted(database) as after:
        many = lines()
    assert (len(after), many) == (len(before), few)


def test_figures_of_the_process_outlive_the_database(without_database: TestClient) -> None:
    """A scrape without a database says so, and still tells of requests."""
    without_database.get("/v1/jobs")
    told = figures(without_database)
    assert told["pskd_database_up"] == 0
    assert told['pskd_http_requests_total{method="GET",route="/v1/jobs",status="503"}'] == 1
    assert not [name for name in told if name.startswith("pskd_queue")]


def figures(service: TestClient) -> dict[str, float]:
    """What a scrape tells, by name and labels, as Prometheus's own parser reads it."""
    found = {}
    for family in text_string_to_metric_families(service.get("/metrics").text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


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
