"""How the whole system stands, all tenants together, in a constant number of queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from store import tally
from store.base import db_now
from store.lifecycle import ENDED_CLASSIFICATION, DatasetState, RunState
from store.models import Claimable, Dataset, Outbox, Run
from store.outward import WebhookDelivery
from store.queues import CPU, GPU, IO, queue_of
from store.tally import Total
from store.timelines import Classification

WEBHOOK = "webhook"
QUEUES = (CPU, GPU, IO)
KINDS = ("wake", "mlflow", WEBHOOK)  # of messages
_OPEN = (RunState.QUEUED, RunState.RETRYING, RunState.RUNNING)


@dataclass(frozen=True)
class Backlog:
    """How many wait, and for how long the first of them has."""

    count: int
    oldest_s: float


@dataclass(frozen=True)
class Census:
    """One look at everything."""

    depths: Mapping[tuple[str, RunState], int]  # runs, imports and classifications by queue and state
    oldest_s: Mapping[str, float]  # by queue: how long the first has waited; 0 where none waits
    messages: Mapping[str, Backlog]  # not sent yet, by kind; one to a webhook ages from when it was last due
    totals: Sequence[Total]


def look(session: Session) -> Census:
    """Counts by six queries, whatever there is to count."""
    depths = dict.fromkeys(product(QUEUES, _OPEN), 0)
    oldest_s = dict.fromkeys(QUEUES, 0.0)
    for queue, state, count, waited_s in [*_runs(session), *_of_io(session)]:
        depths[queue, state] += count
        oldest_s[queue] = max(oldest_s[queue], waited_s)
    return Census(depths, oldest_s, _messages(session), tally.totals(session))


def _runs(session: Session) -> list[tuple[str, RunState, int, float]]:
    columns = (Run.device, Run.state, func.count(), func.min(Run.queued_at), db_now())
    found = session.execute(select(*columns).where(Run.state.in_(_OPEN)).group_by(Run.device, Run.state))
    return [(queue_of(device), state, count, _age_s(first, now)) for device, state, count, first, now in found]


def _of_io(session: Session) -> list[tuple[str, RunState, int, float]]:
    labelling = Classification.state.not_in(ENDED_CLASSIFICATION)
    return [
        *_taken(session, Dataset, Dataset.state == DatasetState.VALIDATING),
        *_taken(session, Classification, labelling),
    ]


def _taken(
    session: Session, table: type[Claimable], is_open: ColumnElement[bool]
) -> list[tuple[str, RunState, int, float]]:
    """What waits for a worker, and what has one."""
    taken = table.worker.is_not(None)
    columns = (taken, func.count(), func.min(table.queued_at), db_now())
    found = session.execute(select(*columns).where(is_open).group_by(taken))
    states = (RunState.QUEUED, RunState.RUNNING)
    return [(IO, states[bool(has_worker)], count, _age_s(first, now)) for has_worker, count, first, now in found]


def _messages(session: Session) -> Mapping[str, Backlog]:
    unsent = select(Outbox.kind, func.count(), func.min(Outbox.created_at), db_now()).where(Outbox.sent_at.is_(None))
    found = session.execute(unsent.group_by(Outbox.kind))
    waiting = {kind: Backlog(count, _age_s(first, now)) for kind, count, first, now in found}
    columns = (func.count(), func.min(WebhookDelivery.due_at), db_now())
    count, due_at, now = session.execute(select(*columns).where(WebhookDelivery.due_at.is_not(None))).one()
    return dict.fromkeys(KINDS, Backlog(0, 0.0)) | waiting | {WEBHOOK: Backlog(count, _age_s(due_at, now))}


def _age_s(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0.0) if since is not None else 0.0
