"""Registered models: list, look at, download."""

from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from fastapi.responses import Response

from api.deps import CallerDep, Cursor, Force, Limit, Reading, Services, ServicesDep, Writing
from api.downloads import file_answer, zip_answer
from api.errors import documented
from api.preconditions import etag
from api.routing import Route
from api.schemas.common import Deletion, Paged
from api.schemas.models import ModelDetail, ModelSummary, ModelVersionDetail, ModelVersionSummary
from pskd_core.bundle import MODEL_FILE
from store import deletion, registry, runs

router = APIRouter(tags=["models"], route_class=Route)

Version = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]
_FILES = {"onnx": MODEL_FILE, "safetensors": "weights.safetensors"}


@router.get("/v1/models", responses=documented())
def list_models(session: Reading, caller: CallerDep, limit: Limit = 50, cursor: Cursor = None) -> Paged[ModelSummary]:
    """Lists models by name, each with its newest version."""
    page = registry.page(session, tenant=caller.tenant, limit=limit, cursor=cursor)
    newest = registry.recent_versions(session, [each.model.id for each in page.items])
    latest = {version.model_id: version for version in newest}
    items = tuple(ModelSummary.of(each, latest.get(each.model.id)) for each in page.items)
    return Paged(items=items, next_cursor=page.next_cursor)


@router.get("/v1/models/{name}", responses=documented(404))
def read_model(
    name: str, response: Response, session: Reading, caller: CallerDep, limit: Limit = 50, cursor: Cursor = None
) -> ModelDetail:
    """One model with its aliases and versions, newest first."""
    found = registry.get(session, name, tenant=caller.tenant)
    response.headers["ETag"] = etag(found.model.revision)
    page = registry.versions(session, found.model.id, limit=limit, cursor=cursor)
    return ModelDetail(
        name=found.model.name,
        created_at=found.model.created_at,
        aliases=found.aliases,
        items=tuple(map(ModelVersionSummary.model_validate, page.items)),
        next_cursor=page.next_cursor,
    )


@router.delete("/v1/models/{name}", responses=documented(404, 409))
def delete_model(
    name: str, session: Writing, services: ServicesDep, caller: CallerDep, force: Force = False
) -> Deletion:
    """Deletes a model; one that an alias names is kept, or with `force` goes with its aliases; its jobs stay."""
    removed = deletion.delete_model(session, name, bearer=caller.bearer, force=force, tenant=caller.tenant)
    services.serving.forget(caller.tenant, name)
    return Deletion(removed=+removed)


@router.get("/v1/models/{name}/versions/{version}", responses=documented(404))
def read_version(
    name: str, version: Version, services: ServicesDep, session: Reading, caller: CallerDep
) -> ModelVersionDetail:
    """One version: its figures, and the job, run, dataset and spec it comes from."""
    found = registry.resolve(session, name, version=version, tenant=caller.tenant)
    aliases = registry.get(session, name, tenant=caller.tenant).aliases
    run = runs.get(session, found.run_id, tenant=caller.tenant)
    info = services.load_bundle(found.bundle_digest).info
    return ModelVersionDetail(
        **ModelVersionSummary.model_validate(found).model_dump(),
        name=name,
        aliases=tuple(alias for alias, number in aliases.items() if number == version),
        job_id=run.job_id,
        seed=run.seed,
        fold=run.fold,
        classes=info.classes,
        inputs=info.inputs,
        spec=info.spec,
    )


@router.delete("/v1/models/{name}/versions/{version}", responses=documented(404, 409))
def delete_version(
    name: str, version: Version, session: Writing, services: ServicesDep, caller: CallerDep, force: Force = False
) -> Deletion:
    """Deletes a version, whose number is not given again; one that an alias names goes with `force` alone."""
    removed = deletion.delete_version(session, name, version, bearer=caller.bearer, force=force, tenant=caller.tenant)
    services.serving.forget(caller.tenant, name)
    return Deletion(removed=+removed)


@router.get(
    "/v1/models/{name}/versions/{version}/download",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}, "application/zip": {}}}, **documented(404)},
)
def download_version(
    name: str,
    version: Version,
    services: ServicesDep,
    caller: CallerDep,
    format: Annotated[Literal["onnx", "safetensors", "bundle"], Query()] = "bundle",  # noqa: A002
) -> Response:
    """The exported network, its weights, or both with what a program must know to use them, as a zip."""
    folder = _fetch(services, name, version, caller.tenant)
    if format == "bundle":
        return zip_answer(folder, filename=f"{name}-{version}.zip", scratch=services.uploads)
    return file_answer(folder / _FILES[format], filename=f"{name}-{version}.{format}")


def _fetch(services: Services, name: str, version: int, tenant: str) -> Path:
    """The files of a version; no session is held while they are fetched."""
    with services.database.read() as session:
        found = registry.resolve(session, name, version=version, tenant=tenant)
    return services.objects.get_tree(found.bundle_digest)
