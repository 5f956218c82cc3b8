"""Pages of what there is: datasets, models, the system."""

from fastapi import APIRouter, Request
from fastapi.responses import Response as Answer

from api.deps import CallerDep, Cursor, Reading, ServicesDep
from api.pages.changes import PAGE_ITEMS, digest
from api.pages.rendering import PageRoute, page
from api.routers.aliases import list_history
from api.routers.datasets import list_datasets, list_recordings, read_dataset
from api.routers.models import list_models, read_model
from api.routers.system import read_system
from store import runs
from store.lifecycle import DatasetState

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/datasets")
def show_datasets(request: Request, session: Reading, caller: CallerDep, cursor: Cursor = None) -> Answer:
    """Datasets, newest first, and how to add one."""
    found = list_datasets(session, caller, limit=PAGE_ITEMS, cursor=cursor)
    return page(request, "datasets.html", datasets=found, seen=None if cursor else digest(found))


@router.get("/datasets/{dataset_id}")
def show_dataset(
    dataset_id: str,
    request: Request,
    session: Reading,
    services: ServicesDep,
    caller: CallerDep,
    cursor: Cursor = None,
) -> Answer:
    """One dataset: what its import found, and its recordings."""
    found = read_dataset(dataset_id, session, caller)
    ready = found.state is DatasetState.READY
    recordings = list_recordings(dataset_id, services, caller, limit=50, cursor=cursor) if ready else None
    return page(request, "dataset.html", dataset=found, recordings=recordings)


@router.get("/models")
def show_models(request: Request, session: Reading, caller: CallerDep, cursor: Cursor = None) -> Answer:
    """Models with their newest versions."""
    return page(request, "models.html", models=list_models(session, caller, limit=50, cursor=cursor))


@router.get("/models/{name}")
def show_model(name: str, request: Request, session: Reading, caller: CallerDep, cursor: Cursor = None) -> Answer:
    """One model: its versions, what its aliases name, and what they have named."""
    found = read_model(name, Answer(), session, caller, limit=50, cursor=cursor)
    history = list_history(name, session, caller, limit=20)
    jobs = {each.run_id: runs.get(session, each.run_id, tenant=caller.tenant).job_id for each in found.items}
    return page(request, "model.html", model=found, jobs=jobs, history=history.items)


@router.get("/system")
def show_system(request: Request, session: Reading, services: ServicesDep, caller: CallerDep) -> Answer:
    """Workers and queues."""
    found = read_system(session, services, caller)
    return page(request, "system.html", system=found, seen=digest(found))
