"""`If-Match` and `If-None-Match`: a change applies to the state that its sender has seen, or not at all."""

from typing import Annotated

from fastapi import Header

from api.errors import MISSING_CONDITION, STALE, Refusal

IfMatch = Annotated[str | None, Header(max_length=200, description="the `ETag` of what is to be changed")]
IfNoneMatch = Annotated[str | None, Header(max_length=200, description="`*`: only if there is none yet")]


def etag(revision: int) -> str:
    """The revision of something, as a header has it."""
    return f'"{revision}"'


def check(if_match: str | None, if_none_match: str | None, *, revision: int | None) -> None:
    """Whether what is to be changed is as its sender has seen it; `revision` null: there is none yet.

    Raises:
        Refusal: it is not (412), or the sender does not say what was seen (428).
    """
    if if_match is None and if_none_match is None:
        raise Refusal(MISSING_CONDITION, "send If-Match with the ETag of the alias, or If-None-Match: * for a new one")
    if if_none_match is not None and (if_none_match.strip() != "*" or revision is not None):
        raise Refusal(STALE, "there is such an alias already; send If-Match with its ETag")
    if if_match is not None and not _matches(if_match, revision):
        shown = "there is no such alias" if revision is None else f"its ETag is {etag(revision)}"
        raise Refusal(STALE, f"the alias is not as If-Match supposes: {shown}")


def _matches(if_match: str, revision: int | None) -> bool:
    if revision is None:
        return False
    return {"*", etag(revision)} & {part.strip() for part in if_match.split(",")} != set()


def named_revision(if_match: str | None) -> int | None:
    """The revision that a single ETag of ours names."""
    number = (if_match or "").strip().strip('"')
    return int(number) if number.isdecimal() and len(number) < 10 else None
