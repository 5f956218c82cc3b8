"""Health, as answered."""

from api.schemas.common import Out


class Check(Out):
    """One thing that this process needs to answer."""

    name: str
    ok: bool
    detail: str | None


class Readiness(Out):
    """Whether this process can answer."""

    checks: tuple[Check, ...]
