"""Webhooks of the caller's tenant: make, look at, try out, delete."""

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from api.body import require_json
from api.deps import CallerDep, Cursor, Limit, Reading, ServicesDep, Writing
from api.errors import INVALID, Fault, Refusal, documented
from api.idempotency import ACCEPTED, CREATED, Created, OnceDep
from api.routing import Route
from api.schemas.common import Paged
from api.schemas.webhooks import WebhookCreated, WebhookDetail, WebhookMessage, WebhookRequest, WebhookSummary
from store import targets, webhooks
from store.errors import BadTarget
from store.webhooks import Backlog

router = APIRouter(tags=["webhooks"], route_class=Route)


@router.post(
    "/v1/webhooks",
    status_code=201,
    response_model=WebhookCreated,
    responses=CREATED | documented(400, 409, 413, 415, 429),
    dependencies=[Depends(require_json)],
)
def create_webhook(
    asked: WebhookRequest, session: Writing, services: ServicesDep, caller: CallerDep, once: OnceDep
) -> Response:
    """Has a URL told of every job of the tenant that ends; the secret that signs each message is shown this once."""

    def create() -> Created:
        try:
            targets.parse(asked.url, networks=services.settings.webhook_networks)
        except BadTarget as refused:
            raise Refusal(INVALID, f"url: {refused}", errors=[Fault(detail=str(refused), pointer="/url")]) from None
        hook = webhooks.create(session, url=asked.url, tenant=caller.tenant)
        summary = WebhookSummary.of(hook, Backlog())
        return f"/v1/webhooks/{hook.id}", WebhookCreated(**dict(summary), secret=hook.secret)

    return once.accept(session, asked.model_dump_json(), create, status=201, secret="secret")  # noqa: S106  # nosec B106 # a field


@router.get("/v1/webhooks", responses=documented())
def list_webhooks(
    session: Reading, caller: CallerDep, limit: Limit = 50, cursor: Cursor = None
) -> Paged[WebhookSummary]:
    """Lists the tenant's webhooks, newest first, with how many messages wait and how many were given up."""
    page = webhooks.page(session, tenant=caller.tenant, limit=limit, cursor=cursor)
    backlogs = webhooks.backlogs(session, [hook.id for hook in page.items])
    items = tuple(WebhookSummary.of(hook, backlogs.get(hook.id, Backlog())) for hook in page.items)
    return Paged(items=items, next_cursor=page.next_cursor)


@router.get("/v1/webhooks/{webhook_id}", responses=documented(404))
def read_webhook(
    webhook_id: str, session: Reading, caller: CallerDep, limit: Limit = 50, cursor: Cursor = None
) -> WebhookDetail:
    """One webhook with its messages, newest first: what was delivered, what waits, what was given up and why."""
    hook = webhooks.get(session, webhook_id, tenant=caller.tenant)
    summary = WebhookSummary.of(hook, webhooks.backlogs(session, [hook.id]).get(hook.id, Backlog()))
    page = webhooks.deliveries(session, hook.id, limit=limit, cursor=cursor)
    items = tuple(map(WebhookMessage.of, page.items))
    return WebhookDetail(**dict(summary), items=items, next_cursor=page.next_cursor)


@router.delete("/v1/webhooks/{webhook_id}", status_code=204, responses=documented(404))
def delete_webhook(webhook_id: str, session: Writing, caller: CallerDep) -> None:
    """Deletes a webhook, and what is due to it."""
    webhooks.remove(session, webhook_id, tenant=caller.tenant)


@router.post(
    "/v1/webhooks/{webhook_id}/test",
    status_code=202,
    response_model=WebhookMessage,
    responses=ACCEPTED | documented(404, 409),
)
def test_webhook(webhook_id: str, session: Writing, caller: CallerDep, once: OnceDep) -> Response:
    """Sends a message that tells of nothing, of kind `webhook.test`; the webhook then says what became of it."""

    def create() -> Created:
        sent = webhooks.probe(session, webhook_id, tenant=caller.tenant)
        return f"/v1/webhooks/{webhook_id}", WebhookMessage.of(sent)

    return once.accept(session, "", create)
