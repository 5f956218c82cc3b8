"""A span around every request, for those who want traces."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from store import traces
from store.traces import Tracer


class Traced:
    """Opens a span below the caller's own, if it sends a `traceparent`; named by the route, never by the path."""

    def __init__(self, app: ASGIApp, *, tracer: Tracer) -> None:
        self.app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on inside a span, which ends with the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        parent, method, status = Headers(scope=scope).get("traceparent"), scope["method"], 0

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with traces.span(self._tracer, method, parent=parent, kind="server") as span:
            assert span is not None
            try:
                await self.app(scope, receive, send_noted)
            finally:
                route = getattr(scope.get("route"), "path", None)
                about = {"http.request.method": method, "pskd.request_id": scope["state"]["request_id"]}
                span.set(about | ({"http.response.status_code": status} if status else {}))
                if route is not None:
                    span.name(f"{method} {route}")
                    span.set({"http.route": route})
                if status >= 500:
                    span.fail(f"answered {status}")
