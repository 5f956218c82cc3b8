"""Rate limits over a real Redis: shared, told, and not in the way when Redis is gone."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from store import keys
from store.keys import Scope
from store.settings import Settings
from tests.integration.api.conftest import HERE
from tests.integration.api.stored import Stored
from tests.services import short_folder, valkey

# Windows of a day, so that none ends during a test.
RATES = {"rate_limit_reads": "5/day", "rate_limit_writes": "2/day", "rate_limit_classify": "1/day"}
READS = "/v1/jobs"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may need longer for a first connection than a request would wait."""
    monkeypatch.setattr("api.counts.WAIT_S", 20.0)


@pytest.fixture
def broker() -> Iterator[str]:
    """A Redis of this test."""
    with valkey() as url:
        yield url


@contextmanager
def serving(settings: Settings, **changes: Any) -> Iterator[TestClient]:
    with TestClient(create_app(settings.model_copy(update=RATES | changes)), base_url=HERE) as client:
        yield client


def test_a_spent_budget_is_refused_with_the_time_to_wait(settings: Settings, broker: str) -> None:
    """Reads up to the budget pass, each told what is left; then 429 says when to come back, and writes still pass."""
    with serving(settings, broker_url=broker) as client:
        told = [client.get(READS).headers["ratelimit"] for _ in range(5)]
        refused = client.get(READS)
        assert [part.split(";")[1] for part in told] == ["r=4", "r=3", "r=2", "r=1", "r=0"]
        assert told[0].startswith('"reads";')
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["type"] == "urn:pskd:problem:too-many-requests"
        assert 0 < int(refused.headers["retry-after"]) <= 86400
        assert refused.headers["ratelimit"] == f'"reads";r=0;t={refused.headers["retry-after"]}'
        assert refused.headers["ratelimit-policy"] == '"reads";q=5;w=86400'
        assert refused.headers["x-request-id"] == refused.json()["request_id"]
        assert client.post("/v1/jobs/job_1/cancel").status_code == 404
        assert [client.get(path).status_code for path in ("/livez", "/metrics")] == [204, 200]


def key_of(stored: Stored) -> str:
    """A key that holds, with all scopes."""
    with stored.database.write() as session:
        return keys.create(session, name="test", scopes=list(Scope)).secret


def test_budgets_are_apart(settings: Settings, stored: Stored, broker: str) -> None:
    """Reading, writing and classifying each have their own, and so has every key."""
    with serving(settings, broker_url=broker, require_keys=True) as client:

        def statuses(path: str, times: int, key: str) -> list[int]:
            return [client.post(path, headers={"Authorization": f"Bearer {key}"}).status_code for _ in range(times)]

        for key in (key_of(stored), key_of(stored)):
            assert statuses("/v1/models/m/classify", 2, key)[1:] == [429]
            assert statuses("/v1/jobs/job_1/cancel", 3, key)[2:] == [429]
            assert client.get(READS, headers={"Authorization": f"Bearer {key}"}).status_code != 429


def test_invented_keys_share_their_address_s_budget(settings: Settings, stored: Stored, broker: str) -> None:
    """Whoever makes up a key for each request is refused after one budget, and a real key at that address is not."""
    revoked = key_of(stored)
    with stored.database.write() as session:
        known = keys.recognise(session, revoked)
        assert known is not None
        keys.revoke(session, known.id)
    invented = [f"pskd_{number:010d}_{'x' * 43}" for number in range(3)]
    with serving(settings, broker_url=broker, require_keys=True) as client:

        def status(header: str | None) -> int:
            return client.get(READS, headers={} if header is None else {"Authorization": header}).status_code

        first = [
            status(header) for header in (None, "Basic YTpi", f"Bearer {revoked}", *map("Bearer {}".format, invented))
        ]
        assert first == [401] * 5 + [429]
        assert [status(f"Bearer {key_of(stored)}") for _ in range(2)] == [200, 200]
    with serving(settings, broker_url=broker.replace("/0", "/1")) as client:
        assert [client.get(READS, headers={"Authorization": f"Bearer {n}"}).status_code for n in range(6)][5] == 429


def test_processes_share_a_budget(settings: Settings, broker: str) -> None:
    """Two processes of one installation let a caller in as often as one would; each asks Redis for shares."""
    rate = {"rate_limit_reads": "400/day"}
    with (
        serving(settings, broker_url=broker, **rate) as one,
        serving(settings, broker_url=broker, **rate) as two,
    ):
        statuses = [client.get(READS).status_code for _ in range(202) for client in (one, two)]
    assert statuses == [200] * 400 + [429] * 4


def test_without_redis_everyone_is_let_in(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once in the log, counted, and over when Redis is back."""
    monkeypatch.setattr("api.counts.AGAIN_S", 0.05)
    caplog.set_level(logging.INFO, "api.limits")
    with short_folder("pskd-limits-") as folder:
        socket = folder / "socket"
        with serving(settings, broker_url=f"redis+socket://{socket}") as client:
            assert [client.get(READS).status_code for _ in range(8)] == [200] * 8
            figures = client.get("/metrics").text
            assert "pskd_rate_limits_unchecked_total 8.0" in figures
            assert "pskd_rate_limits_enforced 0.0" in figures
            with valkey("--unixsocket", str(socket)):
                time.sleep(0.1)
                assert [client.get(READS).status_code for _ in range(6)] == [200] * 5 + [429]
                assert "pskd_rate_limits_enforced 1.0" in client.get("/metrics").text
    said = [record.getMessage() for record in caplog.records if record.name == "api.limits"]
    assert len(said) == 2
    assert "everyone is let in" in said[0]
    assert "enforced again" in said[1]


def test_a_redis_that_hangs_holds_up_one_request_shortly(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who accepts connections and never answers is given up after the wait, and for a while not asked again."""
    import socket  # noqa: PLC0415

    monkeypatch.setattr("api.counts.WAIT_S", 0.05)
    monkeypatch.setattr("api.counts.AGAIN_S", 3600.0)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(64)
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        with serving(settings, broker_url=url) as client:
            assert [client.get(READS).status_code for _ in range(20)] == [200] * 20
            assert "pskd_rate_limits_unchecked_total 20.0" in client.get("/metrics").text
        deaf.setblocking(False)
        deaf.accept()[0].close()
        with pytest.raises(BlockingIOError):  # one connection, not twenty
            deaf.accept()


def test_nothing_is_limited_unless_asked_for(settings: Settings, tmp_path: Path) -> None:
    """An installation without budgets asks no Redis and tells of none."""
    nobody = f"redis+socket://{tmp_path}/none"
    with TestClient(create_app(settings.model_copy(update={"broker_url": nobody})), base_url=HERE) as client:
        answer = client.get(READS)
        figures = client.get("/metrics").text
    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers
    assert "pskd_rate_limits" not in figures
