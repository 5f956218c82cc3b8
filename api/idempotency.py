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
from store.engine import Database
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

    def replay(self, database: Database, payload: str) -> Response | None:
        """The answer from before to a request that nobody could make today, its dataset being gone; null: it is new.

        Raises:
            KeyReused: the key came with another payload before.
        """
        if self.key is None:
            return None
        with database.write() as session:
            return self._replayed(session, payload, status=202)

    def accept(
        self,
        session: Session,
        payload: str,
        create: Callable[[], Created],
        *,
        status: int = 202,
        secret: str | None = None,
    ) -> Response:
        """The answer to a creation, or its repetition, in which the field `secret` is null: it is not stored.

        Invariant: the answer is stored in the transaction that creates, so that neither is there without the other.
        """
        if self.key is None:
            location, body = create()
            return _accepted(location, body.model_dump_json(), status=status)
        if (replayed := self._replayed(session, payload, status=status)) is not None:
            return replayed
        location, body = create()
        kept = body if secret is None else body.model_copy(update={secret: None})
        answer = {"location": location, "body": kept.model_dump_json()}
        fingerprint = self._fingerprint(payload)
        idempotency.remember(session, self.key, fingerprint=fingerprint, answer=answer, tenant=self.tenant)
        return _accepted(location, body.model_dump_json(), status=status)

    def _replayed(self, session: Session, payload: str, *, status: int) -> Response | None:
        assert self.key is not None
        fingerprint = self._fingerprint(payload)
        answer = idempotency.recall(session, self.key, fingerprint=fingerprint, tenant=self.tenant)
        if answer is None:
            return None
        return _accepted(answer["location"], answer["body"], status=status, replayed=True)

    def _fingerprint(self, payload: str) -> str:
        return hashlib.sha256(f"{self.operation}\n{payload}".encode()).hexdigest()


def _described(what: str) -> dict[str, Any]:
    return {
        "description": f"{what}; `Location` says where it is",
        "headers": {
            "Location": {"schema": {"type": "string"}},
            "Idempotent-Replayed": {"schema": {"type": "string"}, "description": "`true` on a repetition"},
        },
    }


# What OpenAPI says of the answer to a creation.
ACCEPTED: dict[int | str, dict[str, Any]] = {202: _described("Accepted")}
CREATED: dict[int | str, dict[str, Any]] = {201: _described("Created")}


def _accepted(location: str, body: str, *, status: int, replayed: bool = False) -> Response:
    headers = {"Location": location} | ({"Idempotent-Replayed": "true"} if replayed else {})
    return Response(body, status, headers, "application/json")


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
