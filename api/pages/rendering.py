"""How a page is made: templates, what they can say of numbers, headers, and refusals as pages."""

import json
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from functools import cache
from typing import Any, assert_never

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from api.browser import token_of
from api.errors import HANDLED, UNAUTHENTICATED, request_id, told_of
from api.pages.assets import address
from api.routing import Route
from pskd_core.config import LeaveOneSubjectOut, NamedProtocol, Protocol, SubjectLists
from store.keys import Scope

NONE = "–"
# No inline script or style, nothing from elsewhere, and no form leads elsewhere.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"))


class PageRoute(Route):
    """A route whose refusals are pages too: people read them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with a page where it refuses."""
        handler: Callable[[Request], Awaitable[Response]] = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handler(request)
            except HANDLED as error:
                return _refused(request, error)

        return told


def page(request: Request, template: str, *, status: int = 200, **shown: Any) -> Response:
    """A page from a template."""
    token, caller = token_of(request), getattr(request.state, "caller", None)
    admin = caller is not None and Scope.ADMIN in caller.scopes
    found = _environment().get_template(template).render(path=request.url.path, token=token, admin=admin, **shown)
    # A form's request names where it comes from, which it does not under the policy of the other answers.
    return Response(found, status, {"Content-Security-Policy": _POLICY, "Referrer-Policy": "same-origin"}, "text/html")


def _refused(request: Request, error: Exception) -> Response:
    kind, detail, headers = told_of(request.scope, error)
    if kind is UNAUTHENTICATED:
        fault = detail if token_of(request) else None
        answer = page(request, "sign_in.html", status=kind.status, then=_here(request), fault=fault)
    else:
        about = {"kind": kind, "detail": detail, "request_id": request_id(request.scope)}
        answer = page(request, "refused.html", status=kind.status, **about)
    answer.headers.update(headers)
    return answer


def _here(request: Request) -> str:
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("api.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "amount": amount, "bytes": in_bytes, "count": count, "lasting": lasting, "per_cent": per_cent, "points": points,
        "plain": plain, "pretty": pretty, "signed": signed, "split": split, "spread": spread,
        "when": when,
    }  # fmt: skip
    environment.globals["asset"] = address
    return environment


def per_cent(fraction: float | None, digits: int = 1) -> str:
    """A fraction as people read it."""
    return NONE if fraction is None else f"{100 * fraction:.{digits}f} %"


def spread(figure: Any) -> str:
    """Mean ± standard deviation in per cent; of one seed there is no deviation."""
    if figure is None:
        return NONE
    if figure.sd is None:
        return per_cent(figure.mean)
    return f"{100 * figure.mean:.1f} ± {100 * figure.sd:.1f} %"


def signed(difference: float | None) -> str:
    """A difference of fractions, in points of per cent."""
    return NONE if difference is None else f"{100 * difference:+.1f}"


def points(figure: Any) -> str:
    """The mean of a difference ± its standard deviation, in points; of one seed there is no deviation."""
    return signed(figure.mean) + ("" if figure.sd is None else f" ± {100 * figure.sd:.1f}")


def count(number: int | None) -> str:
    """A number with thin spaces between its thousands."""
    return NONE if number is None else f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def amount(number: float | None) -> str:
    """A large number, short."""
    if number is None:
        return NONE
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= factor:
            return f"{number / factor:.3g}{unit}"
    return f"{number:.3g}"


def in_bytes(number: int | None) -> str:
    """A size, short."""
    return NONE if number is None else f"{amount(number)}B" if number >= 1000 else f"{number} B"


def pretty(data: Any) -> str:
    """Plain data, to read."""
    return json.dumps(data, indent=2, ensure_ascii=False)


def plain(value: Any) -> str:
    """A field's value as it stands in a spec; text without its quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def split(protocol: Protocol) -> str:
    """How the recordings are parted, in words."""
    match protocol:
        case NamedProtocol() as named:
            return named.name.replace("_", " ")
        case LeaveOneSubjectOut():
            return "leave one subject out"
        case SubjectLists() as lists:
            return f"train on subjects {', '.join(lists.train)}; test on {', '.join(lists.test) or 'none'}"
        case _ as never:
            assert_never(never)


def lasting(seconds: float | None) -> str:
    """A duration, in the two largest units."""
    if seconds is None:
        return NONE
    for index, (length_s, unit) in enumerate(_UNITS):
        if seconds >= length_s:
            whole, rest = divmod(seconds, length_s)
            below_s, below = _UNITS[index + 1] if index + 1 < len(_UNITS) else (1.0, "s")
            return f"{whole:.0f} {unit} {rest // below_s:.0f} {below}"
    return f"{seconds:.0f} s"


def when(at: datetime | None) -> str:
    """A time in UTC, to the minute; the page's script shows it in the reader's own zone."""
    return NONE if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
