"""`Idempotency-Key`: a creating request that is sent again gets the first one's answer."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.deps import CallerDep
from store import idempotency
from store.models import IdempotencyKey

Created = tuple[str, BaseModel]  # where it is, and what is answered


@dataclass(frozen=True)
class Once:
    """Creates at most once a key; without a key, each time."""

    key: str | None
    operation: str
    tenant: str

    def seen(self, session: Session) -> bool:
        """Whether the key has come before: the request then has an answer already, whatever has changed since."""
        return self.key is not None and session.get(IdempotencyKey, (self.tenant, self.key)) is not None

    def accept(self, session: Session, payload: str, create: Callable[[], Created]) -> Response:
        """The 202 of a creation, or its repetition.

        Invariant: the answer is stored in the transaction that creates, so that neither is there without the other.
        """
        if self.key is None:
            return _accepted(*_stored(create()))
        fingerprint = hashlib.sha256(f"{self.operation}\n{payload}".encode()).hexdigest()
        answer = idempotency.recall(session, self.key, fingerprint=fingerprint, tenant=self.tenant)
        if answer is not None:
            return _accepted(answer["location"], answer["body"], replayed=True)
        location, body = _stored(create())
        answer = {"location": location, "body": body}
        idempotency.remember(session, self.key, fingerprint=fingerprint, answer=answer, tenant=self.tenant)
        return _accepted(location, body)


# What OpenAPI says of the answer to a creation.
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Accepted; `Location` says where it is",
        "headers": {
            "Location": {"schema": {"type": "string"}},
            "Idempotent-Replayed": {"schema": {"type": "string"}, "description": "`true` on a repetition"},
        },
    }
}


def _stored(created: Created) -> tuple[str, str]:
    location, body = created
    return location, body.model_dump_json()


def _accepted(location: str, body: str, *, replayed: bool = False) -> Response:
    headers = {"Location": location} | ({"Idempotent-Replayed": "true"} if replayed else {})
    return Response(body, 202, headers, "application/json")


async def _once(
    request: Request,
    caller: CallerDep,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=255, pattern=r"^[!-~]+$", description="makes it safe to send this again"),
    ] = None,
) -> Once:
    return Once(idempotency_key, f"{request.method} {request.url.path}", caller.tenant)


OnceDep = Annotated[Once, Depends(_once)]
