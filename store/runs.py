"""Runs: one claim at a time, every write under its token, and what becomes of runs whose worker is lost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from pskd_core.config import JobSpec
from store import claims, events, leaderboard, outbox, queueing, registry, tally
from store.base import db_now, present, upsert
from store.claims import Claim
from store.errors import IllegalTransition, LostLease, NotFound, OverTime
from store.events import Happening
from store.lifecycle import CLAIMABLE, FailureCause, RunEvent, RunState, Wanted, next_run_state
from store.models import BY_CLASS, TENANT, Dataset, Job, Metric, Run
from store.queues import queue_of
from store.seedstats import Tested
from store.settle import name_of, run_happening, settle
from store.tally import Tallied


@dataclass(frozen=True)
class ClaimedRun:
    """What a worker needs to know to execute a run it has claimed."""

    claim: Claim  # goes into every later write
    job_id: str
    tenant: str
    job_name: str
    spec: JobSpec
    seed: int
    fold: str
    fold_index: int
    dataset_name: str
    dataset_digest: str  # of the content
    dataset_tree: str  # its files in the object store
    checkpoint_digest: str | None  # resume from here; a tree in the object store
    checkpoint_epoch: int | None  # epochs done in it
    attempts: int  # this one counted
    lease_expires_at: datetime
    tracking_id: str | None  # MLflow run of an earlier attempt
    traceparent: str | None  # what its spans are below

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.claim.id

    @property
    def about(self) -> dict[str, str]:
        """What lines of the log say of it."""
        return {"run_id": self.run_id, "job_id": self.job_id, "tenant": self.tenant}


@dataclass(frozen=True)
class Finish:
    """What a run leaves behind when it succeeds."""

    result: dict[str, Any]  # scores of student and teachers, parameters, macs: small, shown in lists
    report: dict[str, Any]  # confusion matrix, per-class and per-subject scores
    test: Tested | None  # null: the test part was not touched
    predictions_digest: str | None
    predictions_bytes: int | None
    bundle_digest: str | None
    bundle_bytes: int | None
    register: bool  # make the bundle the next version of the job's model
    latency_ms: float | None = (
        None  # of one window of the bundle on this machine, so no part of what repeats to the bit
    )


_HELD = Run.state == RunState.RUNNING


def claim_next(
    session: Session,
    *,
    worker: str,
    lease_s: float,
    device: Literal["cpu", "cuda"],
    runs_at_once: int | None = None,
) -> ClaimedRun | None:
    """Takes the next free run that this device may execute; None if there is none.

    Tenants share workers alike, each with at most `runs_at_once` under way; within a tenant go priority, then age.

    Invariant: a run has one owner; the token it hands out is higher than every token before.
    """
    run = _next(session, worker, lease_s, ("auto", device), runs_at_once)
    if run is None:
        return None
    run.state = next_run_state(run.state, RunEvent.CLAIM)
    run.claimed_at, run.last_end = db_now(), None
    if run.started_at is None:
        run.started_at = db_now()
    if run.deadline_s is not None:
        run.deadline_at = db_now(run.deadline_s - run.ran_s)
    job = settle(session, run.job_id, run_happening(run))
    dataset = session.get_one(Dataset, job.dataset_id)
    return _claimed(run, job, dataset)


def _next(
    session: Session, worker: str, lease_s: float, devices: Sequence[str], runs_at_once: int | None
) -> Run | None:
    for tenant in queueing.turns(session, devices, runs_at_once=runs_at_once):
        if runs_at_once is not None:
            queueing.one_start_at_a_time(session, tenant)
            if queueing.running(session).get(tenant, 0) >= runs_at_once:
                continue
        for device in queueing.by_head(session, tenant, devices):
            free = and_(queueing.CLAIMABLE, Run.device == device, Run.tenant == tenant, queueing.ready())
            run = claims.take(session, Run, free=free, order=queueing.ORDER, worker=worker, lease_s=lease_s)
            if run is not None:
                return run
    return None


def _claimed(run: Run, job: Job, dataset: Dataset) -> ClaimedRun:
    return ClaimedRun(
        claim=Claim(run.id, run.token),
        job_id=job.id,
        tenant=job.tenant,
        job_name=job.name,
        spec=JobSpec.model_validate(job.spec),
        seed=run.seed,
        fold=run.fold,
        fold_index=run.fold_index,
        dataset_name=dataset.name,
        dataset_digest=present(dataset.content_digest),
        dataset_tree=present(dataset.tree_digest),
        checkpoint_digest=run.checkpoint_digest,
        checkpoint_epoch=run.checkpoint_epoch,
        attempts=run.attempts,
        lease_expires_at=present(run.lease_expires_at),
        tracking_id=run.tracking_id,
        traceparent=job.traceparent,
    )


def renew(session: Session, claim: Claim, *, lease_s: float) -> Wanted:
    """Lengthens the lease and says what the user wants. Raises LostLease, also once it is given up, or OverTime."""
    # A process that gives its run up needs a moment to end, in which its supervisor must not revive the lease.
    run = claims.lengthen(session, Run, claim, _HELD & Run.last_end.is_(None), lease_s=lease_s)
    if run.deadline_at is not None and run.deadline_at < present(session.scalar(select(db_now()))):
        raise OverTime(_over_time(run.deadline_s))
    return run.wanted


def wanted(session: Session, claim: Claim) -> Wanted:
    """What the user wants, without a write: cheap enough to ask every second. Raises LostLease or OverTime."""
    held = (Run.id == claim.id, Run.token == claim.token, _HELD)
    found = session.execute(select(Run.wanted, Run.deadline_at < db_now(), Run.deadline_s).where(*held)).one_or_none()
    if found is None:
        raise LostLease("run", *claim)
    answer, over, deadline_s = found
    if over:
        raise OverTime(_over_time(deadline_s))
    return answer


def record_epoch(
    session: Session,
    claim: Claim,
    *,
    epoch: int,
    epochs: int,
    phase: str,
    metrics: Mapping[str, float],
    by_class: Mapping[str, float] = MappingProxyType({}),
) -> bool:
    """Writes the metrics of epoch `epoch` (from 0) of `epochs`, the run's progress and a `run.epoch` event.

    What was measured by class is kept beside them, under names of its own, and no event tells it: it is much.

    False if the epoch had been recorded before and is done again after a resume.

    Invariant: an epoch done again after a resume overwrites its metrics and adds no second event.

    Raises:
        LostLease: the claim is stale.
        ValueError: a metric is not finite.
    """
    run = claims.hold(session, Run, claim, _HELD)
    _write_metrics(
        session, run.id, epoch, {**metrics, **{f"{BY_CLASS}{name}": value for name, value in by_class.items()}}
    )
    run.epochs = epochs
    if epoch < run.epoch:
        return False
    run.epoch = epoch + 1
    session.flush()
    progress = {"epoch": epoch, "epochs": epochs, "phase": phase, "metrics": dict(metrics)}
    events.append(session, run.job_id, Happening("run.epoch", {**name_of(run), **progress}))
    return True


def _write_metrics(session: Session, run_id: str, step: int, metrics: Mapping[str, float]) -> None:
    if not metrics:
        return
    if wrong := [name for name, value in metrics.items() if not math.isfinite(value)]:
        raise ValueError(f"metric {wrong[0]} of step {step} is not finite")
    rows = [{"run_id": run_id, "name": name, "step": step, "value": value} for name, value in metrics.items()]
    insert = upsert(session, Metric).values(rows)
    written = insert.on_conflict_do_update(
        index_elements=["run_id", "name", "step"], set_={"value": insert.excluded.value, "at": insert.excluded.at}
    )
    session.execute(written)


def hold(session: Session, claim: Claim) -> None:
    """Keeps others from claiming the run until the commit, for a write to something else.

    Raises:
        LostLease: the claim is stale.
    """
    claims.hold(session, Run, claim, _HELD)


def warn(session: Session, claim: Claim, detail: str) -> None:
    """Adds a `warning` event. Raises LostLease."""
    run = claims.hold(session, Run, claim, _HELD)
    events.append(session, run.job_id, Happening("warning", {**name_of(run), "detail": detail}))


def save_checkpoint(session: Session, claim: Claim, *, digest: str, size_bytes: int, epoch: int) -> None:
    """Commits a checkpoint (already in the object store) after `epoch` done epochs; a later one is progress.

    Raises:
        LostLease: the claim is stale.
    """
    run = claims.hold(session, Run, claim, _HELD)
    if run.checkpoint_epoch is None or epoch > run.checkpoint_epoch:
        run.stalled_attempts = 0
    run.checkpoint_digest, run.checkpoint_bytes, run.checkpoint_epoch = digest, size_bytes, epoch
    session.flush()


def succeed(session: Session, claim: Claim, finish: Finish) -> RunState:
    """Ends the run, updates the leaderboard and registers the model, all in this transaction.

    Invariant: a run that was asked to cancel ends `cancelled` and leaves no result; the state says which it was.

    Raises:
        LostLease: the claim is stale.
    """
    run = claims.hold(session, Run, claim, _HELD)
    if run.wanted is Wanted.CANCEL:
        _end(session, run, RunEvent.STOP_CANCELLED)
        return run.state
    run.result, run.report = finish.result, finish.report
    run.predictions_digest, run.predictions_bytes = finish.predictions_digest, finish.predictions_bytes
    run.bundle_digest, run.bundle_bytes = finish.bundle_digest, finish.bundle_bytes
    session.flush()
    _publish(session, run, finish)
    _end(session, run, RunEvent.SUCCEED)
    return run.state


def _publish(session: Session, run: Run, finish: Finish) -> None:
    job = session.get_one(Job, run.job_id)
    dataset = session.get_one(Dataset, job.dataset_id)
    if finish.test is not None:
        leaderboard.record(session, run, job, dataset, finish.test, latency_ms=finish.latency_ms)
    if finish.register:
        registry.register_version(session, run, job, dataset)


def fail(session: Session, claim: Claim, *, cause: FailureCause, detail: str) -> None:
    """Ends the run without a result. Raises LostLease."""
    run = claims.hold(session, Run, claim, _HELD)
    _fail(session, run, cause, detail)


def hand_back(session: Session, claim: Claim) -> RunState:
    """Gives the run back in good order (the worker shuts down): no attempt is counted, and it queues again, or stops
    as its user wants.

    Raises:
        LostLease: the claim is stale.
    """
    run = claims.hold(session, Run, claim, _HELD)
    claims.uncount(run)
    _end(session, run, _stop(run) or RunEvent.HAND_BACK)
    return run.state


def acknowledge(session: Session, claim: Claim) -> RunState:
    """Stops the run as its user wants: `paused` or `cancelled`.

    Raises:
        LostLease: the claim is stale.
        IllegalTransition: nobody wants it to stop (any more); go on or hand back.
    """
    run = claims.hold(session, Run, claim, _HELD)
    stop = _stop(run)
    if stop is None:
        raise IllegalTransition("run nobody asked to stop", run.state, "stop")
    claims.uncount(run)
    _end(session, run, stop)
    return run.state


def time_out(session: Session, claim: Claim) -> None:
    """Ends a run that is over its time. Raises LostLease."""
    run = claims.hold(session, Run, claim, _HELD)
    _fail(session, run, FailureCause.TIMEOUT, _over_time(run.deadline_s))


def lose(session: Session, claim: Claim, *, how: str) -> None:
    """The run's process has ended, or ends, as it should not have: remembers how, and lets the lease run out now.

    Raises:
        LostLease: the claim is stale.
    """
    run = claims.hold(session, Run, claim, _HELD)
    run.last_end, run.lease_expires_at = how, db_now()


def reap(session: Session, *, max_stalled_attempts: int, limit: int = 100) -> Sequence[str]:
    """Takes runs with an expired lease, or over their time, from their workers; returns their ids.

    Each becomes what its user wants (cancelled, paused); else, over its time, failed with cause `timeout`; else
    `retrying` with a wake; else, after so many attempts without a new checkpoint, failed with cause `worker_lost`. Its
    old token is stale from then on.
    """
    overdue = Run.deadline_at < db_now()
    found = claims.expired(session, Run, _HELD, limit=limit, overdue=overdue)
    now = present(session.scalar(select(db_now())))
    late = sorted(found, key=lambda run: run.job_id)
    for run in late:  # in the order of jobs, which it locks one by one
        if run.lease_expires_at is not None and run.lease_expires_at < now:
            tally.note(session, Tallied.LEASE_LOST, "run")
        if stop := _stop(run):
            _end(session, run, stop)
        elif run.deadline_at is not None and run.deadline_at < now:
            _fail(session, run, FailureCause.TIMEOUT, _over_time(run.deadline_s))
        elif run.stalled_attempts < max_stalled_attempts:
            _end(session, run, RunEvent.EXPIRE)
        else:
            _fail(session, run, FailureCause.WORKER_LOST, _lost(run))
    return [run.id for run in late]


def _over_time(deadline_s: float | None) -> str:
    return f"it has run for longer than its {present(deadline_s):g} s (resources.deadline_s)"


def _lost(run: Run) -> str:
    last = f"the last worker was {run.worker}" + (f", whose process {run.last_end}" if run.last_end else "")
    return f"{run.stalled_attempts} attempts ended without a new checkpoint; {last}"


def get(session: Session, run_id: str, *, tenant: str = TENANT) -> Run:
    """One run. Raises NotFound."""
    run = session.scalars(select(Run).where(Run.id == run_id, Run.tenant == tenant)).one_or_none()
    if run is None:
        raise NotFound("run", run_id)
    return run


def predictions(session: Session, job_id: str, *, seed: int, folds: Sequence[str]) -> dict[str, str]:
    """Digests of the predictions of a job's runs, by fold; of one that did not succeed there is none."""
    left = (Run.job_id == job_id, Run.seed == seed, Run.fold.in_(folds), Run.predictions_digest.is_not(None))
    return {run.fold: present(run.predictions_digest) for run in session.scalars(select(Run).where(*left))}


def set_tracking_id(session: Session, run_id: str, tracking_id: str) -> None:
    """Remembers the run's id in MLflow; written once, by whoever creates it there."""
    session.execute(update(Run).where(Run.id == run_id).values(tracking_id=tracking_id))


def _stop(run: Run) -> RunEvent | None:
    stops = {Wanted.PAUSE: RunEvent.STOP_PAUSED, Wanted.CANCEL: RunEvent.STOP_CANCELLED}
    return stops.get(run.wanted)


def _fail(session: Session, run: Run, cause: FailureCause, detail: str) -> None:
    run.cause, run.detail = cause, detail
    _end(session, run, RunEvent.FAIL)


def _end(session: Session, run: Run, event: RunEvent) -> None:
    """Ends the claim with what `event` makes of the run; settles the job, whose lock comes last."""
    run.state = next_run_state(run.state, event)
    run.wanted = Wanted.RUN
    _count_time(session, run)
    claims.release(run)
    if run.state in CLAIMABLE:
        run.queued_at = db_now()
        outbox.wake(session, queue_of(run.device))
    elif run.state is not RunState.PAUSED:
        run.finished_at = db_now()
        tally.note(session, Tallied.RUN, run.cause or run.state, seconds=run.ran_s)
    settle(session, run.job_id, run_happening(run))


def _count_time(session: Session, run: Run) -> None:
    """Adds what this claim took, on the database's clock; time between claims does not count."""
    if run.claimed_at is not None:
        run.ran_s += (present(session.scalar(select(db_now()))) - run.claimed_at).total_seconds()
    run.deadline_at = None


def curves(session: Session, run_id: str, *, of: str) -> dict[str, list[float]]:
    """What was measured of one network, term by term, epoch after epoch."""
    found = select(Metric).where(Metric.run_id == run_id, Metric.name.startswith(f"{of}/", autoescape=True))
    values: dict[str, list[float]] = {}
    for point in session.scalars(found.order_by(Metric.name, Metric.step)):
        values.setdefault(point.name.removeprefix(f"{of}/"), []).append(point.value)
    return values
