"""What happens around every request: an id, headers, figures, a line in the log, and an answer whatever fails."""

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import MALFORMED, Fault, Refusal, problem
from api.figures import Figures
from store import logs

logger = logging.getLogger("api.access")

_OUR_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
ANSWERS = frozenset({"http.response.start", "websocket.http.response.start"})  # the messages that begin one
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Whoever stands between might believe another of two than this service does.
_ONCE = frozenset(
    {
        b"authorization", b"content-length", b"content-type", b"cookie", b"host", b"idempotency-key", b"if-match",
        b"last-event-id", b"origin", b"x-request-id",
    }
)  # fmt: skip


class Conversation:
    """The outermost layer: nothing leaves without its headers, and no failure without a problem."""

    def __init__(self, app: ASGIApp, *, figures: Figures) -> None:
        self.app = app
        self.figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and see to its answer."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        request_id = _request_id(Headers(scope=scope))
        about = {"request_id": request_id}
        scope.setdefault("state", {}).update(request_id=request_id, about=about)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.close":
                status = status or 403  # which a server makes of it
            elif message["type"] in ANSWERS:
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in _OUR_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with logs.about(about):
            try:
                _refuse_twice(scope)
                await self.app(scope, receive, send_with_headers)
            except Exception as error:
                if status:  # the answer has begun; the server must cut it off
                    raise
                await problem(scope, error)(scope, receive, send_with_headers)
            finally:
                seconds = time.perf_counter() - started
                self.figures.observe(_method(scope), _route(scope), status=status, seconds=seconds)
                _log(scope, status=status, seconds=seconds)


class Heads:
    """HEAD wherever there is GET: the same answer without its body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as GET, and only the headers back."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})

        # The server itself looks at the method in `scope`; what routing finds is for the log and the figures.
        inner = {**scope, "method": "GET"}
        try:
            await self.app(inner, receive, send_head)
        finally:
            scope.update({name: inner[name] for name in ("route", "path_params") if name in inner})


def _refuse_twice(scope: Scope) -> None:
    """Raises Refusal if a header that has one value comes several times."""
    names = [name for name, _ in scope["headers"] if name in _ONCE]
    if len(names) != len(set(names)):
        name = next(name for name in names if names.count(name) > 1).decode()
        detail = "came more than once; send it once"
        raise Refusal(MALFORMED, f"{name} {detail}", errors=[Fault(detail=detail, header=name)])


def _log(scope: Scope, *, status: int, seconds: float) -> None:
    """One line for a request: its route, never its path or query, which callers fill as they like."""
    method = "WS" if scope["type"] == "websocket" else scope["method"]
    route, duration_ms = _route(scope), round(1000 * seconds, 2)
    about = {"method": method, "route": route, "status": status, "duration_ms": duration_ms}
    logger.info("%s %s %d %.1f ms", method, route, status, duration_ms, extra=about | _ids(scope))


def _method(scope: Scope) -> str:
    """A WebSocket is opened by GET, and yet another operation."""
    if scope["type"] == "websocket":
        return "WS"
    return scope["method"] if scope["method"] in _METHODS else "other"


def _ids(scope: Scope) -> dict[str, str]:
    """What the path names."""
    return {name: value for name, value in scope.get("path_params", {}).items() if name.endswith("_id")}


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "none"))


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
