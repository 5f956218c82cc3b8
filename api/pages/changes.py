"""One event stream a page: it tells that what the page shows is so no longer, and the page asks for that part again."""

import hashlib
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.auth import Caller
from api.deps import CallerDep, Services, ServicesDep
from api.routers.datasets import list_datasets
from api.routers.jobs import list_jobs
from api.routers.sweeps import list_sweeps, read_sweep
from api.routers.system import read_system
from api.routing import Route
from api.schemas.common import Paged
from api.schemas.datasets import DatasetSummary
from api.schemas.jobs import JobSummary
from api.schemas.sweeps import SweepDetail, SweepSummary
from api.shares import EventStream
from api.sse import changes
from store import keys
from store.errors import NotFound
from store.lifecycle import JobState

PAGE_ITEMS = 50  # of a list; what is on its later pages changes no more

# Its refusals are read by a browser's `EventSource`, not by people.
router = APIRouter(prefix="/changes", include_in_schema=False, route_class=Route)

Digest = Annotated[str, Query(max_length=64, description="of what the page shows")]
LastSeen = Annotated[str | None, Header(alias="Last-Event-ID", max_length=64)]


def digest(shown: BaseModel) -> str:
    """What names this state of what a page shows."""
    return hashlib.sha256(shown.model_dump_json().encode()).hexdigest()[:16]


def shown_jobs(session: Session, services: Services, caller: Caller, state: JobState | None) -> Paged[JobSummary]:
    """The first page of the list."""
    return list_jobs(session, services, caller, state=state, limit=PAGE_ITEMS)


def shown_sweeps(session: Session, caller: Caller) -> Paged[SweepSummary]:
    """The first page of the list."""
    return list_sweeps(session, caller, limit=PAGE_ITEMS)


def without_map(sweep: SweepDetail) -> SweepDetail:
    """All of a sweep but the heat map, which follows from its trials and the axes that the reader chose."""
    return sweep.model_copy(update={"heat_map": None})


def shown_datasets(session: Session, caller: Caller) -> Paged[DatasetSummary]:
    """The first page of the list."""
    return list_datasets(session, caller, limit=PAGE_ITEMS)


@router.get("/jobs")
async def follow_jobs(
    services: ServicesDep, caller: CallerDep, state: JobState | None = None, seen: Digest = "", last: LastSeen = None
) -> EventStream:
    """Tells that the list of jobs is another."""
    return await _follow(services, caller, last or seen, lambda session: shown_jobs(session, services, caller, state))


@router.get("/sweeps")
async def follow_sweeps(
    services: ServicesDep, caller: CallerDep, seen: Digest = "", last: LastSeen = None
) -> EventStream:
    """Tells that the list of sweeps is another."""
    return await _follow(services, caller, last or seen, lambda session: shown_sweeps(session, caller))


@router.get("/sweeps/{sweep_id}")
async def follow_sweep(
    sweep_id: str, services: ServicesDep, caller: CallerDep, seen: Digest = "", last: LastSeen = None
) -> EventStream:
    """Tells that a sweep has gone on."""
    return await _follow(
        services, caller, last or seen, lambda session: without_map(read_sweep(sweep_id, session, caller))
    )


@router.get("/datasets")
async def follow_datasets(
    services: ServicesDep, caller: CallerDep, seen: Digest = "", last: LastSeen = None
) -> EventStream:
    """Tells that the list of datasets is another."""
    return await _follow(services, caller, last or seen, lambda session: shown_datasets(session, caller))


@router.get("/system")
async def follow_system(
    services: ServicesDep, caller: CallerDep, seen: Digest = "", last: LastSeen = None
) -> EventStream:
    """Tells that workers or queues are others."""
    return await _follow(services, caller, last or seen, lambda session: read_system(session, services, caller))


async def _follow(services: Services, caller: Caller, seen: str, look: Callable[[Session], BaseModel]) -> EventStream:
    def digest_now() -> str:
        with services.database.read() as session:
            return digest(look(session))

    def digest_for_caller() -> str | None:
        """None once the caller's key holds no more or what was looked at is gone; whoever asks again is told why."""
        with services.database.read() as session:
            if caller.key_id is not None and not keys.holds(session, caller.key_id):
                return None
        try:
            return digest_now()
        except NotFound:
            return None

    await run_in_threadpool(digest_now)  # what is not there is a 404, not a stream
    shares = services.followers
    found = changes(digest_for_caller, seen=seen, stopping=services.stopping, threads=shares.threads)
    return EventStream(found, shares=shares, tenant=caller.tenant)
