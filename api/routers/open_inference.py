"""The Open Inference Protocol (V2), as KServe and others speak it: prepared windows in, probabilities out."""

import math
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic_core import from_json, to_json

from api.auth import identify
from api.body import allow_body, require_type
from api.deps import ServicesDep, services_of
from api.errors import INVALID, MALFORMED, UNAVAILABLE, Fault, Refusal, documented
from api.routers.health import checks
from api.routing import LeanRoute, Route
from api.schemas.open_inference import (
    Alive,
    InferRequest,
    InferResponse,
    ModelMetadata,
    ModelReady,
    Ready,
    ServerMetadata,
    TensorMetadata,
)
from api.serving import Served
from api.uploads import validated
from pskd_core.data.recordings import MOST_G
from pskd_core.shapes import FloatArray
from store.errors import NotFound

router = APIRouter(tags=["open inference"], route_class=Route)
asked = APIRouter(tags=["open inference"], route_class=LeanRoute)

_SERVER, _VERSION, _PLATFORM = "pskd", "2", "onnxruntime_onnx"
_INPUT = "windows"
MOST_WINDOWS = 1024  # of one request
_BODY_BYTES = 16 * 2**20
_AT_ONCE = 4  # of these, for which the event loop need not be left
_DATATYPE = "FP32"


@router.get("/v2", responses=documented())
async def read_server() -> ServerMetadata:
    """Names the server and the protocol's version."""
    return ServerMetadata(name=_SERVER, version=_VERSION, extensions=())


@router.get("/v2/health/live", responses=documented())
async def read_live() -> Alive:
    """Says that the server lives."""
    return Alive(live=True)


@router.get("/v2/health/ready", responses=documented(503))
def read_ready(services: ServicesDep) -> Ready:
    """Says that everything that the server needs answers; else 503."""
    if not all(check.ok for check in checks(services)):
        raise Refusal(UNAVAILABLE, "not everything that this server needs answers; /readyz says what")
    return Ready(ready=True)


def _described(*parameters: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": [_NAME, *parameters]}


_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
_NUMBER = {"name": "version", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}


@router.get("/v2/models/{name}", response_model=ModelMetadata, responses=documented(404), openapi_extra=_described())
@router.get(
    "/v2/models/{name}/versions/{version}",
    name="read_version_metadata",
    response_model=ModelMetadata,
    responses=documented(404),
    openapi_extra=_described(_NUMBER),
)
async def read_model_metadata(request: Request) -> ModelMetadata:
    """Says what the champion, or a version, takes and gives."""
    served = await _served(request)
    return ModelMetadata(
        name=served.model.name,
        versions=(str(served.model.version),),
        platform=_PLATFORM,
        inputs=(TensorMetadata(name=_INPUT, datatype=_DATATYPE, shape=(-1, *served.window)),),
        outputs=tuple(
            TensorMetadata(name=name, datatype=_DATATYPE, shape=(-1, *shape)) for name, shape in served.outputs.items()
        ),
    )


@router.get("/v2/models/{name}/ready", response_model=ModelReady, responses=documented(404), openapi_extra=_described())
@router.get(
    "/v2/models/{name}/versions/{version}/ready",
    name="read_version_ready",
    response_model=ModelReady,
    responses=documented(404),
    openapi_extra=_described(_NUMBER),
)
async def read_model_ready(request: Request) -> ModelReady:
    """Says that the champion, or a version, is loaded and answers."""
    return ModelReady(name=(await _served(request)).model.name, ready=True)


_INFER: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/InferRequest"}}},
    }
}
_REFUSED = documented(400, 404, 413, 415)


@asked.post(
    "/v2/models/{name}/infer", response_model=InferResponse, responses=_REFUSED, openapi_extra=_described() | _INFER
)
@asked.post(
    "/v2/models/{name}/versions/{version}/infer",
    name="infer_version",
    response_model=InferResponse,
    responses=_REFUSED,
    openapi_extra=_described(_NUMBER) | _INFER,
)
async def infer(request: Request) -> Response:
    """Runs the champion's, or a version's, network on prepared windows."""
    require_type(request, "application/json")
    allow_body(request, most_bytes=_BODY_BYTES)
    served = await _served(request)
    wanted = validated(InferRequest, _parsed(await request.body()))
    windows, names = _windows(wanted, served), _outputs(wanted, served)
    run = partial(served.bundle.session.run, names, {_INPUT: windows})
    found = run() if served.quick and len(windows) <= _AT_ONCE else await run_in_threadpool(run)
    if not all(np.isfinite(each).all() for each in found):
        raise _wrong("the model finds no finite values for these windows; check their size and unit", "/inputs/0/data")
    return Response(
        to_json(
            {
                "model_name": served.model.name,
                "model_version": str(served.model.version),
                "id": wanted.id,
                "outputs": [
                    {"name": name, "datatype": _DATATYPE, "shape": each.shape, "data": each.ravel().tolist()}
                    for name, each in zip(names, found, strict=True)
                ],
            }
        ),
        media_type="application/json",
    )


async def _served(request: Request) -> Served:
    """The version that the path names."""
    services, caller = await services_of(request), await identify(request)
    name, version = request.path_params["name"], request.path_params.get("version")
    if version is not None and not (version.isascii() and version.isdecimal() and 0 < len(version) < 10):
        raise NotFound("version", f"{name}/{version}")
    number = None if version is None else int(version)
    return await services.serving.find(caller.tenant, name, version=number, alias=None)


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as unreadable:
        raise Refusal(MALFORMED, f"the body is no JSON: {unreadable}") from unreadable


def _windows(wanted: InferRequest, served: Served) -> FloatArray:
    """The one input (n, 3 · S, T) that a model has."""
    if [each.name for each in wanted.inputs] != [_INPUT]:
        raise _wrong(f"send one input, `{_INPUT}`", "/inputs")
    (given,) = wanted.inputs
    if given.datatype != _DATATYPE:
        raise _wrong(f"only {_DATATYPE} is read here", "/inputs/0/datatype")
    count, *shape = given.shape
    if tuple(shape) != served.window or not 1 <= count <= MOST_WINDOWS:
        sizes = ", ".join(map(str, served.window))
        raise _wrong(f"must be [n, {sizes}] with n from 1 to {MOST_WINDOWS}", "/inputs/0/shape")
    try:
        values = np.asarray(given.data)
    except ValueError:  # ragged
        values = np.empty(0, object)
    if values.dtype.kind not in "fiu" or values.shape not in {tuple(given.shape), (math.prod(given.shape),)}:
        raise _wrong("must be as many numbers as the shape says, flat or nested as it is", "/inputs/0/data")
    if np.abs(values).max() > MOST_G:
        raise _wrong(f"holds what is no acceleration of at most {MOST_G:.0f} g", "/inputs/0/data")
    windows: FloatArray = values.astype(np.float32).reshape(given.shape)
    return windows


def _outputs(wanted: InferRequest, served: Served) -> list[str]:
    if wanted.outputs is None:
        return list(served.outputs)
    names = [each.name for each in wanted.outputs]
    for place, name in enumerate(names):
        if name not in served.outputs:
            raise _wrong(f"the model gives {', '.join(served.outputs)}", f"/outputs/{place}/name")
    return names or list(served.outputs)


def _wrong(detail: str, pointer: str) -> Refusal:
    return Refusal(INVALID, f"{pointer}: {detail}", errors=[Fault(detail=detail, pointer=pointer)])
