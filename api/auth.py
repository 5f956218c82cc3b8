"""Who may ask what. With keys: their bearers, within their scopes. Without: this machine alone, and no foreign page."""

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from api.browser import carries_header, check_token, secret_in_cookie
from api.errors import FORBIDDEN, OUT_OF_SCOPE, UNAUTHENTICATED, Refusal, problem
from store import keys
from store.keys import Bearer, Known, Scope
from store.models import TENANT
from store.settings import Settings


@dataclass(frozen=True)
class Caller:
    """On whose behalf a request acts; every query is for one tenant."""

    tenant: str
    scopes: frozenset[Scope]
    key_id: str | None  # none where no key is asked for
    bearer: Bearer | None  # how that key is named where it acts


_ANYONE = Caller(TENANT, frozenset(Scope), None, None)


async def admit(request: HTTPConnection, needed: Scope | None) -> None:
    """Let a request in and remember its caller; what needs no scope has none.

    Raises:
        Refusal: it bears no key that holds (401), or one without the scope (403).
    """
    if needed is None:
        return
    services = request.app.state.services
    caller = await _bearer(request) if services.settings.require_keys else _ANYONE
    if needed not in caller.scopes:
        held = ", ".join(sorted(caller.scopes))
        raise Refusal(
            OUT_OF_SCOPE,
            f"this needs a key with scope {needed.value!r}; the one that was sent has {held}",
            headers=_challenge(f'error="insufficient_scope", scope="{needed}"'),
        )
    request.state.caller = caller
    if caller.key_id is not None and not carries_header(request):
        check_token(request)
    request.state.about["tenant"] = caller.tenant


async def check_still_known(request: HTTPConnection) -> None:
    """Refuse to go on with what was let in for long: its key may have been revoked or have expired since.

    Raises:
        Refusal: it holds no more (401).
    """
    request.state.known_key = None
    del request.state.known_key
    if request.app.state.services.settings.require_keys:
        await _bearer(request)


async def identify(request: HTTPConnection) -> Caller:
    """The caller of a request that was let in."""
    caller: Caller = request.state.caller
    return caller


async def _bearer(request: HTTPConnection) -> Caller:
    if secret_in_cookie(request) is None and not carries_header(request):
        raise Refusal(UNAUTHENTICATED, "send an API key: `Authorization: Bearer pskd_…`", headers=_challenge(None))
    if _secret_of(request) is None:
        raise _invalid("the Authorization header is no `Bearer pskd_…` as it was issued")
    known = await known_key(request)
    if known is None:
        raise _invalid("nobody has issued this API key")
    if known.revoked:
        raise _invalid("this API key has been revoked")
    if known.expired:
        raise _invalid("this API key has expired")
    return Caller(known.tenant, known.scopes, known.id, known.bearer)


async def known_key(request: HTTPConnection) -> Known | None:
    """What is known of the key that a request bears, looked up once a request; none where no keys are asked for."""
    services = request.app.state.services
    secret = _secret_of(request)
    if secret is None or not services.settings.require_keys:
        return None
    if not hasattr(request.state, "known_key"):
        known = services.keyring.remembered(secret)
        if known is None:
            known = await run_in_threadpool(services.keyring.recognise, secret)
        request.state.known_key = known
    known_key: Known | None = request.state.known_key
    return known_key


def _secret_of(request: HTTPConnection) -> str | None:
    """What has the form of a key in the Authorization header, or else in the cookie of a browser that signed in."""
    if not carries_header(request):
        return secret_in_cookie(request)
    scheme, _, secret = request.headers["authorization"].partition(" ")
    secret = secret.strip()
    return secret if scheme.lower() == "bearer" and keys.is_key(secret) else None


def _invalid(detail: str) -> Refusal:
    return Refusal(UNAUTHENTICATED, detail, headers=_challenge('error="invalid_token"'))


def _challenge(reason: str | None) -> dict[str, str]:
    """How RFC 6750 has a key asked for."""
    return {"WWW-Authenticate": 'Bearer realm="pskd"' + (f", {reason}" if reason else "")}


class NotLoopback(ValueError):
    """The service was told to answer where strangers reach it, and nothing would keep them out."""


def check_listening(settings: Settings) -> None:
    """Refuse to start where strangers could connect and no key is asked for.

    Raises:
        NotLoopback: `host` is not an address of this machine alone, or foreign names are to be answered.
    """
    if settings.require_keys:
        return
    if not _is_loopback(settings.host):
        raise NotLoopback(
            f"PSKD_HOST={settings.host} would let other machines in without a key; use 127.0.0.1, or "
            "PSKD_REQUIRE_KEYS=true (`python -m api keys create` makes the first key)"
        )
    if settings.allowed_hosts:
        raise NotLoopback(
            "PSKD_ALLOWED_HOSTS would let any web page of these hosts in without a key; set PSKD_REQUIRE_KEYS=true too"
        )


class OriginGuard:
    """Refuses what a browser sends on behalf of a foreign page: every web page can reach a loopback address.

    Host catches names that were re-bound to this service's address; Origin and Sec-Fetch-Site catch requests across
    sites. Besides those of loopback, only `hosts` are this service's own names.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] = ()) -> None:
        self.app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer 403, or pass the request on."""
        reason = None if scope["type"] == "lifespan" else self._foreign(scope.get("method"), Headers(scope=scope))
        if reason is None:
            await self.app(scope, receive, send)
        else:
            await problem(scope, Refusal(FORBIDDEN, reason))(scope, receive, send)

    def _foreign(self, method: str | None, headers: Headers) -> str | None:
        """Why the request is not from a program or page of this service's own, if so."""
        host = headers.get("host", "")
        name = _hostname(f"//{host}")
        if not _is_loopback(name) and name not in self._hosts:
            return f"this service does not answer to {host!r}, but to localhost and to what PSKD_ALLOWED_HOSTS names"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return f"a page of {origin!r} may not use this service"
        followed_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site") in {"cross-site", "same-site"} and not followed_link:
            return "a page of another site may not use this service"
        return None


def own_hosts(settings: Settings) -> frozenset[str]:
    """Names beyond loopback under which the service is reached: none without keys."""
    return frozenset({*settings.allowed_hosts, settings.host.lower()}) if settings.require_keys else frozenset()


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
