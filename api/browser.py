"""A browser that signed in: its key in a cookie, and the token by which its requests are known to be a page's own."""

import hmac
from hashlib import sha256

from starlette.requests import HTTPConnection
from starlette.responses import Response

from api.errors import FORBIDDEN, Fault, Refusal
from store import keys

TOKEN_HEADER = "X-CSRF-Token"  # noqa: S105  # nosec B105 # a header's name
_COOKIE = "pskd_key"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def carries_header(request: HTTPConnection) -> bool:
    """Whether a request says itself who sends it; then a cookie counts for nothing."""
    return "authorization" in request.headers


def secret_in_cookie(request: HTTPConnection) -> str | None:
    """What has the form of a key in a browser's cookie."""
    secret = request.cookies.get(_COOKIE, "")
    return secret if keys.is_key(secret) else None


def token_of(request: HTTPConnection) -> str | None:
    """What a page's own requests bear beside the cookie: it follows from the key, and nobody else can know it."""
    secret = None if carries_header(request) else secret_in_cookie(request)
    return None if secret is None else hmac.new(secret.encode(), b"csrf", sha256).hexdigest()


def check_token(request: HTTPConnection) -> None:
    """Refuse a change that a browser asks for by its cookie alone: another page may have had it sent.

    A browser cannot send the token when it opens a WebSocket, but it always names the page, which must be our own.

    Raises:
        Refusal: the token is missing or another, or a WebSocket comes without an origin (403).
    """
    if request.scope["type"] == "websocket":
        if "origin" not in request.headers:
            detail = "a browser that signed in names its page in Origin; a program sends `Authorization: Bearer pskd_…`"
            raise Refusal(FORBIDDEN, detail, errors=[Fault(detail=detail, header="Origin")])
        return
    if request.scope["method"] in _SAFE:
        return
    sent, due = request.headers.get(TOKEN_HEADER, ""), token_of(request) or ""
    if not hmac.compare_digest(sent.encode(), due.encode()):
        detail = f"a browser that signed in sends its page's token in {TOKEN_HEADER}; open the page anew"
        raise Refusal(FORBIDDEN, detail, errors=[Fault(detail=detail, header=TOKEN_HEADER)])


def sign_in(answer: Response, secret: str, *, secure: bool) -> None:
    """Let the browser keep the key until it is closed, unseen by scripts."""
    answer.set_cookie(_COOKIE, secret, path="/", secure=secure, httponly=True, samesite="lax")


def sign_out(answer: Response) -> None:
    """Let it forget the key."""
    answer.delete_cookie(_COOKIE, path="/", httponly=True, samesite="lax")
