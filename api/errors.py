"""Every refusal as problem+json (RFC 9457): one table from exception to status and problem type."""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError, ResponseValidationError, WebSocketRequestValidationError
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from pskd_core.errors import (
    CheckpointError,
    DataError,
    NonFiniteLossError,
    NotComparable,
    ParityError,
    ProtocolError,
    PskdError,
    RankLost,
    SpecError,
    json_pointer,
    problem_fields,
)
from store.errors import (
    AliasMoved,
    BadCursor,
    BadTarget,
    Conflict,
    DatasetNotUsable,
    GateRefused,
    IllegalTransition,
    KeyInFlight,
    KeyReused,
    LostLease,
    NotFound,
    ObjectDamaged,
    ObjectMissing,
    OverTime,
    QuotaExceeded,
    StillUsed,
    StorageFull,
    StoreError,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_URN = "urn:pskd:problem:"


class Fault(BaseModel):
    """One thing that is wrong, and where: in the body, a parameter or a header."""

    detail: str
    pointer: str | None = Field(default=None, description="JSON pointer (RFC 6901) into the request body")
    parameter: str | None = Field(default=None, description="query or path parameter")
    header: str | None = None


class Referring(BaseModel):
    """Something that refers to what was to be deleted."""

    model_config = ConfigDict(from_attributes=True)

    kind: str = Field(description="`job`, `sweep`, `leaderboard row`, `model version` or `alias`")
    id: str
    name: str


class ProblemDetails(BaseModel):
    """An answer that says what went wrong (RFC 9457)."""

    type: str = Field(description="a stable name of this kind of problem")
    title: str
    status: int
    detail: str
    instance: str = Field(description="path of the request")
    request_id: str
    errors: tuple[Fault, ...] | None = None
    missing: tuple[str, ...] | None = Field(default=None, description="what a dataset lacks")
    gate: dict[str, JsonValue] | None = Field(default=None, description="figures that refused a promotion")
    storage: dict[str, int] | None = Field(
        default=None, description="`stored_bytes`, `adding_bytes` and `limit_bytes` of a tenant that is full"
    )
    references: tuple[Referring, ...] | None = Field(default=None, description="what keeps it from being deleted")
    file: str | None = None
    row: int | None = Field(default=None, description="from 1")
    column: str | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of problem: its status, and its name in `type`."""

    status: int
    slug: str
    title: str


MALFORMED = Kind(400, "malformed-request", "The request cannot be read")
UNAUTHENTICATED = Kind(401, "unauthenticated", "The request bears no API key that holds")
FORBIDDEN = Kind(403, "forbidden", "This caller may not do that")
OUT_OF_SCOPE = Kind(403, "out-of-scope", "The API key lacks the scope for that")
NOT_FOUND = Kind(404, "not-found", "There is no such thing")
NOT_ALLOWED = Kind(405, "method-not-allowed", "This path does not take that method")
TOO_SLOW = Kind(408, "request-timeout", "The request did not come to its end")
CONFLICT = Kind(409, "conflict", "The request contradicts what is stored")
STALE = Kind(412, "precondition-failed", "What is to be changed has changed")
TOO_LARGE = Kind(413, "body-too-large", "The request body is too large")
MEDIA = Kind(415, "unsupported-media-type", "The request body has a type that is not read here")
INVALID = Kind(422, "invalid-request", "The request is wrong")
MISSING_CONDITION = Kind(428, "precondition-required", "The request must say which state it changes")
TOO_MANY = Kind(429, "too-many-requests", "Too many requests")
INTERNAL = Kind(500, "internal-error", "The service failed")
UNAVAILABLE = Kind(503, "unavailable", "The service cannot answer now")
FULL = Kind(507, "storage-full", "The tenant has stored as much as it may")

_GENERAL = (
    MALFORMED, UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, NOT_ALLOWED, TOO_SLOW, CONFLICT, STALE, TOO_LARGE, MEDIA, INVALID,
    MISSING_CONDITION, TOO_MANY, INTERNAL, UNAVAILABLE, FULL,
)  # fmt: skip
_BY_STATUS = {kind.status: kind for kind in _GENERAL}

KINDS: dict[type[Exception], Kind] = {
    SpecError: Kind(422, "invalid-spec", "The job spec is wrong"),
    ProtocolError: Kind(422, "protocol-not-possible", "The dataset lacks what the protocol needs"),
    DataError: Kind(422, "unusable-data", "The data cannot be used"),
    NotComparable: Kind(409, "not-comparable", "The two results cannot be compared"),
    NotFound: NOT_FOUND,
    Conflict: CONFLICT,
    GateRefused: Kind(409, "gate-refused", "The version is no better than the one it would replace"),
    StillUsed: Kind(409, "still-used", "Something refers to what is to be deleted"),
    AliasMoved: STALE,
    DatasetNotUsable: Kind(409, "dataset-not-usable", "The dataset's import failed"),
    IllegalTransition: Kind(409, "illegal-transition", "That is not possible in this state"),
    KeyInFlight: Kind(409, "request-in-flight", "The same request is being worked on"),
    KeyReused: Kind(422, "idempotency-key-reused", "The Idempotency-Key belongs to another request"),
    StorageFull: FULL,
    QuotaExceeded: Kind(429, "quota-exceeded", "A limit of this tenant is reached"),
    BadTarget: INVALID,
    BadCursor: Kind(422, "bad-cursor", "The cursor does not fit"),
    InterfaceError: UNAVAILABLE,
    OperationalError: UNAVAILABLE,
    PoolTimeout: UNAVAILABLE,
    # What is stored is damaged: nothing that a caller could mend.
    ObjectMissing: INTERNAL,
    ObjectDamaged: INTERNAL,
    ResponseValidationError: INTERNAL,
    ClientDisconnect: MALFORMED,  # nobody reads this answer
    # Only training and leases raise these, which happen in workers.
    CheckpointError: INTERNAL,
    LostLease: INTERNAL,
    OverTime: INTERNAL,
    NonFiniteLossError: INTERNAL,
    ParityError: INTERNAL,
    RankLost: INTERNAL,
    # A later exception that nobody put here; a test finds it before it gets this far.
    PskdError: INTERNAL,
    StoreError: INTERNAL,
}
_MISFITS = (RequestValidationError, WebSocketRequestValidationError)  # parameters and bodies that do not fit
HANDLED: tuple[type[Exception], ...] = (*KINDS, HTTPException, *_MISFITS)


class Refusal(HTTPException):
    """What `api` itself refuses; an HTTPException, so that it passes through FastAPI's reading of bodies."""

    def __init__(
        self, kind: Kind, detail: str, *, errors: Iterable[Fault] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(kind.status, detail, headers=dict(headers or {}))
        self.kind = kind
        self.errors = tuple(errors)


async def answer(request: Request, error: Exception) -> Response:
    """The handler of every exception in `HANDLED`."""
    return problem(request.scope, error)


def problem(scope: Scope, error: Exception, **members: Any) -> Response:
    """The answer to an error; `members` are further members of the problem."""
    kind = kind_of(error)
    _log(scope, kind, error)
    content = ProblemDetails(
        type=_URN + kind.slug,
        title=kind.title,
        status=kind.status,
        detail=_detail(kind, error),
        instance=scope["path"],
        request_id=request_id(scope),
        errors=_faults(error) or None,
        missing=getattr(error, "missing", None) or None,
        gate=getattr(error, "gate", None),
        storage=getattr(error, "storage", None),
        references=tuple(map(Referring.model_validate, error.references)) if isinstance(error, StillUsed) else None,
        **(problem_fields(error) if isinstance(error, DataError) else {}),
    )
    body = content.model_dump(mode="json", exclude_none=True) | members
    return Response(json.dumps(body), kind.status, _headers(kind, error), MEDIA_TYPE)


def told_of(scope: Scope, error: Exception) -> tuple[Kind, str, dict[str, str]]:
    """What a page says of an error: its kind, the detail, and the headers that go with it."""
    kind = kind_of(error)
    _log(scope, kind, error)
    return kind, _detail(kind, error), _headers(kind, error)


def request_id(scope: Scope) -> str:
    """What names this request in the answer and in the log."""
    return str(scope["state"]["request_id"])


def kind_of(error: Exception) -> Kind:
    """The problem that an exception is; what is not in the table is a fault of this software."""
    match error:
        case Refusal():
            return error.kind
        case HTTPException():
            return _BY_STATUS.get(error.status_code, INTERNAL)
        case RequestValidationError() | WebSocketRequestValidationError():
            return INVALID
        case _:
            return next((KINDS[kind] for kind in type(error).__mro__ if kind in KINDS), INTERNAL)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a route's refusals, beside those that every route shares."""
    more = {TOO_SLOW.status} if TOO_LARGE.status in statuses else set()  # a body may also cease to come
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {
        status: {"description": _BY_STATUS[status].title, "content": content}
        for status in sorted({FORBIDDEN.status, INVALID.status, INTERNAL.status, UNAVAILABLE.status, *statuses} | more)
    }


def _log(scope: Scope, kind: Kind, error: Exception) -> None:
    if kind in {INTERNAL, UNAVAILABLE} and not isinstance(error, Refusal):
        logger.error("request %s failed", request_id(scope), exc_info=error)


def _detail(kind: Kind, error: Exception) -> str:
    match error:
        case _ if kind.status == INTERNAL.status:
            return "a fault of this software; the log has it under the request id"
        case HTTPException(status_code=404, detail="Not Found"):
            return "no route has this path"
        case HTTPException():
            return str(error.detail)
        case RequestValidationError() | WebSocketRequestValidationError():
            return "; ".join(f"{_place(fault)}: {fault.detail}" for fault in _faults(error))
        case _ if kind is UNAVAILABLE:
            return "the database does not answer; try again shortly"
        case _:
            return str(error)


def _faults(error: Exception) -> tuple[Fault, ...]:
    match error:
        case Refusal():
            return error.errors
        case SpecError():
            return tuple(Fault(detail=fault["detail"], pointer=fault["pointer"]) for fault in error.errors)
        case RequestValidationError() | WebSocketRequestValidationError():
            return tuple(_fault(fault["loc"], fault["msg"]) for fault in error.errors())
        case _:
            return ()


def _fault(location: tuple[int | str, ...], message: str) -> Fault:
    detail = message.removeprefix("Value error, ")
    match location:
        case ("body", *rest):
            return Fault(detail=detail, pointer=json_pointer(tuple(rest)))
        case ("header", name, *_):
            return Fault(detail=detail, header=str(name))
        case (_, name, *_):
            return Fault(detail=detail, parameter=str(name))
        case _:
            return Fault(detail=detail)


def _place(fault: Fault) -> str:
    return fault.parameter or fault.header or fault.pointer or "body"


def _headers(kind: Kind, error: Exception) -> dict[str, str]:
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return headers | ({"Retry-After": "1"} if kind is UNAVAILABLE else {})
