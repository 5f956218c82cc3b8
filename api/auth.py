"""Who may ask what. Embedded mode: this machine alone, and no web page of another origin."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import FORBIDDEN, Refusal, problem
from store.models import TENANT
from store.settings import Settings


@dataclass(frozen=True)
class Caller:
    """On whose behalf a request acts; every query is for one tenant."""

    tenant: str


async def identify(request: Request) -> Caller:
    """The caller of a request: without keys everyone on this machine is the same tenant."""
    request.state.about["tenant"] = TENANT
    return Caller(tenant=TENANT)


class NotLoopback(ValueError):
    """The service was told to listen where other machines reach it, and nothing would keep them out."""


def check_listening(settings: Settings) -> None:
    """Refuse to start where strangers could connect.

    Raises:
        NotLoopback: `host` is not an address of this machine alone.
    """
    if not _is_loopback(settings.host) and not settings.behind_gateway:
        raise NotLoopback(
            f"PSKD_HOST={settings.host} would let other machines in, and there are no API keys; use 127.0.0.1, "
            "or PSKD_BEHIND_GATEWAY=true where only a gateway on this network reaches the port"
        )


class OriginGuard:
    """Refuses what a browser sends on behalf of a foreign page: every web page can reach a loopback address.

    Host catches names that were re-bound to 127.0.0.1; Origin and Sec-Fetch-Site catch requests across sites.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or pass the request on."""
        reason = _foreign(scope["method"], Headers(scope=scope)) if scope["type"] == "http" else None
        if reason is None:
            await self.app(scope, receive, send)
        else:
            await problem(scope, Refusal(FORBIDDEN, reason))(scope, receive, send)


def _foreign(method: str, headers: Headers) -> str | None:
    """Why the request is not from this machine's own programs or pages, if so."""
    host = headers.get("host", "")
    if not _is_loopback(_hostname(f"//{host}")):
        return f"this service answers to localhost only, not to {host!r}"
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != host:
        return f"a page of {origin!r} may not use this service"
    followed_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    if headers.get("sec-fetch-site") in {"cross-site", "same-site"} and not followed_link:
        return "a page of another site may not use this service"
    return None


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
