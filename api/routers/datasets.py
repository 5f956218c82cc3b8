"""Datasets: import, list, look at recordings."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from api import plots
from api.auth import Caller
from api.body import allow_body, parse_json, require_type
from api.deps import CallerDep, Cursor, Force, Limit, Reading, Services, ServicesDep, Writing
from api.errors import FORBIDDEN, Refusal, documented
from api.idempotency import ACCEPTED, Created, Once, OnceDep
from api.paging import page_of
from api.routing import Route
from api.schemas.common import Deletion, Paged
from api.schemas.datasets import (
    DatasetDetail,
    DatasetSummary,
    ImportRequest,
    PathSource,
    RecordingSeries,
    RecordingSummary,
    UploadName,
)
from api.storage import room_for_upload
from api.uploads import form_file, form_schema, validated
from pskd_core.data.columnar import Dataset as Files
from store import datasets, deletion, usage
from store.errors import Conflict, NotFound
from store.lifecycle import DatasetState

router = APIRouter(tags=["datasets"], route_class=Route)

_IMPORT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            **form_schema("one zip", name="default: the file's name"),
            "application/json": {"schema": {"$ref": "#/components/schemas/ImportRequest"}},
        },
    }
}


@dataclass(frozen=True)
class Import:
    """What is to be imported; an upload is in the object store already."""

    name: str
    source: dict[str, Any]
    upload_digest: str | None = None
    upload_bytes: int | None = None


async def _read_import(request: Request, services: ServicesDep, caller: CallerDep, once: OnceDep) -> Import:
    if require_type(request, "multipart/form-data", "application/json") == "application/json":
        return _from_source(parse_json(await request.body()), services)
    allow_body(request, most_bytes=services.settings.max_upload_bytes)

    async def check(fields: Mapping[str, Any]) -> None:
        if asked := fields.get("name"):
            await run_in_threadpool(_refuse_taken, validated(UploadName, {"name": asked}).name, services, caller, once)

    room = await run_in_threadpool(room_for_upload, services, caller, once)
    form_of = partial(form_file, request, folder=services.uploads, fields=["name"], check=check, count=room)
    with services.arriving.one(caller.tenant):
        async with form_of() as (file, form):
            name = validated(UploadName, {"name": form.get("name") or PurePath(file.filename or "").stem}).name
            await check({"name": name})
            digest = await run_in_threadpool(services.objects.put_file, Path(file.file.name))
    return Import(name, {"kind": "upload", "filename": file.filename}, digest, file.size)


def _refuse_taken(name: str, services: Services, caller: Caller, once: Once) -> None:
    """Spares large uploads that cannot be accepted; the look that counts is the one of `datasets.create`.

    Raises:
        Conflict: a dataset has that name, and this is no repetition of the request that made it.
    """
    with services.database.read() as session:
        try:
            found = datasets.resolve(session, name, tenant=caller.tenant)
        except NotFound:
            return
        if found.name == name and found.state != DatasetState.FAILED and not once.seen(session):
            raise Conflict(f"there is already a dataset {name!r}")


def _from_source(body: Any, services: Services) -> Import:
    asked = validated(ImportRequest, body)
    if isinstance(asked.source, PathSource) and not services.settings.allow_path_import:
        raise Refusal(FORBIDDEN, "this service imports no paths; upload a zip, or set PSKD_ALLOW_PATH_IMPORT=true")
    return Import(asked.name, asked.source.model_dump(mode="json"))


@router.post(
    "/v1/datasets",
    status_code=202,
    response_model=DatasetDetail,
    responses=ACCEPTED | documented(400, 409, 413, 415, 429, 507),
    openapi_extra=_IMPORT_BODY,
)
def import_dataset(
    asked: Annotated[Import, Depends(_read_import)],
    services: ServicesDep,
    session: Writing,
    caller: CallerDep,
    once: OnceDep,
) -> Response:
    """Imports a dataset from an uploaded zip, a recipe or a path; a worker validates it."""

    def create() -> Created:
        usage.check_room(
            session,
            adding_bytes=asked.upload_bytes or 0,
            limit_bytes=services.settings.tenant_storage_bytes,
            tenant=caller.tenant,
        )
        row = datasets.create(session, **asdict(asked), tenant=caller.tenant)
        return f"/v1/datasets/{row.id}", DatasetDetail.of(row)

    # The digest says the size as well; requests of an older version named nothing else.
    payload = {name: value for name, value in asdict(asked).items() if name != "upload_bytes"}
    return once.accept(session, json.dumps(payload, sort_keys=True), create)


@router.get("/v1/datasets", responses=documented())
def list_datasets(
    session: Reading,
    caller: CallerDep,
    state: DatasetState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Paged[DatasetSummary]:
    """Lists datasets, newest first."""
    page = datasets.page(session, tenant=caller.tenant, state=state, limit=limit, cursor=cursor)
    return Paged(items=tuple(map(DatasetSummary.of, page.items)), next_cursor=page.next_cursor)


@router.get("/v1/datasets/{dataset_id}", responses=documented(404))
def read_dataset(dataset_id: str, session: Reading, caller: CallerDep) -> DatasetDetail:
    """One dataset with what its import found: classes, subjects, protocols with their sizes, problems."""
    return DatasetDetail.of(datasets.get(session, dataset_id, tenant=caller.tenant))


@router.delete("/v1/datasets/{dataset_id}", responses=documented(404, 409))
def delete_dataset(dataset_id: str, session: Writing, caller: CallerDep, force: Force = False) -> Deletion:
    """Deletes a dataset; one that jobs or sweeps are on is kept, or with `force` goes with them."""
    return Deletion(removed=+deletion.delete_dataset(session, dataset_id, force=force, tenant=caller.tenant))


@router.get("/v1/datasets/{dataset_id}/recordings", responses=documented(404, 409))
def list_recordings(
    dataset_id: str, services: ServicesDep, caller: CallerDep, limit: Limit = 50, cursor: Cursor = None
) -> Paged[RecordingSummary]:
    """Lists a dataset's recordings in the order of their import."""
    files = _open(dataset_id, services, caller)
    filters = {"list": "recordings", "dataset": files.digest}
    page = page_of(files.recordings, filters, limit=limit, cursor=cursor)
    return Paged(items=tuple(plots.summary(files, meta) for meta in page.items), next_cursor=page.next_cursor)


@router.get("/v1/datasets/{dataset_id}/recordings/{recording_id}", responses=documented(404, 409))
def read_recording(
    dataset_id: str,
    recording_id: str,
    services: ServicesDep,
    caller: CallerDep,
    points: Annotated[int, Query(ge=2, le=5000, description="most samples a series may have")] = 500,
) -> RecordingSeries:
    """One recording's series, thinned for plotting."""
    files = _open(dataset_id, services, caller)
    for index, meta in enumerate(files.recordings):
        if meta.id == recording_id:
            return plots.recording_series(files, index, most_points=points)
    raise NotFound("recording", recording_id)


def _open(dataset_id: str, services: Services, caller: Caller) -> Files:
    """The files of a ready dataset; no session is held while they are fetched."""
    with services.database.read() as session:
        row = datasets.get(session, dataset_id, tenant=caller.tenant)
    if row.tree_digest is None:
        raise Conflict(f"dataset {row.name!r} is {row.state}; its recordings can be read once it is ready")
    return services.open_dataset(row.tree_digest)
