"""A recording in, a labelled timeline out."""

import csv
import io
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.auth import Caller
from api.body import allow_body, require_type
from api.deps import CallerDep, Services, ServicesDep
from api.errors import INVALID, Fault, Refusal, documented
from api.figures import Figures
from api.readers import Readers
from api.routing import Route
from api.schemas.classify import ClassificationOut, ServedModel
from api.tables import cell, wants_csv
from api.uploads import body_file, form_file
from pskd_core.data.recordings import MOST_FORMAT_BYTES, SensorRecording, is_text, read_recording
from pskd_core.data.series import Unit
from pskd_core.inference import Classification, classify
from store import registry
from store.models import ModelVersion

router = APIRouter(tags=["classify"], route_class=Route)

RECORDING_BYTES = 64 * 2**20
_INLINE_BYTES = 2**20  # of text, whose parser counts as it goes
SEGMENT_COLUMNS = ("start_s", "end_s", "label", "probability", "confidence", "novelty")
_RAW_TYPES = ("text/csv", "text/plain", "text/tab-separated-values", "application/octet-stream")
_RECORDING_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in _RAW_TYPES},
        },
    }
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


@dataclass(frozen=True)
class Upload:
    """A recording as it arrived, in a file that lasts as long as the request."""

    file: IO[bytes]
    filename: str | None

    @contextmanager
    def recording(
        self, readers: Readers, *, rate_hz: float | None, unit: Unit | None, columns: Sequence[str]
    ) -> Iterator[SensorRecording]:
        """What it holds: a short text is read here, all else by a reader, which is taken until the block ends."""
        size, head = self.file.seek(0, os.SEEK_END), self._head()
        if size <= _INLINE_BYTES and is_text(head):
            yield read_recording(self.file.read(), filename=self.filename, rate_hz=rate_hz, unit=unit, columns=columns)
            return
        with readers.reader() as reader:
            yield reader.read(self.file, filename=self.filename, rate_hz=rate_hz, unit=unit, columns=columns)

    def _head(self) -> bytes:
        self.file.seek(0)
        head = self.file.read(MOST_FORMAT_BYTES)
        self.file.seek(0)
        return head


async def receive(request: Request, services: ServicesDep) -> AsyncIterator[Upload]:
    """The uploaded recording, as a form or as the raw body."""
    allow_body(request, most_bytes=RECORDING_BYTES)
    if require_type(request, "multipart/form-data", *_RAW_TYPES) == "multipart/form-data":
        async with form_file(request, folder=services.uploads) as (file, _):
            yield Upload(file.file, file.filename)
    else:
        async with body_file(request, folder=services.uploads, most_in_memory=_INLINE_BYTES) as body:
            yield Upload(body, None)


@dataclass(frozen=True)
class Choice:
    """Which version of a model is asked."""

    version: int | None
    alias: str | None


async def choice_of(
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    alias: Annotated[str | None, Query(min_length=1, max_length=200, description="default: `champion`")] = None,
) -> Choice:
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


async def cutting_of(
    overlap: Annotated[
        float, Query(ge=0, le=0.95, allow_inf_nan=False, description="part of a window that the next one shares")
    ] = PLAIN.overlap,
    smooth_s: Annotated[
        float,
        Query(ge=0, le=600, allow_inf_nan=False, description="what is found is averaged over windows this near"),
    ] = PLAIN.smooth_s,
) -> Cutting:
    """The cutting that was asked for."""
    return Cutting(overlap, smooth_s)


@router.post(
    "/v1/models/{name}/classify",
    response_model=ClassificationOut,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **documented(400, 404, 413, 415)},
    openapi_extra=_RECORDING_BODY,
)
def classify_recording(
    name: str,
    request: Request,
    upload: Annotated[Upload, Depends(receive, scope="function")],
    choice: Annotated[Choice, Depends(choice_of)],
    cutting: Annotated[Cutting, Depends(cutting_of)],
    services: ServicesDep,
    caller: CallerDep,
    rate_hz: RateHz = None,
    unit: StatedUnit = None,
    columns: StatedColumns = None,
    top_k: Annotated[int, Query(ge=1, le=100, description="classes to name, most probable first")] = 5,
) -> ClassificationOut | Response:
    """Labels a recording of an accelerometer (a table, an array, a device's file); its segments as CSV if asked for."""
    asked = Asked(choice, rate_hz=rate_hz, unit=unit, columns=columns, top_k=top_k, cutting=cutting)
    answer, _ = classified(name, upload, asked, services, caller, request.app.state.figures)
    return _csv(answer) if wants_csv(request) else answer


def _csv(answer: Classification) -> Response:
    """A row a segment."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(SEGMENT_COLUMNS)
    table.writerows([cell(getattr(segment, column)) for column in SEGMENT_COLUMNS] for segment in answer.segments)
    return Response(text.getvalue(), media_type="text/csv")


@dataclass(frozen=True)
class Asked:
    """How a recording is to be read and answered."""

    choice: Choice
    rate_hz: float | None
    unit: Unit | None
    columns: str | None
    top_k: int
    cutting: Cutting = PLAIN


def classified(
    name: str, upload: Upload, asked: Asked, services: Services, caller: Caller, figures: Figures
) -> tuple[ClassificationOut, SensorRecording]:
    """The answer to an upload, and the recording as it was read."""
    choice, columns = asked.choice, asked.columns.split(",") if asked.columns else ()
    with services.database.read() as session:
        found: ModelVersion = registry.resolve(
            session, name, version=choice.version, alias=choice.alias, tenant=caller.tenant
        )
    bundle = services.load_bundle(found.bundle_digest)
    began_at = time.perf_counter()
    with upload.recording(services.readers, rate_hz=asked.rate_hz, unit=asked.unit, columns=columns) as recording:
        read_at = time.perf_counter()
        answer = classify(
            bundle, recording, top_k=asked.top_k, overlap=asked.cutting.overlap, smooth_s=asked.cutting.smooth_s
        )
        figures.observe_classify(read_s=read_at - began_at, label_s=time.perf_counter() - read_at)
    fields = dict(answer) | {"model": ServedModel(name=name, version=found.version, **dict(answer.model))}
    return ClassificationOut(**fields), recording
