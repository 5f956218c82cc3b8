"""Requests that are sent again when it helps; each creating one carries a key, so that sending it again is safe."""

import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import Any

import httpx
import websockets.asyncio.client as async_socket
import websockets.sync.client as sync_socket
from websockets.exceptions import InvalidStatus, WebSocketException

from client.errors import BadKey, Refused, Unreachable, refusal

_ATTEMPTS = 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_LATER = frozenset({429, 502, 503, 504})
_IN_FLIGHT = "request-in-flight"

# Makes a body anew for each attempt, since a file that was sent is at its end. Gives arguments of httpx.
Body = Callable[[], Mapping[str, Any]]


class Transport:
    """One connection pool to one service; whatever fails is a `ClientError`."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {} if api_key is None else {"Authorization": f"Bearer {_checked(api_key)}"}
        # A proxy named by the environment is for reaching other machines.
        self._trust_env = not _is_loopback(_host(self.url))
        self._options: dict[str, Any] = {
            "base_url": self.url,
            "timeout": _TIMEOUT,
            "headers": headers,
            "trust_env": self._trust_env,
        }
        self._http = httpx.Client(**self._options)

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """Read something; parameters that are None are left out."""
        return self._send("GET", path, dict, params=_given(parameters))

    def post(self, path: str, body: Body = dict, *, key: str | None = None, **parameters: Any) -> httpx.Response:
        """Create or change something, once, however often it must be sent; with a `key` of one's own, once for ever."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return self._send("POST", path, body, params=_given(parameters), headers=headers)

    def put(self, path: str, body: Mapping[str, Any], condition: Mapping[str, str]) -> httpx.Response:
        """Change something that is as `condition`, a header, supposes; the service knows a repetition."""
        return self._send("PUT", path, lambda: {"json": body}, headers=dict(condition))

    def delete(self, path: str, **parameters: Any) -> httpx.Response:
        """Delete something; where the answer to the first try was lost, the next may find nothing left (404)."""
        return self._send("DELETE", path, dict, params=_given(parameters))

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """An answer that arrives bit by bit; it is not asked for again when it breaks."""
        with self._named_errors(), self._http.stream("GET", path, headers=dict(headers)) as response:
            if not response.is_success:
                response.read()
            _check(response)
            yield response

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of a file as they arrive; whoever stops reading them closes its connection."""
        with self.stream(path, {}) as response:
            rest = b""
            for chunk in response.iter_bytes():
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole

    @asynccontextmanager
    async def stream_async(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """`stream` for a program that awaits."""
        async with httpx.AsyncClient(**self._options) as http:
            with self._named_errors():
                async with http.stream("GET", path, headers=dict(headers)) as response:
                    if not response.is_success:
                        await response.aread()
                    _check(response)
                    yield response

    @contextmanager
    def socket(self, path: str, **parameters: Any) -> Iterator[sync_socket.ClientConnection]:
        """A WebSocket, closed when the block ends; parameters that are None are left out."""
        with self._opened():
            socket = sync_socket.connect(self._socket_url(path, parameters), **self._socket_options)
        with socket:
            yield socket

    @asynccontextmanager
    async def socket_async(self, path: str, **parameters: Any) -> AsyncIterator[async_socket.ClientConnection]:
        """`socket` for a program that awaits."""
        with self._opened():
            socket = await async_socket.connect(self._socket_url(path, parameters), **self._socket_options)
        async with socket:
            yield socket

    def _socket_url(self, path: str, parameters: Mapping[str, Any]) -> str:
        return f"{self.url.replace('http', 'ws', 1)}{path}?{httpx.QueryParams(_given(parameters))}"

    @property
    def _socket_options(self) -> dict[str, Any]:
        return {"additional_headers": self._options["headers"], "proxy": True if self._trust_env else None}

    @contextmanager
    def _opened(self) -> Iterator[None]:
        try:
            yield
        except InvalidStatus as refused:
            answer = refused.response
            raise _refused(answer.status_code, answer.headers, bytes(answer.body or b"")) from refused
        except (OSError, WebSocketException) as error:
            raise Unreachable(self.url, str(error) or type(error).__name__) from error

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _send(self, method: str, path: str, body: Body, **rest: Any) -> httpx.Response:
        patience = Patience(attempts=_ATTEMPTS)
        while True:
            try:
                with self._named_errors():
                    response = self._http.request(method, path, **{**rest, **body()})
                _check(response)
            except (Unreachable, Refused) as error:
                time.sleep(patience.pause_after(error))
            else:
                return response

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise Unreachable(self.url, str(error) or type(error).__name__) from error


class Patience:
    """How often something is tried again, and the pauses between: doubling, and spread over many clients."""

    def __init__(self, *, attempts: int) -> None:
        self._attempts, self._failures = attempts, 0

    def pause_after(self, error: Unreachable | Refused) -> float:
        """Seconds before another attempt; raises `error` if another would not help or has been made often enough."""
        self._failures += 1
        if self._failures == self._attempts or not _may_pass(error):
            raise error
        pause_s: float = _FIRST_PAUSE_S * 2 ** (self._failures - 1) * random.uniform(0.75, 1.25)  # noqa: S311  # nosec B311 # no secret
        asked_s = error.retry_after_s if isinstance(error, Refused) else 0.0
        return min(max(pause_s, asked_s), _LONGEST_PAUSE_S)

    def renew(self) -> None:
        """Something arrived, so the failures before are forgotten."""
        self._failures = 0


def _may_pass(error: Unreachable | Refused) -> bool:
    return isinstance(error, Unreachable) or error.status in _LATER or error.kind == _IN_FLIGHT


def _check(response: httpx.Response) -> None:
    if not response.is_success:
        raise _refused(response.status_code, response.headers, response.content)


def _refused(status: int, headers: Mapping[str, str], body: bytes) -> Refused:
    try:
        problem = json.loads(body)
    except ValueError:
        problem = {}
    pause = headers.get("retry-after", "")
    return refusal(
        status,
        problem if isinstance(problem, dict) else {},
        retry_after_s=float(pause) if pause.isdecimal() else 0.0,
    )


def _checked(api_key: str) -> str:
    """The key without the blanks around it; one that no header can carry is not shown in the error."""
    key = api_key.strip()
    if not (key.isascii() and key.isprintable()):
        raise BadKey("the API key holds letters that no key has")
    return key


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _host(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Unreachable(url, str(error)) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise Unreachable(url, "such a URL begins with http:// or https:// and a host")
    return parsed.host


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
