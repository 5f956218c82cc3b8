"""Live samples over a WebSocket: the labels of the whole recording, for whom may have them, within limits."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from starlette.routing import BaseRoute
from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from api.access import STREAMS
from api.main import _ROUTERS, create_app
from api.routing import StreamRoute, check_guarded
from api.streams import MESSAGE_BYTES
from store.keys import Scope
from store.settings import Settings
from tests.integration.api.conftest import HERE
from tests.integration.api.stored import SPEC, Stored, Trees
from tests.integration.api.test_access import CONTRACT, Keys, bearing
from tests.integration.api.test_classify import RATE_HZ, as_csv, resting
from tests.integration.api.test_server import port, server  # noqa: F401

PATH = "/v1/models/tiny/stream"
URL = f"{PATH}?rate_hz=50&unit=g"
THERE = HERE.replace("http", "ws")  # a path alone would ask the test client's own host


@pytest.fixture(scope="module")
def client(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, trees: Trees) -> Iterator[TestClient]:
    """A service with two versions of the model `tiny`, without keys."""
    home = tmp_path_factory.mktemp("home")
    url = f"sqlite:///{shutil.copy(sqlite_template, home / 'pskd.db')}"
    settings = Settings(home=home, database_url=url, object_store_url=trees.url, stream_idle_s=1.0, tenant_streams=2)
    stored = Stored(settings, trees)
    stored.dataset()
    stored.finished_job(seeds=[0, 1])
    stored.database.dispose()
    with TestClient(create_app(settings), base_url=HERE) as client:
        yield client


def told(socket: WebSocketTestSession) -> tuple[list[dict[str, Any]], WebSocketDisconnect]:
    """All that is said until the end, and how it ends."""
    messages: list[dict[str, Any]] = []
    while True:
        try:
            messages.append(json.loads(socket.receive_text()))
        except WebSocketDisconnect as end:
            return messages, end


@pytest.mark.parametrize("binary", [False, True])
def test_a_stream_gives_the_labels_of_the_file(client: TestClient, binary: bool) -> None:
    """JSON with times and raw float32 both get the windows that the same samples get as an uploaded file."""
    values = resting(0, 1, 2, seconds=6)
    offline = client.post("/v1/models/tiny/classify", files={"file": ("walk.csv", as_csv(values))}).json()
    with client.websocket_connect(THERE + URL) as socket:
        for start in range(0, len(values), 37):
            part = values[start : start + 37]
            if binary:
                socket.send_bytes(part.astype("<f4").tobytes())
            else:
                times = (start + np.arange(len(part))) / RATE_HZ
                socket.send_json({"samples": np.column_stack([times, part]).tolist()})
        socket.send_json({"end": True})
        (began, *windows), end = told(socket)
    assert (end.code, began["kind"], began["model"]["version"]) == (1000, "began", offline["model"]["version"])
    regular = [each for each in offline["windows"] if each["start_s"] % began["hop_s"] == pytest.approx(0)]
    assert len(windows) >= len(regular) >= 3
    for window, same in zip(windows, offline["windows"], strict=False):
        assert window.pop("kind") == "window"
        assert window.pop("probabilities") == pytest.approx(same["probabilities"], abs=1e-6)
        assert {name: window[name] for name in ("start_s", "end_s", "label")} == {
            name: pytest.approx(same[name]) if name != "label" else same[name] for name in ("start_s", "end_s", "label")
        }


@pytest.mark.parametrize(
    ("message", "code", "detail"),
    [
        ('{"samples": [[0, 0]]}', 1007, "[x, y, z] or [t, x, y, z]"),
        ('{"samples": [["a", 0, 1]]}', 1007, "samples/0/0"),
        ('{"sample": []}', 1007, "sample"),
        ("{", 1007, "send {"),
        ('{"samples": [[0, 0, 1e6]]}', 1007, "state the unit"),
        (b"12345", 1007, "12 bytes each"),
    ],
)
def test_what_is_no_sample_ends_the_stream_with_the_remedy(
    client: TestClient, message: str | bytes, code: int, detail: str
) -> None:
    """The last message says in full what is wrong, and the close code and reason say it too."""
    with client.websocket_connect(THERE + URL) as socket:
        socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(message)
        (_, failed), end = told(socket)
    assert (failed["kind"], end.code) == ("failed", code)
    assert detail in failed["detail"]
    assert failed["detail"].startswith(end.reason)


def test_a_silent_stream_is_closed(client: TestClient) -> None:
    """A sender that has gone is not waited for, and the reason says what to do."""
    with client.websocket_connect(THERE + URL) as socket:
        (_, _), end = told(socket)
    assert (end.code, "open a new stream" in end.reason) == (1008, True)


def test_a_tenant_has_so_many_streams(client: TestClient) -> None:
    """One more than allowed is refused with what to do, and admitted once another has ended."""
    with client.websocket_connect(THERE + URL) as one:
        one.receive_text()
        with client.websocket_connect(THERE + URL) as two:
            two.receive_text()
            refused(client, URL, 429, "close one")
    with client.websocket_connect(THERE + URL) as three:
        assert json.loads(three.receive_text())["kind"] == "began"


def test_smoothing_over_too_many_windows_is_refused(client: TestClient) -> None:
    """Each new window would look at thousands; the refusal says how far it may reach."""
    refused(client, f"{URL}&smooth_s=600&overlap=0.95", 422, "240 windows at most")


@pytest.mark.parametrize(("query", "rows"), [("rate_hz=50&overlap=0.95", None), ("rate_hz=1000", 0.15)])
def test_a_window_is_paid_for(settings: Settings, stored: Stored, query: str, rows: float | None) -> None:
    """Few samples that make many windows, by overlap or by a rate that is stated too high, wait as many would."""
    stored.dataset()
    stored.finished_job()
    slow = settings.model_copy(update={"stream_samples_per_s": 2000})
    with (
        TestClient(create_app(slow), base_url=HERE) as client,
        client.websocket_connect(THERE + f"{PATH}?unit=g&{query}") as socket,
    ):
        began = json.loads(socket.receive_text())
        values = np.tile([0.0, 0.0, 1.0], (400, 1))
        samples = values if rows is None else np.column_stack([rows * np.arange(len(values)), values])[:60]
        began_at = time.monotonic()
        socket.send_json({"samples": samples.tolist()})
        socket.send_json({"end": True})
        windows, end = told(socket)
        seconds = time.monotonic() - began_at
    assert end.code == 1000
    length = began["window_s"] * began["rate_hz"]
    worth = len(windows) * length / 2
    assert worth > 4 * len(samples)
    assert seconds > worth / 2000 - 1.5  # a second's worth is free, and the last block is not waited for


def refused(client: TestClient, url: str, status: int, detail: str, **headers: str) -> None:
    with pytest.raises(WebSocketDenialResponse) as denial, client.websocket_connect(THERE + url, headers=headers):
        pass
    assert denial.value.status_code == status
    assert denial.value.headers["content-type"] == "application/problem+json"
    assert detail in denial.value.json()["detail"]


def test_what_cannot_be_opened_is_refused_as_any_request(client: TestClient) -> None:
    """Missing and wrong parameters, models that are not there and foreign pages get a problem, not a stream."""
    refused(client, PATH, 422, "rate_hz")
    refused(client, f"{PATH}?rate_hz=50&unit=stone", 422, "unit")
    refused(client, f"{URL}&version=1&alias=champion", 422, "not both")
    refused(client, URL.replace("tiny", "none"), 404, "none")
    refused(client, URL, 403, "may not use this service", Origin="https://elsewhere.example")
    refused(client, URL, 403, "does not answer to", Host="rebound.example")
    with client.websocket_connect(THERE + URL, headers={"Origin": HERE}) as socket:
        assert json.loads(socket.receive_text())["kind"] == "began"


def test_a_stream_is_counted_and_logged(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """Metrics know streams and their windows by route, and the log has a line without path or query."""
    with caplog.at_level("INFO", logger="api.access"), client.websocket_connect(THERE + URL) as socket:
        socket.send_bytes(resting(0, seconds=6).astype("<f4").tobytes())
        socket.send_json({"end": True})
        told(socket)
    figures = client.get("/metrics").text
    assert 'pskd_http_requests_total{method="WS",route="/v1/models/{name}/stream",status="101"}' in figures
    assert "pskd_streams 0.0" in figures
    assert "pskd_stream_windows_total 0.0" not in figures
    assert any(line.message.startswith("WS /v1/models/{name}/stream 101 ") for line in caplog.records)


def test_every_stream_has_a_line_in_the_table(client: TestClient) -> None:
    """The app's WebSockets, the access table and the contract name the same, and none is made past the guard."""
    routes: list[BaseRoute] = [route for router in _ROUTERS for route in router.routes]
    paths = {route.path for route in routes if isinstance(route, StreamRoute)}
    assert {f"WS {path}" for path in paths} == set(STREAMS)
    assert CONTRACT["x-websockets"].keys() == paths
    with pytest.raises(LookupError, match=r"api/access\.py does not say .*`WS /v1/new`"):
        StreamRoute("/v1/new", lambda: None)
    unguarded = APIRouter()
    unguarded.websocket("/v1/models/{name}/stream")(lambda: None)
    with pytest.raises(LookupError, match="StreamRoute"):
        check_guarded([unguarded])


def test_who_may_open_a_stream(settings: Settings, stored: Stored) -> None:
    """Of all scopes only `classify`; another tenant finds nothing; a cookie counts with the page's own origin alone."""
    made = Keys(stored)
    stored.dataset()
    stored.finished_job()
    with TestClient(create_app(settings.model_copy(update={"require_keys": True})), base_url=HERE) as client:
        refused(client, URL, 401, "send an API key")
        refused(client, URL, 401, "has been revoked", **bearing(made.revoked()))
        for scope in set(Scope) - {Scope.CLASSIFY}:
            refused(client, URL, 403, "scope 'classify'", **bearing(made.make(scope)))
        secret = made.make(Scope.CLASSIFY)
        refused(client, URL, 404, "tiny", **bearing(made.make(Scope.CLASSIFY, tenant="other")))
        refused(client, URL, 403, "names its page in Origin", Cookie=f"pskd_key={secret}")
        refused(client, URL, 403, "may not use", Cookie=f"pskd_key={secret}", Origin="https://elsewhere.example")
        for headers in (bearing(secret), {"Cookie": f"pskd_key={secret}", "Origin": HERE}):
            with client.websocket_connect(THERE + URL, headers=headers) as socket:
                assert json.loads(socket.receive_text())["kind"] == "began"


def test_a_stream_keeps_its_version(settings: Settings, stored: Stored) -> None:
    """When the champion changes, an open stream goes on, and a new one asks the new version."""
    stored.dataset()
    stored.finished_job(seeds=[0, 1])
    with TestClient(create_app(settings), base_url=HERE) as client:
        champion = client.get("/v1/models/tiny").json()["aliases"]["champion"]
        with client.websocket_connect(THERE + URL) as socket:
            assert json.loads(socket.receive_text())["model"]["version"] == champion
            moved = client.put(
                "/v1/models/tiny/aliases/champion",
                json={"version": 3 - champion, "force": True, "reason": "a test"},
                headers={"If-Match": "*"},
            )
            assert moved.status_code == 200, moved.text
            socket.send_bytes(resting(0, seconds=6).astype("<f4").tobytes())
            assert json.loads(socket.receive_text())["kind"] == "window"
        with client.websocket_connect(THERE + URL) as socket:
            assert json.loads(socket.receive_text())["model"]["version"] == 3 - champion


def test_the_server_streams(server: "subprocess.Popen[str]", port: int, stored: Stored) -> None:  # noqa: F811
    """The process itself: labels come while samples do, too large a message is refused, and no path is logged."""
    stored.dataset()
    stored.finished_job()
    url = f"ws://127.0.0.1:{port}{URL}"
    with connect(url) as socket:
        assert json.loads(socket.recv())["kind"] == "began"
        socket.send(resting(1, seconds=6).astype("<f4").tobytes())
        assert json.loads(socket.recv())["label"] == "along_y"
        socket.send(b"\0" * (MESSAGE_BYTES + 12))
        with pytest.raises(ConnectionClosedError) as closed:
            list(iter(socket.recv, None))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    others_have_their_turn(f"127.0.0.1:{port}")
    server.terminate()
    _, errors = server.communicate(timeout=15)
    assert "Traceback" not in errors
    assert "rate_hz=50" not in errors


def others_have_their_turn(here: str) -> None:
    """While 32 streams send as fast as they can, each where it costs most, the service is ready and takes jobs."""
    samples = resting(1, seconds=20).astype("<f4").tobytes()

    async def push(socket: ClientConnection) -> None:
        while True:
            await socket.send(samples)

    def ask(number: int) -> None:
        assert httpx.get(f"http://{here}/readyz", timeout=20).status_code == 200
        job = httpx.post(f"http://{here}/v1/jobs", json={**SPEC, "name": str(number)}, timeout=20)
        assert job.status_code == 202

    async def crowd() -> None:
        url = f"ws://{here}{URL}&overlap=0.95"
        sockets = [await connect_async(url, ping_interval=None) for _ in range(32)]
        pushing = [asyncio.create_task(push(socket)) for socket in sockets]
        for number in range(10):
            await asyncio.to_thread(ask, number)
        assert not any(task.done() for task in pushing)
        for task, socket in zip(pushing, sockets, strict=True):
            task.cancel()
            socket.transport.abort()
        await asyncio.wait(pushing)

    asyncio.run(crowd())
