"""Request bodies: counted while they stream, of a type that is read here, and free of what JSON should not hold."""

import asyncio
import json
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import INVALID, MALFORMED, MEDIA, TOO_LARGE, TOO_SLOW, Fault, Refusal
from pskd_core.errors import json_pointer

JSON_BYTES = 2**20
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_MOST_FAULTS = 10
_Path = tuple["_Path", str | int] | None  # linked, so that many values below a long name cost nothing


class BodyLimit:
    """Refuses a body as soon as it is known to be too large, 1 MiB unless the route allows more, or stops to come."""

    def __init__(self, app: ASGIApp, *, idle_s: float) -> None:
        self.app, self._idle_s = app, idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a body that is read is counted."""
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self.app(scope, receive, send)
            return
        scope["state"]["body_bytes"] = JSON_BYTES
        length = Headers(scope=scope).get("content-length", "")
        more = True  # once it is whole, what comes is that the caller has gone
        announced, counted = int(length) if length.isdecimal() and len(length) < 20 else 0, 0

        async def receive_counted() -> Message:
            nonlocal counted, more
            _check(scope, announced)
            try:
                async with asyncio.timeout(self._idle_s if more else None):
                    message = await receive()
            except TimeoutError:
                detail = f"nothing more of the body has come for {self._idle_s:g} s; send it again (PSKD_BODY_IDLE_S)"
                raise Refusal(TOO_SLOW, detail, headers={"Connection": "close"}) from None
            more = message.get("more_body", False)
            counted += len(message.get("body", b""))
            _check(scope, counted)
            return message

        await self.app(scope, receive_counted, send)


def _check(scope: Scope, size: int) -> None:
    most_bytes = scope["state"]["body_bytes"]
    if size > most_bytes:
        raise Refusal(TOO_LARGE, f"the body may have {most_bytes} bytes here")


def allow_body(request: Request, *, most_bytes: int) -> None:
    """Let this request's body be larger; to be called before it is read."""
    request.state.body_bytes = most_bytes


def content_type(request: Request) -> str:
    """The media type of the body, without parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_type(request: Request, *allowed: str) -> str:
    """The body's media type.

    Raises:
        Refusal: it is none of `allowed` (415).
    """
    found = content_type(request)
    if found not in allowed:
        raise Refusal(MEDIA, f"Content-Type is {found or 'missing'!r}; send {' or '.join(allowed)}")
    return found


def require_json(request: Request) -> None:
    """A dependency of routes that take JSON alone."""
    require_type(request, "application/json")


class StrictRequest(Request):
    """Reads JSON as RFC 8259 has it, and refuses what no field may hold."""

    async def json(self) -> Any:
        """The parsed body."""
        return parse_json(await self.body())


def parse_json(data: bytes) -> Any:
    """JSON without NaN, infinities, NUL and lone surrogates, at any depth.

    Raises:
        Refusal: it is no JSON (400), or holds such a value (422, with pointers).
    """
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as unreadable:
        raise Refusal(MALFORMED, f"the body is no JSON: {unreadable}") from unreadable
    if faults := list(islice(_faults(value), _MOST_FAULTS)):
        raise Refusal(INVALID, "; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults), errors=faults)
    return value


def _faults(value: Any) -> Iterator[Fault]:
    """Every value that no field may hold; without recursion, since the depth is the sender's choice."""
    waiting: list[tuple[_Path, Any]] = [(None, value)]
    while waiting:
        path, item = waiting.pop()
        match item:
            case dict():
                waiting += [((path, name), inner) for name, inner in item.items()]
                waiting += [(path, name) for name in item]
            case list():
                waiting += [((path, place), inner) for place, inner in enumerate(item)]
            case float() if not math.isfinite(item):
                yield Fault(detail="is not a finite number", pointer=_pointer(path))
            case str() if fault := _text_fault(item):
                yield Fault(detail=fault, pointer=_pointer(path))


def _text_fault(text: str) -> str | None:
    if "\0" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    return None


def _pointer(path: _Path) -> str:
    parts: list[int | str] = []
    while path is not None:
        path, part = path
        parts.append(part.encode(errors="replace").decode() if isinstance(part, str) else part)
    return json_pointer(tuple(reversed(parts)))
