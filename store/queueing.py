"""Whose turn it is: tenants share workers alike, and within a tenant go priority, then age.

Every look costs as many index entries as there are tenants, and none for runs that wait further behind.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, text, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from store.lifecycle import ENDED_RUN
from store.models import Run

# As the partial indexes have it, word by word: with values that come as parameters neither database would use them.
CLAIMABLE = text("run.state IN ('queued', 'retrying')")
RUNNING = text("run.state = 'running'")
SERVED = text("run.claimed_at IS NOT NULL")

ORDER: tuple[InstrumentedAttribute[Any], ...] = (Run.rank, Run.created_at, Run.job_id, Run.position)


_Inner = aliased(Run)


def ready() -> ColumnElement[bool]:
    """Whether the runs that a run waits for have ended, however they did.

    One that tests waits for those of its seed, before it, that test nothing: inner folds, on whose predictions its
    student is calibrated. Else what it says of itself would depend on who was faster.
    """
    before = (_Inner.job_id == Run.job_id, _Inner.seed == Run.seed, _Inner.position < Run.position)
    open_ = exists().where(*before, _Inner.n_test == 0, _Inner.state.not_in(ENDED_RUN))
    return (Run.n_test == 0) | ~open_.correlate(Run)


def tenants(session: Session, device: str) -> Sequence[str]:
    """Tenants with a run free to claim that asks for this `device`, each found by one step into the index."""
    first = select(func.min(Run.tenant).label("tenant")).where(CLAIMABLE, Run.device == device)
    found = first.cte("found", recursive=True)
    above = select(func.min(Run.tenant)).where(CLAIMABLE, Run.device == device, Run.tenant > found.c.tenant)
    found = found.union_all(select(above.correlate(found).scalar_subquery()).where(found.c.tenant.is_not(None)))
    return session.scalars(select(found.c.tenant).where(found.c.tenant.is_not(None))).all()


def running(session: Session) -> Mapping[str, int]:
    """How many runs each tenant has under way."""
    counted = select(Run.tenant, func.count()).where(RUNNING).group_by(Run.tenant)
    return {tenant: count for tenant, count in session.execute(counted)}  # noqa: C416 - rows become pairs by it


def one_start_at_a_time(session: Session, tenant: str) -> None:
    """Until the commit, so that of two workers the second counts what the first has started."""
    if session.get_bind().dialect.name == "postgresql":  # on SQLite there is one writer at a time
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"pskd.start.{tenant}"})


def turns(session: Session, devices: Sequence[str], *, runs_at_once: int | None) -> list[str]:
    """Tenants that may start a run on one of these devices: who has fewest under way first, then who waits longest.

    A tenant with `runs_at_once` under way is left out.
    """
    waiting = sorted({tenant for device in devices for tenant in tenants(session, device)})
    if len(waiting) < 2 and runs_at_once is None:
        return waiting
    busy = running(session)
    allowed = [tenant for tenant in waiting if runs_at_once is None or busy.get(tenant, 0) < runs_at_once]
    served = {tenant: _last_served(session, tenant) for tenant in allowed}
    return sorted(allowed, key=lambda tenant: (busy.get(tenant, 0), *served[tenant], tenant))


def _last_served(session: Session, tenant: str) -> tuple[bool, float]:
    """Sorts those who were never served before those who were, and these by when."""
    last = session.scalar(select(func.max(Run.claimed_at)).where(SERVED, Run.tenant == tenant))
    return (False, 0.0) if last is None else (True, last.timestamp())


def by_head(session: Session, tenant: str, devices: Sequence[str]) -> list[str]:
    """Those of `devices` for which the tenant has a run free to claim, the one that comes first in front."""
    heads = []
    for device in devices:
        head = select(Run.device, *ORDER).where(CLAIMABLE, Run.device == device, Run.tenant == tenant)
        heads.append(select(head.order_by(*ORDER).limit(1).subquery()))
    found = session.execute(union_all(*heads)).all()
    return [device for device, *_ in sorted(found, key=lambda head: tuple(head)[1:])]
