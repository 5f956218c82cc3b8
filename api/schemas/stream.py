"""Messages of a stream of live samples."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat

from api.schemas.classify import ServedModel
from pskd_core import inference, live
from pskd_core.fields import Frozen


class Samples(BaseModel):
    """What a sensor sends: some samples, [x, y, z] or [t, x, y, z] with t in seconds; and whether they are the last."""

    model_config = ConfigDict(extra="forbid")

    samples: list[list[FiniteFloat]] = []
    end: bool = False


class Began(Frozen):
    """The first answer: who labels the stream, and how it is cut."""

    kind: Literal["began"] = "began"
    model: ServedModel
    rate_hz: float
    window_s: float
    hop_s: float


class Window(inference.Window):
    """A window, as soon as its last sample has come."""

    kind: Literal["window"] = "window"


class Paused(live.Gap):
    """A time without samples, after which windows begin anew."""

    kind: Literal["gap"] = "gap"


class Failed(Frozen):
    """Why the stream is closed next."""

    kind: Literal["failed"] = "failed"
    detail: str


Told = Began | Window | Paused | Failed
