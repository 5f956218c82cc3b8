"""How often a caller may ask: budgets shared by all API processes through Redis, each spent in small shares.

A process takes a share of a caller's budget at a time, a hundredth, and counts it down in memory: Redis is asked once
for many requests. So no caller gets more than the budget, and one that is spread over several processes may be refused
a few shares early.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth import known_key
from api.errors import TOO_MANY, Refusal, problem
from api.middleware import ANSWERS
from store.settings import Settings

if TYPE_CHECKING:  # with Redis' client nine MiB, for those alone who limit
    from limits import RateLimitItem

    from api.counts import Counts

_SHARES = 100
_MOST_KNOWN = 10_000  # shares in memory; beyond, those of ended windows go, else all
_FREE_OF_CHARGE = frozenset({"/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass
class Share:
    """What one process still has of a caller's budget in one window."""

    left: int
    elsewhere: int  # what nobody had taken from the budget when this was
    ends_at: float  # of the window, on the clock of `time.time`


def budgets_of(settings: Settings) -> "Mapping[str, RateLimitItem]":
    """The budgets that the operator has set, by name; none by default."""
    rates = {
        "reads": settings.rate_limit_reads,
        "writes": settings.rate_limit_writes,
        "classify": settings.rate_limit_classify,
    }
    if not any(rates.values()):
        return {}
    from limits import parse  # noqa: PLC0415

    return {name: parse(rate) for name, rate in rates.items() if rate}


class RateLimit:
    """Refuses callers that have spent their budget, until its window ends."""

    def __init__(self, app: ASGIApp, *, budgets: "Mapping[str, RateLimitItem]", counts: "Counts") -> None:
        self.app = app
        self._counts = counts
        self._budgets = budgets
        self._policies = {name: f'"{name}";q={item.amount};w={item.get_expiry()}' for name, item in budgets.items()}
        self._shares: dict[tuple[str, str], Share] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 429, or pass the request on; either way with what is left of the budget."""
        name = _budget_of(scope)
        if name not in self._budgets or scope["path"] in _FREE_OF_CHARGE:
            await self.app(scope, receive, send)
            return
        share = await self._spend(name, await _caller(scope))
        if share is None:
            await self.app(scope, receive, send)
            return
        reset_s = max(math.ceil(share.ends_at - time.time()), 1)
        told = {
            "RateLimit-Policy": self._policies[name],
            "RateLimit": f'"{name}";r={max(share.left, 0) + share.elsewhere};t={reset_s}',
        }

        async def send_told(message: Message) -> None:
            if message["type"] in ANSWERS:
                MutableHeaders(scope=message).update(told)
            await send(message)

        if share.left < 0:
            detail = f"the budget for {name} is spent; it is {self._budgets[name]}; try again in {reset_s} s"
            refusal = Refusal(TOO_MANY, detail, headers={"Retry-After": str(reset_s)})
            await problem(scope, refusal)(scope, receive, send_told)
        else:
            await self.app(scope, receive, send_told)

    async def _spend(self, name: str, caller: str) -> Share | None:
        """The caller's share after this request, negative if there was nothing left; none if nobody knows."""
        now, item = time.time(), self._budgets[name]
        share = self._shares.get((name, caller))
        if share is None or share.ends_at <= now or (share.left <= 0 and share.elsewhere):
            share = await self._fetch(name, caller, item, now)
        if share is not None:
            share.left = max(share.left - 1, -1)
        return share

    async def _fetch(self, name: str, caller: str, item: "RateLimitItem", now: float) -> Share | None:
        window_s, amount = item.get_expiry(), max(item.amount // _SHARES, 1)
        number = int(now // window_s)
        taken = await self._counts.take(f"{name}/{caller}/{number}", amount=amount, window_s=window_s)
        if taken is None:
            return None
        before = taken - amount
        granted = max(min(amount, item.amount - before), 0)
        share = Share(granted, max(item.amount - taken, 0), (number + 1.0) * window_s)
        if (other := self._shares.get((name, caller))) is not None and other.ends_at == share.ends_at:
            share.left += max(other.left, 0)  # taken by another request while this one waited
        self._make_room(now)
        self._shares[name, caller] = share
        return share

    def _make_room(self, now: float) -> None:
        if len(self._shares) >= _MOST_KNOWN:
            self._shares = {key: share for key, share in self._shares.items() if share.ends_at > now}
        if len(self._shares) >= _MOST_KNOWN:
            self._shares = {}


def _budget_of(scope: Scope) -> str:
    if scope["type"] == "lifespan":
        return ""
    if scope["type"] == "websocket":
        return "classify"
    path: str = scope["path"]
    if path.endswith(("/classify", "/infer")) or path == "/v1/classifications":
        return "classify" if scope["method"] == "POST" else "reads"
    return "reads" if scope["method"] in _READS else "writes"


async def _caller(scope: Scope) -> str:
    """Who asks: the key that lets them in, else the address, on which whoever invents keys spends one budget."""
    known = await known_key(HTTPConnection(scope))
    if known is not None and known.holds:
        return known.id
    host = (scope.get("client") or ("local",))[0]
    try:
        return str(ip_address(host))
    except ValueError:  # what a proxy passes on is not always an address; whoever invents names shares one budget
        return "no address"
