"""How long jobs will take: from the epochs that were measured, the runs ahead of theirs, and the slots there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from store import queueing, workers
from store.base import db_now, present
from store.lifecycle import CLAIMABLE, ENDED_RUN, JobState, RunState
from store.models import Job, Run, WorkerSeen
from store.queues import CPU, GPU, queue_of

MOST_AHEAD = 500
_STANDS_STILL = frozenset({JobState.PAUSING, JobState.PAUSED, JobState.CANCELLING})


class _Ahead(NamedTuple):
    """A run that occupies a slot, or waits for one."""

    job_id: str
    tenant: str
    state: RunState
    device: str
    epoch: int
    epochs: int | None
    ran_s: float
    claimed_at: datetime | None
    worker: str | None
    place: tuple[int, datetime, str, int]


@dataclass(frozen=True)
class Outlook:
    """What one look at workers and queue told."""

    now: datetime
    workers: Sequence[WorkerSeen]
    lease_s: float
    runs_at_once: int | None  # of one tenant
    ahead: Sequence[_Ahead]

    def slots(self, device: str) -> int:
        """How many runs of this kind can be under way at once for one tenant, as far as is known."""
        alive = [worker for worker in self.workers if workers.lives(worker, now=self.now, lease_s=self.lease_s)]
        offered = sum(worker.runs_at_once for worker in alive if device in {"auto", worker.device})
        under_way = [run for run in self.ahead if run.state is RunState.RUNNING and _meet(run.device, device)]
        tenants = len({run.tenant for run in self.ahead}) or 1
        share = max(offered, len(under_way)) / tenants
        return int(min(max(share, 1), self.runs_at_once or share)) if share else 0

    def unserved(self, device: str) -> str | None:
        """Why nothing of this kind will start, if no worker for it lives."""
        serving = [worker for worker in self.workers if device in {"auto", worker.device}]
        if any(workers.lives(worker, now=self.now, lease_s=self.lease_s) for worker in serving):
            return None
        queues = {"auto": f"{CPU} or {GPU}"}.get(device, queue_of(device))
        if not serving:
            return f"no worker of queue {queues} has been seen; runs wait until one starts"
        absent_s = (self.now - serving[0].seen_at).total_seconds()
        return f"no worker of queue {queues} has been seen for {absent_s:.0f} s; runs wait until one starts"


def look(session: Session, *, tenant: str, lease_s: float, runs_at_once: int | None) -> Outlook:
    """Workers, all runs under way, and the tenant's runs that come first."""
    progress = (Run.epoch, Run.epochs, Run.ran_s, Run.claimed_at, Run.worker)
    columns = (Run.job_id, Run.tenant, Run.state, Run.device, *progress)
    under_way = select(*columns, *queueing.ORDER).where(queueing.RUNNING)
    waiting = select(*columns, *queueing.ORDER).where(queueing.CLAIMABLE, Run.tenant == tenant)
    waiting = waiting.order_by(*queueing.ORDER).limit(MOST_AHEAD + 1)
    of_device = [select(waiting.where(Run.device == device).subquery()) for device in ("auto", "cpu", "cuda")]
    ahead = [_Ahead._make((*row[:9], tuple(row[9:]))) for row in session.execute(union_all(under_way, *of_device))]
    return replace(look_at_workers(session, lease_s=lease_s), runs_at_once=runs_at_once, ahead=ahead)


def look_at_workers(session: Session, *, lease_s: float) -> Outlook:
    """Workers alone."""
    now = present(session.scalar(select(db_now())))
    return Outlook(now, workers.known(session), lease_s, runs_at_once=None, ahead=())


def seconds_left(outlook: Outlook, job: Job, runs: Sequence[Run], *, planned: int) -> float | None:
    """Seconds until the job's last run ends; null while nothing is measured, nobody serves it, or too much is ahead.

    An epoch of a job takes what its epochs have taken so far. A run ahead of which nothing is known is taken to last
    as long as those do of which something is.
    """
    open_runs = [run for run in runs if run.state not in ENDED_RUN and run.state is not RunState.PAUSED]
    if not open_runs or job.state in _STANDS_STILL:
        return None
    slots, pace = outlook.slots(open_runs[0].device), _pace(outlook.now, runs)
    known = _paces(outlook)
    lengths = [seconds * run.epochs for run in outlook.ahead if run.epochs and (seconds := known.get(run.job_id))]
    usual_s = pace * planned if pace else sum(lengths) / len(lengths) if lengths else None
    before = _before(outlook, job, open_runs)
    if not slots or usual_s is None or len(before) > MOST_AHEAD:
        return None
    own = [(pace or usual_s / planned) * max(planned - run.epoch, 0) for run in open_runs]
    others = [_left(run, known.get(run.job_id), usual_s) for run in before]
    return max(*own, (sum(own) + sum(others)) / slots)


def _before(outlook: Outlook, job: Job, open_runs: Sequence[Run]) -> list[_Ahead]:
    """Runs of others that have a slot which a run of this job waits for, or come before it."""
    waiting = [run for run in open_runs if run.state in CLAIMABLE]
    if not waiting:
        return []
    last = max((run.rank, run.created_at, run.job_id, run.position) for run in waiting)
    others = [run for run in outlook.ahead if run.job_id != job.id and _meet(run.device, waiting[0].device)]
    own_tenant = [run for run in others if run.tenant == job.tenant]
    return [run for run in own_tenant if run.state is RunState.RUNNING or run.place < last]


def _meet(one: str, other: str) -> bool:
    """Whether runs of these devices ever compete for a slot."""
    return "auto" in {one, other} or one == other


def _paces(outlook: Outlook) -> Mapping[str, float]:
    """Seconds an epoch of each job of which something is measured."""
    of_job: dict[str, list[_Ahead]] = {}
    for run in outlook.ahead:
        of_job.setdefault(run.job_id, []).append(run)
    paces = {job_id: _pace(outlook.now, runs) for job_id, runs in of_job.items()}
    return {job_id: pace for job_id, pace in paces.items() if pace is not None}


def _pace(now: datetime, runs: Sequence[Run] | Sequence[_Ahead]) -> float | None:
    done = sum(run.epoch for run in runs)
    spent_s = sum(run.ran_s + _since(now, run) for run in runs)
    return spent_s / done if done and spent_s > 0 else None


def _since(now: datetime, run: Run | _Ahead) -> float:
    if run.state is not RunState.RUNNING or run.claimed_at is None:
        return 0.0
    return (now - run.claimed_at).total_seconds()


def _left(run: _Ahead, pace: float | None, usual_s: float) -> float:
    if pace is None or not run.epochs:
        return usual_s
    return pace * max(run.epochs - run.epoch, 0)
