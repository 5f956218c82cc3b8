"""Runs: one claim at a time, every write under its token, and what becomes of runs whose worker is lost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pskd_core.config import JobSpec
from store import claims, events, leaderboard, outbox, registry
from store.base import db_now, present, upsert
from store.claims import Claim
from store.errors import IllegalTransition, LostLease, NotFound
from store.events import Happening
from store.lifecycle import CLAIMABLE, FailureCause, RunEvent, RunState, Wanted, next_run_state
from store.models import TENANT, Dataset, Job, Metric, Run
from store.queues import queue_of
from store.seedstats import Tested
from store.settle import name_of, run_happening, settle


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
    bundle_digest: str | None
    bundle_bytes: int | None
    register: bool  # make the bundle the next version of the job's model


_HELD = Run.state == RunState.RUNNING


def claim_next(session: Session, *, worker: str, lease_s: float, device: Literal["cpu", "cuda"]) -> ClaimedRun | None:
    """Takes the next free run that this device may execute, by priority, then age; None if there is none.

    Invariant: a run has one owner; the token it hands out is higher than every token before.
    """
    run = claims.take(
        session,
        Run,
        free=Run.state.in_(CLAIMABLE) & Run.device.in_(("auto", device)),
        order=(Run.rank, Run.created_at, Run.job_id, Run.position),
        worker=worker,
        lease_s=lease_s,
    )
    if run is None:
        return None
    run.state = next_run_state(run.state, RunEvent.CLAIM)
    if run.started_at is None:
        run.started_at = db_now()
    job = settle(session, run.job_id, run_happening(run))
    dataset = session.get_one(Dataset, job.dataset_id)
    return _claimed(run, job, dataset)


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
    )


def renew(session: Session, claim: Claim, *, lease_s: float) -> Wanted:
    """Lengthens the lease and says what the user wants. Raises LostLease."""
    return claims.lengthen(session, Run, claim, _HELD, lease_s=lease_s).wanted


def wanted(session: Session, claim: Claim) -> Wanted:
    """What the user wants, without a write: cheap enough to ask every second. Raises LostLease."""
    found = session.scalars(select(Run.wanted).where(Run.id == claim.id, Run.token == claim.token, _HELD))
    answer = found.one_or_none()
    if answer is None:
        raise LostLease("run", *claim)
    return answer


def record_epoch(
    session: Session, claim: Claim, *, epoch: int, epochs: int, phase: str, metrics: Mapping[str, float]
) -> bool:
    """Writes the metrics of epoch `epoch` (from 0) of `epochs`, the run's progress and a `run.epoch` event.

    False if the epoch had been recorded before and is done again after a resume.

    Invariant: an epoch done again after a resume overwrites its metrics and adds no second event.

    Raises:
        LostLease: the claim is stale.
        ValueError: a metric is not finite.
    """
    run = claims.hold(session, Run, claim, _HELD)
    _write_metrics(session, run.id, epoch, metrics)
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


def warn(session: Session, claim: Claim, detail: str) -> None:
    """Adds a `warning` event. Raises LostLease."""
    run = claims.hold(session, Run, claim, _HELD)
    events.append(session, run.job_id, Happening("warning", {**name_of(run), "detail": detail}))


def save_checkpoint(session: Session, claim: Claim, *, digest: str, epoch: int) -> None:
    """Commits a checkpoint (already in the object store) after `epoch` done epochs; a later one is progress.

    Raises:
        LostLease: the claim is stale.
    """
    run = claims.hold(session, Run, claim, _HELD)
    if run.checkpoint_epoch is None or epoch > run.checkpoint_epoch:
        run.stalled_attempts = 0
    run.checkpoint_digest, run.checkpoint_epoch = digest, epoch
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
    run.predictions_digest = finish.predictions_digest
    run.bundle_digest, run.bundle_bytes = finish.bundle_digest, finish.bundle_bytes
    session.flush()
    _publish(session, run, finish)
    _end(session, run, RunEvent.SUCCEED)
    return run.state


def _publish(session: Session, run: Run, finish: Finish) -> None:
    job = session.get_one(Job, run.job_id)
    dataset = session.get_one(Dataset, job.dataset_id)
    if finish.test is not None:
        leaderboard.record(session, run, job, dataset, finish.test)
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


def reap(session: Session, *, max_stalled_attempts: int, limit: int = 100) -> Sequence[str]:
    """Takes runs with an expired lease from their workers; returns their ids.

    Each becomes what its user wants (cancelled, paused), else `retrying` with a wake, else, after so many attempts
    without a new checkpoint, failed with cause `worker_lost`. Its old token is stale from then on.
    """
    late = sorted(claims.expired(session, Run, _HELD, limit=limit), key=lambda run: run.job_id)
    for run in late:  # in the order of jobs, which it locks one by one
        if stop := _stop(run):
            _end(session, run, stop)
        elif run.stalled_attempts < max_stalled_attempts:
            _end(session, run, RunEvent.EXPIRE)
        else:
            detail = f"{run.stalled_attempts} attempts ended without a new checkpoint; the last worker was {run.worker}"
            _fail(session, run, FailureCause.WORKER_LOST, detail)
    return [run.id for run in late]


def get(session: Session, run_id: str, *, tenant: str = TENANT) -> Run:
    """One run. Raises NotFound."""
    run = session.scalars(select(Run).where(Run.id == run_id, Run.tenant == tenant)).one_or_none()
    if run is None:
        raise NotFound("run", run_id)
    return run


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
    claims.release(run)
    if run.state in CLAIMABLE:
        run.queued_at = db_now()
        outbox.wake(session, queue_of(run.device))
    elif run.state is not RunState.PAUSED:
        run.finished_at = db_now()
    settle(session, run.job_id, run_happening(run))
