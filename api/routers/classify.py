"""A recording in, a labelled timeline out."""

import csv
import io
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from api.auth import identify
from api.body import allow_body, require_type
from api.deps import Services, ServicesDep, services_of
from api.errors import INVALID, Fault, Refusal, documented
from api.figures import Figures
from api.readers import Readers
from api.routing import LeanRoute, parameters_of
from api.schemas.classify import ClassificationOut
from api.serving import Served
from api.tables import cell, wants_csv
from api.uploads import body_file, form_file, form_schema, validated
from pskd_core.data.recordings import MOST_FORMAT_BYTES, SensorRecording, is_text, read_floats, read_recording
from pskd_core.data.series import Unit
from pskd_core.inference import Classification, classify

router = APIRouter(tags=["classify"], route_class=LeanRoute)

RECORDING_BYTES = 64 * 2**20
_INLINE_BYTES = 2**20  # of text or bare samples, whose parsers count as they go
_AT_ONCE_BYTES = 16 * 2**10  # of these, for which the event loop need not be left
SEGMENT_COLUMNS = ("start_s", "end_s", "label", "probability", "confidence", "novelty")
_RAW_TYPES = ("text/csv", "text/plain", "text/tab-separated-values", "application/octet-stream")
_DESCRIBED = {
    "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string", "title": "Name"}}],
    "requestBody": {
        "required": True,
        "content": {
            **form_schema(),
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in _RAW_TYPES},
        },
    },
}
RateHz = Annotated[float | None, Query(gt=0, le=10_000, allow_inf_nan=False, description="if the file has no times")]
StatedUnit = Annotated[Unit | None, Query(description="if the file does not say")]
StatedColumns = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=1000,
        description="names or numbers (from 1) of x, y and z, with commas between, or of the time and these",
    ),
]
Version = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
Alias = Annotated[str | None, Query(min_length=1, max_length=200, description="default: `champion`")]
Overlap = Annotated[
    float, Query(ge=0, le=0.95, allow_inf_nan=False, description="part of a window that the next one shares")
]
SmoothS = Annotated[
    float, Query(ge=0, le=600, allow_inf_nan=False, description="what is found is averaged over windows this near")
]


@dataclass(frozen=True)
class Choice:
    """Which version of a model is asked."""

    version: int | None
    alias: str | None


async def choice_of(version: Version = None, alias: Alias = None) -> Choice:
    """The version or the alias that was named."""
    if version is not None and alias is not None:
        detail = "name a version or an alias, not both"
        raise Refusal(INVALID, detail, errors=[Fault(detail=detail, parameter="alias")])
    return Choice(version, alias)


@dataclass(frozen=True)
class Cutting:
    """How a recording that is longer than a training clip becomes a timeline."""

    overlap: float
    smooth_s: float


PLAIN = Cutting(overlap=0.5, smooth_s=0)


async def cutting_of(overlap: Overlap = PLAIN.overlap, smooth_s: SmoothS = PLAIN.smooth_s) -> Cutting:
    """The cutting that was asked for."""
    return Cutting(overlap, smooth_s)


class Stated(BaseModel):
    """How a recording is to be read and labelled, and by which version."""

    version: Version = None
    alias: Alias = None
    rate_hz: RateHz = None
    unit: StatedUnit = None
    columns: StatedColumns = None
    overlap: Overlap = PLAIN.overlap
    smooth_s: SmoothS = PLAIN.smooth_s
    top_k: Annotated[int, Query(ge=1, le=100, description="classes to name, most probable first")] = 5

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns, one by one; none: the file says."""
        return tuple(self.columns.split(",")) if self.columns else ()


class Asked(Stated):
    """The same of a recording that is read at once, which may also be bare samples."""

    format: Annotated[
        Literal["float32"] | None,
        Query(description="bare samples, x, y and z as little-endian float32, whose `rate_hz` and `unit` are stated"),
    ] = None


@dataclass(frozen=True)
class Upload:
    """A recording as it arrived, in a file that lasts as long as the request."""

    file: IO[bytes]
    filename: str | None

    @contextmanager
    def recording(self, readers: Readers, asked: Asked) -> Iterator[SensorRecording]:
        """What it holds: a short text or bare samples are read here, all else by a reader, taken until the block ends.

        Raises:
            Refusal: of bare samples the rate or the unit is not stated (422).
        """
        if asked.format == "float32":
            yield self._floats(asked)
            return
        how: dict[str, Any] = {"filename": self.filename, "rate_hz": asked.rate_hz, "unit": asked.unit}
        how["columns"] = asked.column_names
        if self.size <= _INLINE_BYTES and self._is_text():
            yield read_recording(self.file.read(), **how)
            return
        with readers.reader() as reader:
            yield reader.read(self.file, **how)

    @property
    def size(self) -> int:
        """In bytes."""
        size = self.file.seek(0, os.SEEK_END)
        self.file.seek(0)
        return size

    def is_soon_read(self, asked: Asked) -> bool:
        """Whether that takes about a millisecond."""
        return self.size <= _AT_ONCE_BYTES and (asked.format == "float32" or self._is_text())

    def _is_text(self) -> bool:
        head = self.file.read(MOST_FORMAT_BYTES)
        self.file.seek(0)
        return is_text(head)

    def _floats(self, asked: Asked) -> SensorRecording:
        rate_hz, unit = asked.rate_hz, asked.unit
        if rate_hz is None or unit is None:
            detail = "state it: bare float32 says nothing of it"
            missing = [name for name, value in (("rate_hz", rate_hz), ("unit", unit)) if value is None]
            faults = [Fault(detail=detail, parameter=name) for name in missing]
            raise Refusal(INVALID, f"{' and '.join(missing)}: {detail}", errors=faults)
        if asked.columns is not None:
            detail = "bare float32 has no columns to choose from; leave it out"
            raise Refusal(INVALID, f"columns: {detail}", errors=[Fault(detail=detail, parameter="columns")])
        return read_floats(self.file.read(), rate_hz=rate_hz, unit=unit, filename=self.filename)


async def receive(request: Request, services: ServicesDep) -> AsyncIterator[Upload]:
    """The uploaded recording, as a form or as the raw body."""
    allow_body(request, most_bytes=RECORDING_BYTES)
    if require_type(request, "multipart/form-data", *_RAW_TYPES) == "multipart/form-data":
        async with form_file(request, folder=services.uploads) as (file, _):
            yield Upload(file.file, file.filename)
    else:
        async with body_file(request, folder=services.uploads, most_in_memory=_INLINE_BYTES) as body:
            yield Upload(body, None)


_received = asynccontextmanager(receive)


@router.post(
    "/v1/models/{name}/classify",
    response_model=ClassificationOut,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **documented(400, 404, 413, 415)},
    openapi_extra={**_DESCRIBED, "parameters": [*_DESCRIBED["parameters"], *parameters_of(Asked)]},
)
async def classify_recording(request: Request) -> Response:
    """Labels a recording of an accelerometer (a table, an array, a device's file); its segments as CSV if asked for."""
    services, caller = await services_of(request), await identify(request)
    asked = validated(Asked, dict(request.query_params), place="query")
    await choice_of(asked.version, asked.alias)
    figures: Figures = request.app.state.figures
    name: str = request.path_params["name"]
    served = await services.serving.find(caller.tenant, name, version=asked.version, alias=asked.alias)
    async with _received(request, services) as upload:
        at_once = served.quick and asked.overlap <= PLAIN.overlap and upload.is_soon_read(asked)
        label = partial(labelled, served, upload, asked, services, figures)
        answer, _ = label() if at_once else await run_in_threadpool(label)
    return _csv(answer) if wants_csv(request) else Response(answer.model_dump_json(), media_type="application/json")


def _csv(answer: Classification) -> Response:
    """A row a segment."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(SEGMENT_COLUMNS)
    table.writerows([cell(getattr(segment, column)) for column in SEGMENT_COLUMNS] for segment in answer.segments)
    return Response(text.getvalue(), media_type="text/csv")


def labelled(
    served: Served, upload: Upload, asked: Asked, services: Services, figures: Figures
) -> tuple[ClassificationOut, SensorRecording]:
    """The answer to an upload, and the recording as it was read."""
    began_at = time.perf_counter()
    with upload.recording(services.readers, asked) as recording:
        read_at = time.perf_counter()
        answer = classify(served.bundle, recording, top_k=asked.top_k, overlap=asked.overlap, smooth_s=asked.smooth_s)
        figures.observe_classify(read_s=read_at - began_at, label_s=time.perf_counter() - read_at)
    return ClassificationOut(**dict(answer) | {"model": served.model}), recording
