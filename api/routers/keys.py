"""API keys of the caller's tenant: make, list, revoke."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from api.body import require_json
from api.deps import CallerDep, Cursor, Limit, Reading, Writing
from api.errors import INVALID, Fault, Refusal, documented
from api.idempotency import CREATED, Created, OnceDep
from api.routing import Route
from api.schemas.common import Paged
from api.schemas.keys import KeyCreated, KeyRequest, KeySummary
from store import keys

router = APIRouter(tags=["keys"], route_class=Route)


@router.post(
    "/v1/keys",
    status_code=201,
    response_model=KeyCreated,
    responses=CREATED | documented(400, 409, 413, 415),
    dependencies=[Depends(require_json)],
)
def create_key(asked: KeyRequest, session: Writing, caller: CallerDep, once: OnceDep) -> Response:
    """Makes a key and shows it this once; a request that is repeated under its Idempotency-Key gets it without."""

    def create() -> Created:
        _check_future(asked.expires_at)
        issued = keys.create(
            session, name=asked.name, scopes=asked.scopes, expires_at=asked.expires_at, tenant=caller.tenant
        )
        return f"/v1/keys/{issued.row.id}", KeyCreated.of(issued)

    return once.accept(session, asked.model_dump_json(), create, status=201, secret="key")  # noqa: S106  # nosec B106 # a field's name


def _check_future(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= datetime.now(UTC):
        detail = "lies in the past, so the key would let nobody in"
        raise Refusal(INVALID, f"expires_at {detail}", errors=[Fault(detail=detail, pointer="/expires_at")])


@router.get("/v1/keys", responses=documented())
def list_keys(session: Reading, caller: CallerDep, limit: Limit = 50, cursor: Cursor = None) -> Paged[KeySummary]:
    """Lists the tenant's keys, newest first, revoked and expired ones too."""
    page = keys.page(session, tenant=caller.tenant, limit=limit, cursor=cursor)
    return Paged(items=tuple(map(KeySummary.model_validate, page.items)), next_cursor=page.next_cursor)


@router.get("/v1/keys/{key_id}", responses=documented(404))
def read_key(key_id: str, session: Reading, caller: CallerDep) -> KeySummary:
    """One key: its scopes, its end, its last use."""
    return KeySummary.model_validate(keys.get(session, key_id, tenant=caller.tenant))


@router.post("/v1/keys/{key_id}/revoke", responses=documented(404))
def revoke_key(key_id: str, session: Writing, caller: CallerDep) -> KeySummary:
    """Revokes a key: within two seconds it lets nobody in, and open event streams end."""
    return KeySummary.model_validate(keys.revoke(session, key_id, tenant=caller.tenant))
