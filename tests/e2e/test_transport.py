"""How the SDK bears a service that stumbles: a real HTTP server that misbehaves on purpose."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from client.api import Client
from client.errors import BadKey, Busy, Conflicting, Invalid, NoKey, Strange, Unreachable
from client.transport import Transport

DROP = "drop the connection"


class Stumbling(ThreadingHTTPServer):
    """Answers with what its script says, in order, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Any] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Stumbling

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers, body))
        step = self.server.script.pop(0)
        if step == DROP:
            self.close_connection = True
            return
        status, answer_headers, text = step
        self.send_response(status)
        for name, value in answer_headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(BrokenPipeError):
            self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name in the base class
        """Nothing is logged."""


@pytest.fixture
def server() -> Iterator[Stumbling]:
    with Stumbling() as stumbling:
        thread = threading.Thread(target=stumbling.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield stumbling
        stumbling.shutdown()
        thread.join()


@pytest.fixture
def transport(server: Stumbling) -> Iterator[Transport]:
    opened = Transport(server.url)
    yield opened
    opened.close()


def ok(value: Any) -> tuple[int, dict[str, str], str]:
    return 200, {"Content-Type": "application/json"}, json.dumps(value)


def problem(status: int, slug: str, **headers: str) -> tuple[int, dict[str, str], str]:
    body = {"type": f"urn:pskd:problem:{slug}", "title": "no", "status": status, "detail": "not now"}
    return status, {"Content-Type": "application/problem+json", **headers}, json.dumps(body)


def events(*numbers: int) -> tuple[int, dict[str, str], str]:
    rows = [{"seq": number, "kind": "job.state", "at": "2026-01-01T00:00:00Z", "data": {}} for number in numbers]
    text = "".join(f"event: job.state\ndata: {json.dumps(row)}\nid: {row['seq']}\n\n" for row in rows)
    return 200, {"Content-Type": "text/event-stream"}, ": ping\n\n" + text


def test_lost_answer_is_asked_for_with_the_same_key(server: Stumbling, transport: Transport) -> None:
    """A creating request whose answer got lost is sent again under one Idempotency-Key, with its whole body."""
    server.script = [DROP, problem(503, "unavailable"), problem(409, "request-in-flight"), ok({"made": 1})]
    assert transport.post("/v1/jobs", lambda: {"json": {"a": 1}}).json() == {"made": 1}
    assert [json.loads(body) for *_, body in server.asked] == [{"a": 1}] * 4
    assert len({headers["idempotency-key"] for _, _, headers, _ in server.asked}) == 1


def test_two_requests_have_two_keys(server: Stumbling, transport: Transport) -> None:
    """Equal requests that are meant twice are done twice."""
    server.script = [ok({}), ok({})]
    transport.post("/v1/jobs")
    transport.post("/v1/jobs")
    assert len({headers["idempotency-key"] for _, _, headers, _ in server.asked}) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [(problem(422, "invalid-spec"), Invalid), (problem(409, "illegal-transition"), Conflicting)],
)
def test_what_will_not_change_is_not_tried_again(
    server: Stumbling, transport: Transport, answer: Any, error: type[Exception]
) -> None:
    """A request that is wrong, or contradicts what is stored, is sent once."""
    server.script = [answer]
    with pytest.raises(error, match="not now"):
        transport.post("/v1/jobs")
    assert len(server.asked) == 1


def test_patience_ends(server: Stumbling, transport: Transport) -> None:
    """A service that stays busy is given up after five attempts, with its own last word."""
    server.script = [problem(503, "unavailable")] * 5
    with pytest.raises(Busy, match="not now"):
        transport.get("/v1/jobs")
    assert len(server.asked) == 5


def test_service_decides_the_pause(server: Stumbling, transport: Transport) -> None:
    """Retry-After is waited for."""
    server.script = [problem(429, "too-many-requests", **{"Retry-After": "1"}), ok([])]
    before = threading.Event()
    timer = threading.Timer(0.9, before.set)
    timer.start()
    transport.get("/v1/jobs")
    assert before.is_set()
    timer.join()


def test_answer_that_is_no_problem_is_still_an_error(server: Stumbling, transport: Transport) -> None:
    """A proxy's HTML page becomes an exception with its status."""
    server.script = [(400, {"Content-Type": "text/html"}, "<h1>Bad</h1>")]
    with pytest.raises(Exception, match="status 400"):
        transport.get("/v1/jobs")


def test_nobody_there() -> None:
    """A port at which nobody listens is named, with what to do."""
    with Client("http://127.0.0.1:9") as service, pytest.raises(Unreachable, match=r"127\.0\.0\.1:9") as caught:
        service.job("job_x")
    assert "pskd up" in caught.value.remedy


@pytest.mark.parametrize("url", ["not-a-url", "http://", "http://[::1", "ftp://127.0.0.1:9"])
def test_bad_url_is_named(url: str) -> None:
    """A URL that cannot be one is an error with a remedy, not a crash."""
    with pytest.raises(Unreachable, match=re.escape(url)), Client(url) as service:
        service.job("job_x")


def test_somebody_elses_server(server: Stumbling) -> None:
    """A server that is not ours, but is pleased with everything, is told apart."""
    server.script = [(200, {"Content-Type": "text/html"}, "<h1>Welcome</h1>"), ok({"hello": "world"})]
    with Client(server.url) as service:
        for _ in range(2):
            with pytest.raises(Strange, match="does not speak"):
                service.job("job_x")


def test_events_go_on_after_a_break(server: Stumbling) -> None:
    """A broken stream is taken up after the last event that came; 204 says that the job has ended."""
    server.script = [events(1, 2), DROP, problem(503, "unavailable"), events(3), (204, {}, "")]
    with Client(server.url) as service:
        assert [event.seq for event in service.follow("job_x")] == [1, 2, 3]
    assert [headers["last-event-id"] for _, _, headers, _ in server.asked] == ["0", "2", "2", "2", "3"]


def test_pages_are_read_to_the_last(server: Stumbling) -> None:
    """A list is read page by page as far as the caller iterates, with the filters on every page."""
    model: dict[str, Any] = {"created_at": "2026-01-01T00:00:00Z", "aliases": {}, "latest": None}
    first = {"items": [{"name": "a", **model}, {"name": "b", **model}], "next_cursor": "x y"}
    server.script = [ok(first), ok({"items": [{"name": "c", **model}], "next_cursor": None})]
    with Client(server.url) as service:
        assert [found.name for found in service.models()] == ["a", "b", "c"]
    assert [path for _, path, *_ in server.asked] == ["/v1/models", "/v1/models?cursor=x+y"]


def test_key_is_borne_and_never_told(server: Stumbling, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of the environment goes with every request; no error shows it."""
    monkeypatch.setenv("PSKD_API_KEY", " pskd_secret\n")
    server.script = [problem(401, "unauthenticated")]
    with Client(server.url) as service, pytest.raises(NoKey, match="not now") as refused:
        service.job("job_x")
    assert server.asked[0][2]["authorization"] == "Bearer pskd_secret"
    assert "PSKD_API_KEY" in refused.value.remedy
    monkeypatch.setenv("PSKD_API_KEY", "pskd_secret ü")
    with pytest.raises(BadKey) as bad:
        Client(server.url)
    assert "pskd_secret" not in str(bad.value)
