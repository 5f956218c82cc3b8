"""Samples in as a watch measures them, a label a window out."""

import asyncio
import logging
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.auth import check_still_known
from api.deps import CallerDep, ServicesDep
from api.errors import INVALID, Fault, Refusal
from api.routers.classify import Choice, Cutting, choice_of, cutting_of
from api.routing import StreamRoute
from api.schemas.stream import Began
from api.streams import FAILED, Pace, close, label
from pskd_core.data.series import Unit
from pskd_core.live import LiveClassifier

logger = logging.getLogger(__name__)

_MOST_SMOOTHED = 240
_GOODBYE_S = 2.0  # for one that reads nothing more


async def stream(
    socket: WebSocket,
    name: str,
    choice: Annotated[Choice, Depends(choice_of)],
    cutting: Annotated[Cutting, Depends(cutting_of)],
    services: ServicesDep,
    caller: CallerDep,
    rate_hz: Annotated[float, Query(ge=1, le=1000)],
    unit: Annotated[Unit, Query()],
    top_k: Annotated[int, Query(ge=1, le=100)] = 5,
) -> None:
    """Labels one accelerometer's samples while they come; a model's version stays that of the beginning."""
    figures, settings = socket.app.state.figures, services.settings
    served = await services.serving.find(caller.tenant, name, version=choice.version, alias=choice.alias)
    classifier = LiveClassifier(
        served.bundle, rate_hz=rate_hz, unit=unit, top_k=top_k, overlap=cutting.overlap, smooth_s=cutting.smooth_s
    )
    _check_smoothing(cutting, classifier)
    with services.streams.one(caller.tenant), figures.streams.track_inprogress():
        await socket.accept()
        try:
            window_s, hop_s = classifier.length / rate_hz, classifier.hop / rate_hz
            began = Began(model=served.model, rate_hz=rate_hz, window_s=window_s, hop_s=hop_s)
            await socket.send_text(began.model_dump_json())
            ending = await label(
                socket,
                classifier,
                Pace(settings.stream_idle_s, settings.stream_samples_per_s),
                threads=services.streams.threads,
                check=partial(check_still_known, socket),
                labelled=figures.stream_windows.inc,
            )
        except (WebSocketDisconnect, OSError):
            return
        except Exception:
            logger.exception("stream %s failed", socket.state.request_id)
            ending = FAILED, "a fault of this software; the log has it under the request id; open a new stream"
        await _closed(socket, *ending)


router = APIRouter(tags=["classify"])
router.routes.append(StreamRoute("/v1/models/{name}/stream", stream))


def _check_smoothing(cutting: Cutting, classifier: LiveClassifier) -> None:
    """Refuse to average over more windows than a stream may keep, each time that one is complete."""
    hop_s = classifier.hop / classifier.rate_hz
    if cutting.smooth_s > _MOST_SMOOTHED * hop_s:
        detail = (
            f"a stream averages over {_MOST_SMOOTHED} windows at most, here {_MOST_SMOOTHED * hop_s:.0f} s; "
            "let windows overlap less, or smooth what was told"
        )
        raise Refusal(INVALID, f"smooth_s: {detail}", errors=[Fault(detail=detail, parameter="smooth_s")])


async def _closed(socket: WebSocket, code: int, reason: str) -> None:
    """Close the stream unless its other end is gone."""
    try:
        async with asyncio.timeout(_GOODBYE_S):
            await close(socket, code, reason)
    except (WebSocketDisconnect, RuntimeError, OSError):
        return
