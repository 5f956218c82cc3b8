"""The page of API keys: what there is, a new one shown this once, and revoking."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.deps import CallerDep, Cursor, Reading, ServicesDep
from api.pages.rendering import PageRoute, page
from api.routers.keys import list_keys
from store.keys import Scope

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_MAY = {
    Scope.READ: "see datasets, jobs, results and models",
    Scope.SUBMIT: "add datasets, start jobs and sweeps, steer and delete them",
    Scope.CLASSIFY: "label recordings",
    Scope.PROMOTE: "choose which version of a model answers, delete models",
    Scope.ADMIN: "make and revoke keys, set webhooks",
}


@router.get("/keys")
def show_keys(
    request: Request, session: Reading, services: ServicesDep, caller: CallerDep, cursor: Cursor = None
) -> Response:
    """Keys, newest first, and a form for one more."""
    return page(
        request,
        "keys.html",
        keys=list_keys(session, caller, limit=50, cursor=cursor),
        own=caller.key_id,
        now=datetime.now(UTC),
        asked_for=services.settings.require_keys,
        may=_MAY,
    )
