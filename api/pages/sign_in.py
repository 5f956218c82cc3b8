"""Signing in with an API key, and out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from api import browser
from api.body import require_type
from api.deps import ServicesDep
from api.pages.rendering import PageRoute, page
from store import keys

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_FIRST = "/jobs"
_FORM = "application/x-www-form-urlencoded"


def _own(path: str) -> str:
    """A path of this service; what could lead elsewhere leads to the jobs."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else _FIRST


Then = Annotated[str, Query(max_length=2000, description="where to go afterwards")]


@router.get("/sign-in")
async def show_sign_in(request: Request, services: ServicesDep, then: Then = _FIRST) -> Response:
    """The form; where no key is asked for, there is nothing to sign in to."""
    if not services.settings.require_keys:
        return RedirectResponse(_own(then))
    return page(request, "sign_in.html", then=_own(then), fault=None)


async def _fields(request: Request) -> dict[str, str]:
    require_type(request, _FORM)
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


@router.post("/sign-in")
async def enter(
    request: Request, services: ServicesDep, fields: Annotated[dict[str, str], Depends(_fields)]
) -> Response:
    """Keeps a key that holds in a cookie."""
    secret, then = fields.get("key", "").strip(), _own(fields.get("then", _FIRST))
    known = await run_in_threadpool(services.keyring.recognise, secret) if keys.is_key(secret) else None
    if known is None or known.revoked or known.expired:
        fault = "This is no API key that holds: it was never issued, was revoked or has expired."
        return page(request, "sign_in.html", status=401, then=then, fault=fault)
    answer = RedirectResponse(then, status_code=303)
    browser.sign_in(answer, secret, secure=request.url.scheme == "https")
    return answer


@router.post("/sign-out")
async def leave() -> Response:
    """Forgets the key; it holds as before."""
    answer = RedirectResponse("/sign-in", status_code=303)
    browser.sign_out(answer)
    return answer
