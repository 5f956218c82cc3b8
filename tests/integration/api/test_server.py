"""The server as a process: it starts, streams as things happen, and stops when told."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from client.api import Client
from store.settings import Settings
from tests.integration.api.stored import SPEC, Stored
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


@pytest.fixture
def server(settings: Settings, port: int) -> Iterator["subprocess.Popen[str]"]:
    """A server that answers."""
    with start(settings, PSKD_PORT=str(port)) as process:
        deadline = time.monotonic() + START_S
        while not answers(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
        process.kill()


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
        client._transport._http.event_hooks["request"].append(lambda request: asked.append(request.url.path))
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
