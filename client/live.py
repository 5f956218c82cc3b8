"""Labels while a sensor measures: samples in, a window's label out, over one WebSocket.

Example:
    with Client() as service:
        for told in service.live("watch", samples_of_my_sensor(), rate_hz=50, unit="g"):
            if told.kind == "window":
                print(told.end_s, told.label)
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import Annotated, Any, Literal, NotRequired, TypeAlias
from urllib.parse import quote

import numpy as np
import websockets.asyncio.client as async_socket
from numpy.typing import ArrayLike
from pydantic import Field, TypeAdapter, ValidationError
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.sync.client import ClientConnection

from client.answers import Answer, Served, Window
from client.errors import Strange, StreamBroken
from client.reading import Choice
from client.transport import Transport

# So few that the socket's buffers hold a message and its answers: while a message waits to be sent, no answer is read.
_SAMPLES_PER_MESSAGE = 128
_END = json.dumps({"end": True})


class Asked(Choice):
    """How a stream is read and cut; docs/streaming.md says more."""

    rate_hz: float  # samples a second; those that come with times are resampled to it
    unit: str  # g, m/s^2, mg or g/64
    top_k: NotRequired[int | None]


class Began(Answer):
    """The stream is open: who labels it, and how it is cut."""

    kind: Literal["began"]
    model: Served
    rate_hz: float
    window_s: float
    hop_s: float


class LiveWindow(Window):
    """What the model says about a window, as soon as its last sample has come."""

    kind: Literal["window"]
    novelty: float | None = None


class Gap(Answer):
    """A time without samples, after which windows begin anew."""

    kind: Literal["gap"]
    start_s: float
    end_s: float


class _Failed(Answer):
    kind: Literal["failed"]
    detail: str


Told: TypeAlias = Began | LiveWindow | Gap
_ANSWERS: TypeAdapter[Told | _Failed] = TypeAdapter(Annotated[Told | _Failed, Field(discriminator="kind")])


def labels(transport: Transport, model: str, samples: Iterable[ArrayLike], asked: Asked) -> Iterator[Told]:
    """What a stream answers, until its samples end and all of them are labelled.

    Samples are taken in a thread of their own, so that answers come while the sensor is silent. What goes wrong
    where they come from is raised here, after the answers to those before it.

    Args:
        transport: to the service.
        model: its name.
        samples: batches (n, 3) of x, y, z in the stated unit, or (n, 4) with the sensor's time in seconds before them.
        asked: how they are read and cut.

    Raises:
        Refused: the service does not open the stream.
        StreamBroken: it ended before the samples did.
    """
    with transport.socket(_path(model), **asked) as socket:
        wrong: list[Exception] = []
        threading.Thread(target=_send, args=(socket, samples, wrong), daemon=True).start()
        answers = _Answers(transport.url)
        with answers:
            for text in socket:
                if (told := answers.take(text)) is not None:
                    yield told
        if wrong:
            raise wrong[0]


async def labels_async(
    transport: Transport, model: str, samples: AsyncIterable[ArrayLike], asked: Asked
) -> AsyncIterator[Told]:
    """`labels` for a program that awaits, of samples that it awaits too."""
    async with transport.socket_async(_path(model), **asked) as socket:
        sending = asyncio.create_task(_send_async(socket, samples))
        answers = _Answers(transport.url)
        try:
            with answers:
                async for text in socket:
                    if (told := answers.take(text)) is not None:
                        yield told
            await sending
        finally:
            sending.cancel()


class _Answers:
    """What comes out of a stream, and its end as an error if it ended early; a context around what receives."""

    def __init__(self, url: str) -> None:
        self._url, self._detail = url, ""

    def take(self, text: str | bytes) -> Told | None:
        """What is told, unless it is why the stream is about to end."""
        try:
            told = _ANSWERS.validate_json(text)
        except ValidationError as strange:
            raise Strange(self._url) from strange
        if isinstance(told, _Failed):
            self._detail = told.detail
            return None
        return told

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, ConnectionClosedError):
            code, reason = (error.rcvd.code, error.rcvd.reason) if error.rcvd else (None, "")
            raise StreamBroken(self._url, code, self._detail or reason) from error


def _path(model: str) -> str:
    return f"/v1/models/{quote(model, safe='')}/stream"


def _send(socket: ClientConnection, samples: Iterable[ArrayLike], wrong: list[Exception]) -> None:
    try:
        try:
            for batch in samples:
                for message in _messages(np.asarray(batch, np.float64)):
                    socket.send(message)
        except ConnectionClosed:
            raise
        except Exception as error:  # noqa: BLE001  # of whatever yields the samples; raised where the answers are read
            wrong.append(error)
        socket.send(_END)
    except ConnectionClosed:
        pass  # whoever reads the answers learns why


async def _send_async(socket: async_socket.ClientConnection, samples: AsyncIterable[ArrayLike]) -> None:
    """As `_send`; what goes wrong where the samples come from is raised once it is told that they have ended."""
    try:
        try:
            async for batch in samples:
                for message in _messages(np.asarray(batch, np.float64)):
                    await socket.send(message)
        finally:
            await socket.send(_END)
    except ConnectionClosed:
        pass  # whoever reads the answers learns why


def _messages(batch: "np.ndarray[Any, np.dtype[np.float64]]") -> Iterator[str | bytes]:
    if batch.ndim != 2 or batch.shape[1] not in {3, 4}:
        raise ValueError(f"samples of shape {batch.shape}; each batch is (n, 3) of x, y, z or (n, 4) of t, x, y, z")
    for start in range(0, len(batch), _SAMPLES_PER_MESSAGE):
        part = batch[start : start + _SAMPLES_PER_MESSAGE]
        yield part.astype("<f4").tobytes() if part.shape[1] == 3 else json.dumps({"samples": part.tolist()})
