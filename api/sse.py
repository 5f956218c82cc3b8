"""Event streams: a job's rows as they are committed, and that what a page shows has changed; no session is held."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from threading import Event as Flag

import anyio
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from api.schemas.jobs import EventOut

POLL_S = 0.5
LOOK_S = 2.0
KEEPALIVE_S = 15.0


@dataclass(frozen=True)
class Batch:
    """What one look at the database found."""

    events: Sequence[EventOut]
    ended: bool  # nothing follows


async def stream(
    read: Callable[[int], Batch], *, after: int, stopping: Flag, threads: CapacityLimiter
) -> AsyncIterator[bytes]:
    """Events numbered above `after`, until the job has ended or the process stops."""
    silent_s = 0.0
    while not stopping.is_set():
        batch = await run_sync(read, after, limiter=threads)
        for event in batch.events:
            yield _encode(event)
            after = event.seq
        if batch.ended:
            return
        silent_s = 0.0 if batch.events else silent_s + POLL_S
        if silent_s >= KEEPALIVE_S:
            yield KEEPALIVE_COMMENT
            silent_s = 0.0
        if not batch.events:
            await anyio.sleep(POLL_S)


async def changes(
    look: Callable[[], str | None], *, seen: str, stopping: Flag, threads: CapacityLimiter
) -> AsyncIterator[bytes]:
    """An event `changed` for every digest that differs from the one before, until there is none or the process stops.

    The digest is the event's id, so a browser that connects again by its `Last-Event-ID` misses nothing.
    """
    silent_s = 0.0
    while not stopping.is_set():
        found = await run_sync(look, limiter=threads)
        if found is None:
            return
        if found != seen:
            yield format_sse_event(data_str="{}", event="changed", id=found)
            seen, silent_s = found, 0.0
        elif silent_s >= KEEPALIVE_S:
            yield KEEPALIVE_COMMENT
            silent_s = 0.0
        await anyio.sleep(LOOK_S)
        silent_s += LOOK_S


def _encode(event: EventOut) -> bytes:
    return format_sse_event(data_str=event.model_dump_json(), event=event.kind, id=str(event.seq))
