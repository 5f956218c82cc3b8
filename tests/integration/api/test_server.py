"""The server as a process: it starts, streams as things happen, and stops when told."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from client.api import Client
from store import keys
from store.engine import Database
from store.keys import Scope
from store.settings import Settings
from tests.integration.api.stored import SPEC, Stored
from tests.integration.worker.stack import until
from tests.services import free_port

ROOT = Path(__file__).resolve().parents[3]
START_S = 30.0


def start(settings: Settings, **more: str) -> "subprocess.Popen[str]":
    """`python -m api` with these settings."""
    environment = {
        "PSKD_HOME": str(settings.home),
        "PSKD_DATABASE_URL": settings.database_url,
        "PSKD_OBJECT_STORE_URL": settings.object_store_url,
    }
    command = [sys.executable, "-W", "error", "-m", "api"]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment | more, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def port() -> int:
    """Where the server listens."""
    return free_port()


@contextmanager
def answering(settings: Settings, port: int, **more: str) -> Iterator["subprocess.Popen[str]"]:
    """A server that answers."""
    with start(settings, PSKD_PORT=str(port), **more) as process:
        try:
            deadline = time.monotonic() + START_S
            while not answers(port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


@pytest.fixture
def server(settings: Settings, port: int) -> Iterator["subprocess.Popen[str]"]:
    """The same with no more than settings."""
    with answering(settings, port) as process:
        yield process


def answers(port: int) -> bool:
    """Whether the server lives."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 204
    except httpx.TransportError:
        return False


def test_events_arrive_as_they_happen_and_a_stop_ends_the_stream(
    server: "subprocess.Popen[str]", port: int, stored: Stored
) -> None:
    """A watcher sees an epoch while the job runs; SIGTERM closes the open stream and the process ends well, soon."""
    stored.dataset()
    job_id = stored.job()
    url, accept = f"http://127.0.0.1:{port}/v1/jobs/{job_id}/events", {"Accept": "text/event-stream"}
    trainer = threading.Timer(0.7, lambda: stored.train(stored.claim()))
    trainer.start()
    seen: list[str] = []
    with httpx.stream("GET", url, headers=accept, timeout=20) as answer:
        for line in answer.iter_lines():
            if line.startswith("event: "):
                seen.append(line.removeprefix("event: "))
            if seen.count("run.epoch") == 2 and not line:
                server.send_signal(signal.SIGTERM)
    trainer.join()
    assert seen == ["job.state", "run.state", "job.state", "run.epoch", "run.epoch"]
    _, errors = server.communicate(timeout=8)
    assert "Application shutdown complete" in errors
    assert "Traceback" not in errors
    assert server.returncode == -signal.SIGTERM  # uvicorn passes the signal on once it has shut down


def test_listening_elsewhere_is_refused_at_start(settings: Settings) -> None:
    """The process ends at once with a message that says what to do."""
    with start(settings, PSKD_HOST="192.0.2.1") as process:
        _, errors = process.communicate(timeout=START_S)
    assert process.returncode == 2
    assert "PSKD_HOST=192.0.2.1" in errors
    assert "Traceback" not in errors


@pytest.mark.usefixtures("server")
def test_who_waits_for_a_sweep_asks_for_its_trials_when_they_have_changed(stored: Stored, port: int) -> None:
    """In between a client asks for the counts alone, and it sees every trial end."""
    stored.dataset()
    base = {**SPEC, "validation": {"kind": "trials", "trials": ["1"]}}
    asked: list[str] = []

    def work() -> None:
        for _ in range(2):
            time.sleep(1.5)  # a few looks
            stored.validate(stored.claim(), accuracy=0.5)

    with Client(f"http://127.0.0.1:{port}") as client:
        client.transport._http.event_hooks["request"].append(lambda request: asked.append(request.url.path))
        sweep = client.submit_sweep({"base": base, "space": {"training.epochs": {"choices": [2, 4]}}})
        asked.clear()
        worker = threading.Thread(target=work)
        worker.start()
        states = [[trial.state for trial in now.trials] for now in client.follow_sweep(sweep.id)]
        worker.join()
    whole, counts = (asked.count(f"/v1/sweeps/{sweep.id}{more}") for more in ("", "/summary"))
    assert states[0] == ["queued", "queued"]
    assert states[-1] == ["succeeded", "succeeded"]
    assert (whole, whole < counts) == (len(states), True)


def test_a_log_of_json_has_a_line_for_each_request_and_no_secret(settings: Settings, port: int) -> None:
    """Every line is an object; a request's has route, status, duration, id and tenant, and nothing it was sent."""
    secret = "pskd_ab12cd34_R4nd0m-Secret_0123456789abcdef"
    headers = {"Authorization": f"Bearer {secret}", "X-Request-ID": "r1"}
    with start(settings, PSKD_PORT=str(port), PSKD_LOG_FORMAT="json") as process:
        deadline = time.monotonic() + START_S
        while not answers(port):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        httpx.get(f"http://127.0.0.1:{port}/v1/jobs/job_1?key={secret}", headers=headers)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=START_S)
    lines = [json.loads(line) for line in errors.splitlines()]
    (line,) = [each for each in lines if each.get("request_id") == "r1"]
    assert line["duration_ms"] > 0
    told = {"method": "GET", "route": "/v1/jobs/{job_id}", "status": 404, "job_id": "job_1", "tenant": "default"}
    assert told.items() <= line.items()
    assert "R4nd0m" not in errors


def test_what_a_stranger_forwards_is_nothing(settings: Settings, port: int, redis_url: str) -> None:
    """Whoever invents addresses and schemes spends one budget, and has no cookie that only https carries."""
    database = Database(settings.database_url)
    with database.write() as session:
        secret = keys.create(session, name="browser", scopes=[Scope.READ]).secret
    database.dispose()
    url = f"http://127.0.0.1:{port}"
    limited = {"PSKD_BROKER_URL": f"{redis_url.removesuffix('/0')}/14", "PSKD_RATE_LIMIT_READS": "1000/day"}

    def left(address: str) -> int:
        def tell() -> str | None:
            told: str | None = httpx.get(f"{url}/v1/jobs", headers={"X-Forwarded-For": address}).headers.get(
                "ratelimit"
            )
            return told

        told = until(tell, what="a Redis that answers in time")  # else there is no limit, on purpose
        return int(told.split(";")[1].removeprefix("r="))

    def is_secure() -> bool:
        forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
        answer = httpx.post(f"{url}/sign-in", data={"key": secret}, headers=forwarded)
        assert answer.status_code == 303
        return "Secure" in answer.headers["set-cookie"]

    with answering(settings, port, PSKD_REQUIRE_KEYS="true", **limited):
        first = left("203.0.113.1")
        assert [left(address) for address in ("203.0.113.2", "nowhere")] == [first - 1, first - 2]
        assert not is_secure()
    trusted = {"PSKD_TRUSTED_PROXIES": "10.0.0.0/8,127.0.0.0/8"}
    with answering(settings, port, PSKD_REQUIRE_KEYS="true", **limited, **trusted):
        assert [left("203.0.113.3"), left("203.0.113.4"), left("203.0.113.9, 203.0.113.3, 10.1.2.3")] == [999, 999, 998]
        assert left("one") == left("two") + 1  # no addresses: one budget
        assert is_secure()


def test_a_body_that_ceases_to_come_is_refused(settings: Settings, port: int) -> None:
    """The connection of whoever sends half a request and no more is not kept, and nothing of the upload stays."""
    head = "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {}\r\nContent-Length: 5000\r\n\r\n"
    form = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\nPK'
    requests = [
        head.format("/v1/jobs", "application/json") + '{"dataset": ',
        head.format("/v1/datasets", "multipart/form-data; boundary=b") + form,
    ]
    with answering(settings, port, PSKD_BODY_IDLE_S="0.5"):
        for request in requests:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(request.encode())
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 408 "), answer
            assert b"urn:pskd:problem:request-timeout" in answer
    assert list((settings.cache_dir / "uploads").iterdir()) == []


def test_event_streams_and_uploads_are_a_tenant_s_share(settings: Settings, port: int, stored: Stored) -> None:
    """One more than allowed is a 429 that says what to do; one that ends makes room."""
    stored.dataset()
    url, accept = f"http://127.0.0.1:{port}", {"Accept": "text/event-stream"}
    events = f"{url}/v1/jobs/{stored.job()}/events"
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\nPK'
    multipart = {"Content-Type": "multipart/form-data; boundary=b"}
    arrived, going = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield form
        arrived.set()
        assert going.wait(20)
        yield b"\r\n--b--\r\n"

    def upload() -> int:
        return httpx.post(f"{url}/v1/datasets", content=slowly(), headers=multipart, timeout=30).status_code

    with answering(settings, port, PSKD_TENANT_FOLLOWERS="1", PSKD_TENANT_UPLOADS="1"), ThreadPoolExecutor(1) as pool:
        with httpx.stream("GET", events, headers=accept) as answer:
            lines = answer.iter_lines()  # which closes the answer when it goes
            next(lines)
            for other in (events, f"{url}/changes/jobs"):
                refused = httpx.get(other, headers=accept)
                assert (refused.status_code, "PSKD_TENANT_FOLLOWERS" in refused.json()["detail"]) == (429, True)
        until(lambda: follows(events, accept), what="room")
        first = pool.submit(upload)
        assert arrived.wait(20)
        until(lambda: posts(url, form, multipart) == 429, what="the refusal of a second upload")
        going.set()
        assert first.result() == 202


def follows(url: str, headers: dict[str, str]) -> bool:
    with httpx.stream("GET", url, headers=headers) as answer:
        return answer.status_code == 200


def posts(url: str, form: bytes, headers: dict[str, str]) -> int:
    content = form.replace(b"a.zip", f"{uuid.uuid4().hex}.zip".encode()) + b"\r\n--b--\r\n"
    return httpx.post(f"{url}/v1/datasets", content=content, headers=headers).status_code
