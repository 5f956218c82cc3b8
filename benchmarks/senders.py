"""HTTP/1.1 over kept connections with requests that are ready as bytes: a client that costs next to nothing."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_CONNECT_S = 10.0
_END_OF_HEADERS = b"\r\n\r\n"
_LENGTH = b"content-length: "


class Answer(NamedTuple):
    """What came back; `label` is the request's own."""

    label: str
    status: int
    body: bytes
    at: float  # seconds, on the clock of `time.time`


def post(path: str, *, host: str, body: bytes = b"", kind: str = "application/json", headers: str = "") -> bytes:
    """A POST request, whole; `headers` are further lines, each with its end."""
    described = f"Content-Type: {kind}\r\n" if body else ""
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{described}{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def send_all(ports: Sequence[int], requests: Iterator[tuple[str, bytes]], *, connections: int) -> list[Answer]:
    """Every answer; each of so many connections a port takes the next request when it has the last one's answer.

    Raises:
        ConnectionError: a server has closed a connection before it answered.
    """
    return asyncio.run(_send_all(ports, requests, connections))


async def _send_all(ports: Sequence[int], requests: Iterator[tuple[str, bytes]], connections: int) -> list[Answer]:
    heard: list[Answer] = []
    loop, ends = asyncio.get_running_loop(), []
    for port in [port for port in ports for _ in range(connections)]:
        connection = _Connection(requests, heard, loop.create_future())
        ends.append(connection.end)
        async with asyncio.timeout(_CONNECT_S):
            await loop.create_connection(lambda made=connection: made, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    return heard


class _Connection(asyncio.Protocol):
    """One question at a time, until there are no more."""

    def __init__(self, requests: Iterator[tuple[str, bytes]], heard: list[Answer], end: "asyncio.Future[None]") -> None:
        self._requests, self._heard, self.end = requests, heard, end
        self._label, self._received = "", b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called once it is open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Called with each part of an answer."""
        self._received += data
        head, end, body = self._received.partition(_END_OF_HEADERS)
        if not end:
            return
        length = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
        if len(body) == int(length):
            self._heard.append(Answer(self._label, int(head[9:12]), body, time.time()))
            self._received = b""
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when it is closed, by either side."""
        if not self.end.done():
            self.end.set_exception(ConnectionError(f"closed before the answer to {self._label}: {exc}"))

    def _ask(self) -> None:
        self._label, request = next(self._requests, ("", b""))
        if request:
            self._transport.write(request)
        else:
            self.end.set_result(None)
            self._transport.close()
