"""Webhooks of a tenant, and the messages that are due to them: written with what they tell, sent afterwards."""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, exists, func, or_, select, text, update
from sqlalchemy.orm import Session

from store import paging, tally
from store.base import db_now
from store.errors import NotFound, QuotaExceeded
from store.lifecycle import ENDED_JOB
from store.models import TENANT, Job
from store.outward import Webhook, WebhookDelivery
from store.paging import Page
from store.tally import Tallied

MOST = 16  # of one tenant
TEST = "webhook.test"
_SECRET_BYTES = 32


@dataclass(frozen=True)
class Backlog:
    """How many messages of a webhook wait, and how many were given up."""

    waiting: int = 0
    dead: int = 0


@dataclass(frozen=True)
class Parcel:
    """One message that its taker is to send."""

    id: str
    webhook_id: str
    url: str
    secret: str = field(repr=False)
    body: str
    attempts: int  # this one counted


def create(session: Session, *, url: str, tenant: str = TENANT) -> Webhook:
    """A webhook that hears of jobs that end from the commit on; what `url` may be is for `targets` to say.

    Raises:
        QuotaExceeded: the tenant has as many as it may have.
    """
    count = session.scalar(select(func.count()).where(Webhook.tenant == tenant)) or 0
    if count >= MOST:
        raise QuotaExceeded(f"this tenant has {count} webhooks, and may have {MOST}; delete one")
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    hook = Webhook(tenant=tenant, url=url, secret=secret)
    session.add(hook)
    session.flush()
    return hook


def get(session: Session, webhook_id: str, *, tenant: str = TENANT) -> Webhook:
    """One webhook. Raises NotFound."""
    hook = session.scalars(select(Webhook).where(Webhook.id == webhook_id, Webhook.tenant == tenant)).one_or_none()
    if hook is None:
        raise NotFound("webhook", webhook_id)
    return hook


def page(session: Session, *, tenant: str = TENANT, limit: int = 50, cursor: str | None = None) -> Page[Webhook]:
    """Webhooks, newest first. Raises BadCursor."""
    of_tenant = select(Webhook).where(Webhook.tenant == tenant)
    return paging.by_id(session, of_tenant, Webhook.id, {"list": "webhooks"}, limit=limit, cursor=cursor)


def deliveries(
    session: Session, webhook_id: str, *, limit: int = 50, cursor: str | None = None
) -> Page[WebhookDelivery]:
    """What was sent to a webhook or is due, newest first. Raises BadCursor."""
    found = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    filters = {"list": "deliveries", "webhook": webhook_id}
    return paging.by_id(session, found, WebhookDelivery.id, filters, limit=limit, cursor=cursor)


def backlogs(session: Session, webhook_ids: Sequence[str]) -> Mapping[str, Backlog]:
    """What waits and what was given up, of each of these that has any."""
    columns = (WebhookDelivery.webhook_id, func.count(WebhookDelivery.due_at), func.count(WebhookDelivery.dead_at))
    found = select(*columns).where(WebhookDelivery.webhook_id.in_(webhook_ids)).group_by(WebhookDelivery.webhook_id)
    return {webhook_id: Backlog(waiting, dead) for webhook_id, waiting, dead in session.execute(found)}


def remove(session: Session, webhook_id: str, *, tenant: str = TENANT) -> None:
    """Deletes a webhook, with what is due to it. Raises NotFound."""
    session.delete(get(session, webhook_id, tenant=tenant))
    session.flush()


def announce(session: Session, job: Job) -> None:
    """Makes it due to every webhook of the tenant that the job has ended, with this transaction's commit."""
    if job.state not in ENDED_JOB:
        return
    # A webhook that is being deleted is waited for, and then is not there: the job must not fail for it.
    hooks = select(Webhook.id).where(Webhook.tenant == job.tenant).with_for_update(read=True, key_share=True)
    for webhook_id in session.scalars(hooks).all():
        data = {
            "job_id": job.id,
            "name": job.name,
            "state": job.state,
            "cause": job.cause,
            "detail": job.detail,
            "created_at": _text(job.created_at),
            "started_at": _text(job.started_at),
            "finished_at": _text(job.finished_at),
        }
        _add(session, webhook_id, f"job.{job.state}", data)


def probe(session: Session, webhook_id: str, *, tenant: str = TENANT) -> WebhookDelivery:
    """Makes a message due that tells of nothing. Raises NotFound."""
    hook = get(session, webhook_id, tenant=tenant)
    return _add(session, hook.id, TEST, {"webhook_id": hook.id})


def _add(session: Session, webhook_id: str, kind: str, data: dict[str, Any]) -> WebhookDelivery:
    body = json.dumps({"type": kind, "timestamp": _text(datetime.now(UTC)), "data": data})
    row = WebhookDelivery(webhook_id=webhook_id, kind=kind, body=body)
    session.add(row)
    session.flush()
    return row


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def are_due(session: Session) -> bool:
    """Whether there may be something to take."""
    return bool(session.scalar(select(exists().where(WebhookDelivery.due_at <= db_now()))))


def take(session: Session, *, limit: int, hold_s: float) -> Sequence[Parcel]:
    """The oldest due message of each webhook to which nobody is sending, held for `hold_s`; commit, then send.

    Invariant: at most one message is under way to a webhook, so a slow receiver occupies one place and no more.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext('pskd.webhooks'))"))
    busy = select(WebhookDelivery.webhook_id).where(WebhookDelivery.held_until > db_now())
    due = select(func.min(WebhookDelivery.id)).where(
        WebhookDelivery.due_at <= db_now(), WebhookDelivery.webhook_id.not_in(busy)
    )
    first = due.group_by(WebhookDelivery.webhook_id).order_by(func.min(WebhookDelivery.due_at)).limit(limit)
    taken = (
        update(WebhookDelivery)
        .where(WebhookDelivery.id.in_(first))
        .values(held_until=db_now(hold_s), attempts=WebhookDelivery.attempts + 1)
        .returning(WebhookDelivery.id, WebhookDelivery.webhook_id, WebhookDelivery.body, WebhookDelivery.attempts)
    )
    rows = session.execute(taken, execution_options={"synchronize_session": False}).all()
    found = select(Webhook).where(Webhook.id.in_([row.webhook_id for row in rows]))
    hooks = {hook.id: hook for hook in session.scalars(found)}
    return [
        Parcel(row.id, row.webhook_id, hooks[row.webhook_id].url, hooks[row.webhook_id].secret, row.body, row.attempts)
        for row in rows
        if row.webhook_id in hooks
    ]


def mark_delivered(session: Session, parcel: Parcel, *, status: int, seconds: float) -> None:
    """It has arrived."""
    tally.note(session, Tallied.WEBHOOK, "delivered", seconds=seconds)
    _change(session, parcel, {"due_at": None, "delivered_at": db_now(), "status": status, "detail": None})


def mark_failed(
    session: Session, parcel: Parcel, *, status: int | None, detail: str, again_s: float | None, seconds: float
) -> None:
    """It has not arrived: due again after `again_s`, or given up."""
    tally.note(session, Tallied.WEBHOOK, "failed" if again_s is not None else "dead", seconds=seconds)
    next_ = {"due_at": None, "dead_at": db_now()} if again_s is None else {"due_at": db_now(again_s)}
    _change(session, parcel, {**next_, "status": status, "detail": detail})


def _change(session: Session, parcel: Parcel, values: Mapping[str, Any]) -> None:
    # A sender whose hold was over, so that another has taken the message since, changes nothing.
    own = (WebhookDelivery.id == parcel.id) & (WebhookDelivery.attempts == parcel.attempts)
    open_ = WebhookDelivery.due_at.is_not(None)
    session.execute(update(WebhookDelivery).where(own, open_).values(held_until=None, **values))


def purge(session: Session, *, older_than_s: float) -> None:
    """Forgets messages that were delivered or given up so long ago."""
    ended = or_(WebhookDelivery.delivered_at < db_now(-older_than_s), WebhookDelivery.dead_at < db_now(-older_than_s))
    session.execute(delete(WebhookDelivery).where(ended))
