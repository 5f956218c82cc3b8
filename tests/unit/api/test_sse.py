"""The event stream, fed by hand."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event as Flag

import pytest
from anyio import CapacityLimiter

from api import sse
from api.schemas.jobs import EventOut
from api.sse import Batch, changes, stream


def event(seq: int) -> EventOut:
    """An event of this number."""
    return EventOut(seq=seq, kind="run.epoch", at=datetime(2026, 1, 1, tzinfo=UTC), data={"text": "a\nb"})


def collected(read: Callable[[int], Batch], stopping: Flag | None = None, *, after: int = 0) -> bytes:
    """Everything that a stream sends."""

    async def collect() -> bytes:
        threads = CapacityLimiter(1)
        return b"".join(
            [part async for part in stream(read, after=after, stopping=stopping or Flag(), threads=threads)]
        )

    return asyncio.run(collect())


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "POLL_S", 0.01)
    monkeypatch.setattr(sse, "LOOK_S", 0.01)


def test_each_look_starts_after_the_last_event_sent() -> None:
    """Nothing is sent twice and nothing is passed over, across looks that find some, none and the last events."""
    asked: list[int] = []
    found = iter([Batch([event(4), event(5)], ended=False), Batch([], ended=False), Batch([event(6)], ended=True)])

    def read(after: int) -> Batch:
        asked.append(after)
        return next(found)

    sent = collected(read, after=3)
    assert asked == [3, 5, 5]
    assert [line for line in sent.split(b"\n") if line.startswith(b"id: ")] == [b"id: 4", b"id: 5", b"id: 6"]


def test_an_event_is_one_line_of_data() -> None:
    """Line breaks inside of an event do not break the stream's lines."""
    sent = collected(lambda _after: Batch([event(1)], ended=True))
    assert sent.startswith(b'event: run.epoch\ndata: {"seq":1,')
    assert sent.endswith(b"\nid: 1\n\n")
    assert sent.count(b"\n") == 4


def test_a_silent_stream_is_kept_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments keep proxies from closing a connection on which nothing happens."""
    monkeypatch.setattr(sse, "KEEPALIVE_S", 0.02)
    looks = iter([Batch([], ended=False)] * 5 + [Batch([], ended=True)])
    assert collected(lambda _after: next(looks)) == b": ping\n\n" * 2


def test_a_stop_ends_the_stream() -> None:
    """A process that is told to stop does not wait for jobs to end."""
    stopping = Flag()

    def read(after: int) -> Batch:
        stopping.set()
        return Batch([event(after + 1)], ended=False)

    assert collected(read, stopping).count(b"id: ") == 1


def test_a_page_is_told_of_every_other_state_and_of_no_equal_one() -> None:
    """What the browser has seen is not told again; each change is one event whose id it would come back with."""
    found = iter(["a", "a", "b", "b", "c", None])

    async def collect() -> list[bytes]:
        return [
            part async for part in changes(lambda: next(found), seen="a", stopping=Flag(), threads=CapacityLimiter(1))
        ]

    sent = asyncio.run(collect())
    assert [part.split(b"\n")[0:3] for part in sent] == [
        [b"event: changed", b"data: {}", b"id: b"],
        [b"event: changed", b"data: {}", b"id: c"],
    ]
