"""Live samples over a WebSocket: read no faster than they are labelled, so that it holds one message at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from pydantic import ValidationError
from starlette.websockets import WebSocket

from api.errors import Refusal
from api.schemas.stream import Failed, Paused, Samples, Told, Window
from pskd_core import inference, live
from pskd_core.data.series import Array
from pskd_core.errors import DataError

MESSAGE_BYTES = 64 * 2**10
_SAMPLE_BYTES = 12  # x, y and z as float32
_BLOCK = 128  # samples labelled at a time; resampled they may be two hundred times as many
_CHECK_S = 10.0  # between looks whether the stream may go on
_REASON_BYTES = 123  # that RFC 6455 leaves for a reason
NORMAL, BAD_DATA, REFUSED, FAILED = 1000, 1007, 1008, 1011  # close codes of RFC 6455

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Pace:
    """How long a stream may be silent, and how many samples a second it may send.

    Where windows overlap by more than half, or samples are resampled to more, so many as would give as many windows.
    """

    idle_s: float
    samples_per_s: int


async def label(
    socket: WebSocket,
    classifier: live.LiveClassifier,
    pace: Pace,
    *,
    threads: CapacityLimiter,
    check: Callable[[], Awaitable[None]],
    labelled: Callable[[int], None],
) -> tuple[int, str]:
    """Answer the messages of an open stream until its end, and say with which code and reason to close it.

    Args:
        socket: the stream, already accepted.
        classifier: its state.
        pace: its limits.
        threads: those that label.
        check: raises Refusal if the stream may not go on.
        labelled: is told how many windows a message completed.
    """
    checked_at = free_at = time.monotonic()
    try:
        while True:
            message = await _in_time(socket.receive(), pace)
            if message["type"] == "websocket.disconnect":
                return NORMAL, ""
            if time.monotonic() - checked_at > _CHECK_S:
                await check()
                checked_at = time.monotonic()
            values, time_s, ended = _parsed(message.get("text"), message.get("bytes"))
            for start in range(0, len(values), _BLOCK):
                block = slice(start, start + _BLOCK)
                found, before = partial(_pushed, classifier, values, time_s, block), classifier.windows
                await _tell(socket, await run_sync(found, limiter=threads), pace, labelled)
                sent = len(values[block])
                spent = max(sent, (classifier.windows - before) * classifier.length / 2)
                free_at = max(free_at, time.monotonic() - 1) + spent / pace.samples_per_s
                await asyncio.sleep(max(free_at - time.monotonic(), 0))
            if ended:
                await _tell(socket, await run_sync(lambda: list(classifier.finish()), limiter=threads), pace, labelled)
                return NORMAL, "the end"
    except TimeoutError:
        return REFUSED, f"nothing was sent or taken for {pace.idle_s:g} s; open a new stream (PSKD_STREAM_IDLE_S)"
    except DataError as bad:
        return BAD_DATA, str(bad)
    except Refusal as refused:
        return REFUSED, str(refused.detail)


def _pushed(
    classifier: live.LiveClassifier, values: Array, time_s: Array | None, block: slice
) -> list[inference.Window | live.Gap]:
    return list(classifier.push(values[block], None if time_s is None else time_s[block]))


async def close(socket: WebSocket, code: int, reason: str) -> None:
    """Close a stream; what is wrong is told in full before, since a reason may be short only."""
    if code != NORMAL:
        await socket.send_text(Failed(detail=reason).model_dump_json())
    await socket.close(code, reason.encode()[:_REASON_BYTES].decode(errors="ignore"))


async def _in_time(waiting: Awaitable[_Result], pace: Pace) -> _Result:
    async with asyncio.timeout(pace.idle_s):
        return await waiting


async def _tell(
    socket: WebSocket, found: Sequence[inference.Window | live.Gap], pace: Pace, labelled: Callable[[int], None]
) -> None:
    for each in found:
        told: Told = Paused(**dict(each)) if isinstance(each, live.Gap) else Window(**dict(each))
        await _in_time(socket.send_text(told.model_dump_json()), pace)
    labelled(sum(isinstance(each, inference.Window) for each in found))


def _parsed(text: str | None, raw: bytes | None) -> tuple[Array, Array | None, bool]:
    """Samples (n, 3), their times (n,) if they have any, and whether the stream ends with them."""
    if raw is not None:
        if len(raw) % _SAMPLE_BYTES:
            raise DataError(
                f"a message of {len(raw)} bytes holds no whole samples of x, y, z as float32, 12 bytes each"
            )
        return np.frombuffer(raw, "<f4").reshape(-1, 3).astype(np.float64), None, False
    try:
        message = Samples.model_validate_json(text or "")
    except ValidationError as wrong:
        first = wrong.errors()[0]
        place = "/".join(map(str, first["loc"])) or "the message"
        raise DataError(f'{place}: {first["msg"]}; send {{"samples": [[t, x, y, z], …]}}') from wrong
    widths = {len(sample) for sample in message.samples}
    if widths - {3, 4} or len(widths) > 1:
        raise DataError("each sample is [x, y, z] or [t, x, y, z], all of a message alike")
    rows = np.array(message.samples, np.float64).reshape(-1, max(widths, default=3))
    return rows[:, -3:], rows[:, 0] if 4 in widths else None, message.end
