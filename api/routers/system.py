"""How the service as a whole is doing: its workers, and what waits for them; and what the caller has stored."""

from collections import Counter

from fastapi import APIRouter

from api.deps import CallerDep, Reading, ServicesDep
from api.errors import documented
from api.routing import Route
from api.schemas.system import QueueOut, SystemState, WorkerOut
from api.schemas.usage import UsageOut
from store import outlook, usage, workers
from store.lifecycle import CLAIMABLE, RunState
from store.queues import queue_of

router = APIRouter(tags=["system"], route_class=Route)


@router.get("/v1/system", responses=documented())
def read_system(session: Reading, services: ServicesDep, caller: CallerDep) -> SystemState:
    """Workers with their slots and devices and when they were last seen, and the caller's runs by queue."""
    settings = services.settings
    seen = outlook.look(
        session, tenant=caller.tenant, lease_s=settings.lease_s, runs_at_once=settings.tenant_runs_at_once
    )
    own = [run for run in seen.ahead if run.tenant == caller.tenant]
    waiting = Counter(queue_of(run.device) for run in own if run.state in CLAIMABLE)
    running = Counter(queue_of(run.device) for run in own if run.state is RunState.RUNNING)
    held = Counter(run.worker for run in seen.ahead if run.state is RunState.RUNNING)
    alive = {row.name: workers.lives(row, now=seen.now, lease_s=settings.lease_s) for row in seen.workers}
    names = sorted({queue for row in seen.workers for queue in row.queues} | set(waiting) | set(running))
    return SystemState(
        workers=tuple(WorkerOut.of(row, lives=alive[row.name], leases=held[row.name]) for row in seen.workers),
        queues={
            name: QueueOut(
                waiting=waiting[name],
                running=running[name],
                workers=sum(alive[row.name] and name in row.queues for row in seen.workers),
            )
            for name in names
        },
        at=seen.now,
    )


@router.get("/v1/usage", responses=documented())
def read_usage(session: Reading, services: ServicesDep, caller: CallerDep) -> UsageOut:
    """How much the caller's tenant has stored of what, how much it may, and what is left."""
    found = usage.look(session, tenant=caller.tenant)
    return UsageOut.of(found, limit_bytes=services.settings.tenant_storage_bytes)
