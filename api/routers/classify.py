"""A recording in, a labelled timeline out."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request

from api.body import allow_body, require_type
from api.deps import CallerDep, ServicesDep
from api.errors import INVALID, Fault, Refusal, documented
from api.routing import Route
from api.schemas.classify import ClassificationOut, ServedModel
from api.uploads import form_file
from pskd_core.data.recordings import read_recording
from pskd_core.inference import classify
from store import registry
from store.models import ModelVersion

router = APIRouter(tags=["classify"], route_class=Route)

RECORDING_BYTES = 64 * 2**20
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


@dataclass(frozen=True)
class Upload:
    """A recording as it arrived."""

    data: bytes
    filename: str | None


async def _read_upload(request: Request, services: ServicesDep) -> Upload:
    allow_body(request, most_bytes=RECORDING_BYTES)
    if require_type(request, "multipart/form-data", *_RAW_TYPES) == "multipart/form-data":
        async with form_file(request, folder=services.uploads) as (file, _):
            return Upload(await file.read(), file.filename)
    data = await request.body()
    if not data:
        raise Refusal(INVALID, "the body is empty", errors=[Fault(detail="is empty", pointer="")])
    return Upload(data, None)


@dataclass(frozen=True)
class Choice:
    """Which version of a model is asked."""

    version: int | None
    alias: str | None


async def _choice(
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    alias: Annotated[str | None, Query(min_length=1, max_length=200, description="default: `champion`")] = None,
) -> Choice:
    if version is not None and alias is not None:
        detail = "name a version or an alias, not both"
        raise Refusal(INVALID, detail, errors=[Fault(detail=detail, parameter="alias")])
    return Choice(version, alias)


@router.post("/v1/models/{name}/classify", responses=documented(400, 404, 413, 415), openapi_extra=_RECORDING_BODY)
def classify_recording(
    name: str,
    upload: Annotated[Upload, Depends(_read_upload)],
    choice: Annotated[Choice, Depends(_choice)],
    services: ServicesDep,
    caller: CallerDep,
    rate_hz: Annotated[
        float | None, Query(gt=0, le=10_000, allow_inf_nan=False, description="if the file has no times")
    ] = None,
    unit: Annotated[Literal["g", "m/s^2"] | None, Query(description="if the file does not say")] = None,
    top_k: Annotated[int, Query(ge=1, le=100, description="classes to name, most probable first")] = 5,
) -> ClassificationOut:
    """Labels a recording of an accelerometer: CSV, `.mat`, `.npy` or `.npz`, as a form or as the raw body."""
    with services.database.read() as session:
        found: ModelVersion = registry.resolve(
            session, name, version=choice.version, alias=choice.alias, tenant=caller.tenant
        )
    bundle = services.load_bundle(found.bundle_digest)
    recording = read_recording(upload.data, filename=upload.filename, rate_hz=rate_hz, unit=unit)
    answer = classify(bundle, recording, top_k=top_k)
    fields = dict(answer) | {"model": ServedModel(name=name, version=found.version, **dict(answer.model))}
    return ClassificationOut(**fields)
