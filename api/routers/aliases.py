"""Aliases of models: promote a version, delete an alias, and what has happened to them."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Path as PathParameter
from fastapi.responses import Response

from api.body import require_json
from api.deps import CallerDep, Cursor, Limit, Reading, Services, ServicesDep, Writing
from api.errors import documented
from api.preconditions import IfMatch, IfNoneMatch, check, etag, named_revision
from api.routing import Route
from api.schemas.common import Paged
from api.schemas.models import AliasChangeOut, AliasName, AliasOut, Promotion
from pskd_core.errors import DataError
from pskd_core.evaluation.comparison import Predictions, read_predictions
from store import promotion
from store.errors import ObjectDamaged, ObjectMissing

router = APIRouter(tags=["models"], route_class=Route)

_PATH = "/v1/models/{name}/aliases/{alias}"
Alias = Annotated[AliasName, PathParameter()]
_TAGGED: dict[int | str, dict[str, Any]] = {200: {"headers": {"ETag": {"schema": {"type": "string"}}}}}


@router.get(_PATH, responses={**_TAGGED, **documented(404)})
def read_alias(name: str, alias: Alias, response: Response, session: Reading, caller: CallerDep) -> AliasOut:
    """Which version an alias names, with the `ETag` for whoever moves it."""
    found = promotion.get_alias(session, name, alias, tenant=caller.tenant)
    response.headers["ETag"] = etag(found.revision)
    return AliasOut.model_validate(found)


@router.put(
    _PATH, responses={**_TAGGED, **documented(400, 404, 409, 412, 413, 415, 428)}, dependencies=[Depends(require_json)]
)
def promote_version(
    name: str,
    alias: Alias,
    asked: Promotion,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> AliasOut:
    """Lets an alias name a version that is not worse than the one it named, tested alike; what is forced says why."""
    with services.database.read() as session:
        candidacy = promotion.consider(session, name, alias, asked.version, tenant=caller.tenant)
        before = named_revision(if_match)
        again = before is not None and promotion.repeated(session, candidacy, before=before, actor=caller.tenant)
    if not again:
        check(if_match, if_none_match, revision=candidacy.revision)
    # No session is held while predictions are fetched.
    gate = promotion.judge(candidacy, _reader(services))
    with services.database.write() as session:
        moved = promotion.promote(
            session,
            candidacy,
            gate,
            actor=caller.tenant,
            bearer=caller.bearer,
            reason=asked.reason,
            force=asked.force,
        )
        answer = AliasOut.model_validate(moved)
        response.headers["ETag"] = etag(moved.revision)
    services.serving.forget(caller.tenant, name)
    return answer


def _reader(services: Services) -> Callable[[str], Predictions | None]:
    def read(digest: str) -> Predictions | None:
        try:
            return read_predictions(services.objects.get_bytes(digest), file=digest)
        except (DataError, ObjectMissing, ObjectDamaged):
            return None

    return read


@router.delete(_PATH, status_code=204, responses=documented(404, 412, 428))
def delete_alias(
    name: str,
    alias: Alias,
    session: Writing,
    services: ServicesDep,
    caller: CallerDep,
    if_match: IfMatch = None,
) -> None:
    """Deletes an alias that stands where `If-Match` says; the version that it named stays."""
    found = promotion.get_alias(session, name, alias, tenant=caller.tenant)
    check(if_match, None, revision=found.revision)
    promotion.remove(
        session,
        name,
        alias,
        revision=found.revision,
        actor=caller.tenant,
        bearer=caller.bearer,
        tenant=caller.tenant,
    )
    services.serving.forget(caller.tenant, name)


@router.get("/v1/models/{name}/history", responses=documented(404))
def list_history(
    name: str, session: Reading, caller: CallerDep, limit: Limit = 50, cursor: Cursor = None
) -> Paged[AliasChangeOut]:
    """Lists who moved the aliases of a model when, from where to where, why, and by which figures."""
    page = promotion.history(session, name, limit=limit, cursor=cursor, tenant=caller.tenant)
    return Paged(items=tuple(map(AliasChangeOut.model_validate, page.items)), next_cursor=page.next_cursor)
