"""Whether the process lives, whether it can answer, and how it is doing."""

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.deps import Services, ServicesDep
from api.errors import UNAVAILABLE, Refusal, documented, problem
from api.routing import Route
from api.schemas.health import Check, Readiness

router = APIRouter(tags=["health"], route_class=Route)


@router.get("/livez", status_code=204, response_class=Response, responses=documented())
async def alive() -> None:
    """Answers as long as the process runs, whatever it depends on."""


@router.get("/readyz", response_model=Readiness, responses=documented(503))
def ready(request: Request, services: ServicesDep) -> Readiness | Response:
    """Lists what the process needs to answer; 503 unless all of it is there."""
    found = checks(services)
    if all(check.ok for check in found):
        return Readiness(checks=found)
    down = ", ".join(check.name for check in found if not check.ok)
    refusal = Refusal(UNAVAILABLE, f"not ready: {down}")
    return problem(request.scope, refusal, checks=[check.model_dump() for check in found])


def checks(services: Services) -> tuple[Check, ...]:
    """What the process needs to answer, each asked now."""
    return _check("database", services.database.ping), _check("objects", services.objects.ping)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **documented()})
def metrics(request: Request) -> Response:
    """Figures for Prometheus: of this process, and of the system's queues, runs and messages."""
    return Response(generate_latest(request.app.state.figures.registry), media_type=CONTENT_TYPE_LATEST)


def _check(name: str, ping: Callable[[], None]) -> Check:
    try:
        ping()
    except Exception as failure:  # noqa: BLE001 - whatever a dependency's failure looks like, it is one
        return Check(name=name, ok=False, detail=type(failure).__name__)
    return Check(name=name, ok=True, detail=None)
