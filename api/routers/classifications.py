"""Recordings of any length: taken in, labelled while nobody waits, their timelines read line by line."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from api.auth import Caller
from api.body import allow_body, require_type
from api.deps import CallerDep, Cursor, Limit, Reading, Services, ServicesDep, Writing
from api.downloads import file_answer
from api.errors import documented
from api.idempotency import ACCEPTED, Created, Once, OnceDep
from api.routers.classify import Stated, choice_of
from api.routing import Route
from api.schemas.classifications import LongDetail, LongSummary
from api.schemas.common import Deletion, Paged
from api.storage import room_for_upload
from api.uploads import form_file, form_schema
from pskd_core import long
from pskd_core.inference import check_inputs
from store import classifications, registry, usage
from store.errors import Conflict
from store.lifecycle import ClassificationState
from store.timelines import Classification

router = APIRouter(tags=["classify"], route_class=Route)

NDJSON = "application/x-ndjson"
_FORM = {"requestBody": {"required": True, "content": form_schema("one recording")}}
_LINES: dict[int | str, dict[str, object]] = {200: {"content": {NDJSON: {"schema": {"type": "string"}}}}}


class LongAsked(Stated):
    """How a recording is to be read and labelled, and by which model."""

    model: Annotated[str, Query(min_length=1, max_length=200, description="its name")]


@dataclass(frozen=True)
class Recording:
    """What is to be labelled, in the object store already."""

    filename: str
    upload_digest: str
    upload_bytes: int


async def _receive(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    once: OnceDep,
    asked: Annotated[LongAsked, Query()],
) -> Recording:
    require_type(request, "multipart/form-data")
    allow_body(request, most_bytes=services.settings.max_upload_bytes)
    await choice_of(asked.version, asked.alias)
    await run_in_threadpool(_refuse_unfit, services, caller, once, asked)
    room = await run_in_threadpool(room_for_upload, services, caller, once)
    with services.arriving.one(caller.tenant):
        async with form_file(request, folder=services.uploads, count=room) as (file, _):
            digest = await run_in_threadpool(services.objects.put_file, Path(file.file.name))
            return Recording(file.filename or "", digest, file.size or 0)


def _refuse_unfit(services: Services, caller: Caller, once: Once, asked: LongAsked) -> None:
    """Spares large uploads that no model would label; the look that counts is the one of the creation.

    Raises:
        NotFound: there is no such model, and this is no repetition of a request from when there was.
        DataError: one accelerometer is not enough for it.
    """
    with services.database.read() as session:
        if once.seen(session):
            return
    served = services.serving.look(caller.tenant, asked.model, version=asked.version, alias=asked.alias)
    check_inputs(served.bundle.info)


@router.post(
    "/v1/classifications",
    status_code=202,
    response_model=LongDetail,
    responses=ACCEPTED | documented(400, 404, 409, 413, 415, 429, 507),
    openapi_extra=_FORM,
)
def classify_long_recording(
    recording: Annotated[Recording, Depends(_receive)],
    asked: Annotated[LongAsked, Query()],
    services: ServicesDep,
    session: Writing,
    caller: CallerDep,
    once: OnceDep,
) -> Response:
    """Has a recording of any length labelled by a worker, by the version that the model's name stands for now."""

    def create() -> Created:
        usage.check_room(
            session,
            adding_bytes=recording.upload_bytes,
            limit_bytes=services.settings.tenant_storage_bytes,
            tenant=caller.tenant,
        )
        version = registry.resolve(session, asked.model, version=asked.version, alias=asked.alias, tenant=caller.tenant)
        row = classifications.create(
            session,
            filename=recording.filename,
            upload_digest=recording.upload_digest,
            upload_bytes=recording.upload_bytes,
            model=asked.model,
            version=version,
            reading=_reading(asked).model_dump(mode="json"),
            tenant=caller.tenant,
        )
        return f"/v1/classifications/{row.id}", LongDetail.of(row)

    payload = asked.model_dump(mode="json") | {"filename": recording.filename, "digest": recording.upload_digest}
    return once.accept(session, json.dumps(payload, sort_keys=True), create)


def _reading(asked: LongAsked) -> long.Reading:
    return long.Reading(
        rate_hz=asked.rate_hz,
        unit=asked.unit,
        columns=asked.column_names,
        top_k=asked.top_k,
        overlap=asked.overlap,
        smooth_s=asked.smooth_s,
    )


@router.get("/v1/classifications", responses=documented())
def list_classifications(
    session: Reading,
    caller: CallerDep,
    state: ClassificationState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Paged[LongSummary]:
    """Lists long classifications, newest first."""
    page = classifications.page(session, tenant=caller.tenant, state=state, limit=limit, cursor=cursor)
    return Paged(items=tuple(map(LongSummary.of, page.items)), next_cursor=page.next_cursor)


@router.get("/v1/classifications/{classification_id}", responses=documented(404))
def read_classification(classification_id: str, session: Reading, caller: CallerDep) -> LongDetail:
    """One long classification: how far it is, what was understood and found, or why it failed."""
    return LongDetail.of(classifications.get(session, classification_id, tenant=caller.tenant))


@router.get(
    "/v1/classifications/{classification_id}/segments",
    response_class=Response,
    responses=_LINES | documented(404, 409),
)
def read_segments(classification_id: str, services: ServicesDep, caller: CallerDep) -> Response:
    """The timeline of a recording that was labelled, a segment a line (NDJSON), as `classify` has them."""
    return _lines(classification_id, services, caller, "segments", lambda row: row.segments_digest)


@router.get(
    "/v1/classifications/{classification_id}/windows",
    response_class=Response,
    responses=_LINES | documented(404, 409),
)
def read_windows(classification_id: str, services: ServicesDep, caller: CallerDep) -> Response:
    """The windows of a recording that was labelled, one a line (NDJSON), as `classify` has them."""
    return _lines(classification_id, services, caller, "windows", lambda row: row.windows_digest)


def _lines(
    classification_id: str,
    services: Services,
    caller: Caller,
    what: str,
    digest_of: Callable[[Classification], str | None],
) -> Response:
    """The file; no session is held while it is fetched and sent."""
    with services.database.read() as session:
        row = classifications.get(session, classification_id, tenant=caller.tenant)
    if (digest := digest_of(row)) is None:
        raise Conflict(f"classification {row.id} is {row.state}; its {what} can be read once it has succeeded")
    return file_answer(services.objects.get_file(digest), filename=f"{row.id}-{what}.ndjson", media_type=NDJSON)


@router.post("/v1/classifications/{classification_id}/cancel", responses=documented(404, 409))
def cancel_classification(classification_id: str, session: Writing, caller: CallerDep) -> LongDetail:
    """Cancels a classification that has not ended; a worker that is at it stops within seconds."""
    return LongDetail.of(classifications.cancel(session, classification_id, tenant=caller.tenant))


@router.delete("/v1/classifications/{classification_id}", responses=documented(404, 409))
def delete_classification(classification_id: str, session: Writing, caller: CallerDep) -> Deletion:
    """Deletes a classification that has ended, with its timeline."""
    classifications.delete(session, classification_id, tenant=caller.tenant)
    return Deletion(removed={"classifications": 1})
