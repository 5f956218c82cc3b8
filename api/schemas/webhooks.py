"""Webhooks, as they are asked for and answered."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from api.schemas.common import Out, Paged
from pskd_core.fields import Frozen
from store.outward import Webhook, WebhookDelivery
from store.webhooks import Backlog


class WebhookRequest(Frozen):
    """Asks to be told of jobs that end."""

    url: str = Field(min_length=1, max_length=2000, description="`https://…`, of a public host")


class WebhookSummary(Out):
    """Where a tenant hears of jobs that end; the secret is shown once and not here."""

    id: str
    url: str
    created_at: datetime
    waiting: int = Field(description="messages that are due, now or after a pause")
    dead: int = Field(description="messages that were given up after the last attempt, within seven days")

    @classmethod
    def of(cls, hook: Webhook, backlog: Backlog) -> Self:
        """A webhook with what is due to it."""
        return cls(id=hook.id, url=hook.url, created_at=hook.created_at, waiting=backlog.waiting, dead=backlog.dead)


class WebhookCreated(WebhookSummary):
    """A new webhook, this once with its secret."""

    secret: str | None = Field(
        description="`whsec_…`, which signs every message; null where the request repeats another"
    )


class WebhookMessage(Out):
    """One message to a webhook, and what became of it."""

    id: str = Field(description="the header `webhook-id`, the same on every attempt")
    kind: str = Field(description="`job.succeeded`, `job.failed`, `job.cancelled` or `webhook.test`")
    state: Literal["waiting", "delivered", "dead"]
    attempts: int
    status: int | None = Field(description="of the last answer")
    detail: str | None = Field(description="why the last attempt failed")
    created_at: datetime
    due_at: datetime | None = Field(description="of the next attempt; null: there is none")
    delivered_at: datetime | None
    dead_at: datetime | None

    @classmethod
    def of(cls, row: WebhookDelivery) -> Self:
        """A message as it stands."""
        state = "waiting" if row.due_at is not None else "dead" if row.dead_at is not None else "delivered"
        named = ("id", "kind", "attempts", "status", "detail", "created_at", "due_at", "delivered_at", "dead_at")
        return cls(state=state, **{name: getattr(row, name) for name in named})


class WebhookDetail(WebhookSummary, Paged[WebhookMessage]):
    """A webhook with a page of its messages, newest first; those that ended are kept for seven days."""
