"""What a look at one thing says; nothing in it is a secret."""

import re
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from pskd_core.printable import printable

_MOST_LETTERS = 300
_PASSWORD = re.compile(r"://[^:/@]*:(.+)@")
_PARAMETER = re.compile(r"[?&][^=&]*(?:password|secret|token)[^=&]*=([^&]+)", re.IGNORECASE)


class Status(StrEnum):
    """How a thing stands."""

    OK = "ok"
    WARN = "warn"  # works, but somebody should know
    FAIL = "fail"


class Finding(BaseModel):
    """One line of an examination."""

    model_config = ConfigDict(frozen=True)

    check: str  # what was looked at
    status: Status
    where: str  # the folder, address or queue
    detail: str
    remedy: str | None


def ok(check: str, where: object, detail: str) -> Finding:
    """Nothing to do."""
    return Finding(check=check, status=Status.OK, where=str(where), detail=detail, remedy=None)


def warn(check: str, where: object, detail: str, remedy: str) -> Finding:
    """Works, but somebody should know."""
    return Finding(check=check, status=Status.WARN, where=str(where), detail=detail, remedy=remedy)


def fail(check: str, where: object, detail: str, remedy: str) -> Finding:
    """Does not work."""
    return Finding(check=check, status=Status.FAIL, where=str(where), detail=detail, remedy=remedy)


def shown(url: str) -> str:
    """A URL without the passwords in it."""
    for secret in _secrets(url):
        url = url.replace(secret, "***")
    return url


def reason(error: BaseException, *, url: str = "") -> str:
    """One line on what went wrong with what `url` names, without the passwords in that."""
    text = " ".join(str(error).split()) or type(error).__name__
    for secret in _secrets(url):
        text = text.replace(secret, "***")
    return printable(text)[:_MOST_LETTERS]


def _secrets(url: str) -> list[str]:
    return [found for pattern in (_PASSWORD, _PARAMETER) for found in pattern.findall(url)]
