"""The life of a run between claim and end, on both databases."""

import pytest
from sqlalchemy import select

from store import claims, events, jobs, outbox, runs
from store.claims import Claim
from store.engine import Database
from store.errors import IllegalTransition, LostLease, NotFound
from store.lifecycle import FailureCause, JobState, RunState, Wanted
from store.models import Job, Run
from store.runs import ClaimedRun
from tests.stored import add_ready_dataset, claim, finish, submit


def _start(database: Database, *, seeds: tuple[int, ...] = (0,), lease_s: float = 30.0) -> ClaimedRun:
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, seeds=seeds)
    with database.write() as session:
        return claim(session, lease_s=lease_s)


def _run(database: Database, run_id: str) -> Run:
    with database.read() as session:
        return runs.get(session, run_id)


def _job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return jobs.get(session, job_id)


def _kinds(database: Database, job_id: str) -> list[tuple[str, str | None]]:
    with database.read() as session:
        return [(event.kind, event.data.get("state")) for event in events.after(session, job_id, 0)]


def _expire(database: Database, claimed: ClaimedRun) -> None:
    """Lets the lease run out now."""
    with database.write() as session:
        runs.renew(session, claimed.claim, lease_s=-1)


def _reap(database: Database, *, max_stalled_attempts: int = 3) -> list[str]:
    with database.write() as session:
        return list(runs.reap(session, max_stalled_attempts=max_stalled_attempts))


def test_golden_path(database: Database) -> None:
    """A run goes from submit over claim, epochs and checkpoint to success, and its job with it."""
    claimed = _start(database)
    with database.write() as session:
        runs.record_epoch(session, claimed.claim, epoch=0, epochs=2, phase="round 1", metrics={"student/ce": 1.5})
        runs.save_checkpoint(session, claimed.claim, digest="e" * 64, size_bytes=1, epoch=1)
    with database.write() as session:
        assert runs.succeed(session, claimed.claim, finish()) is RunState.SUCCEEDED
    run, job = _run(database, claimed.run_id), _job(database, claimed.job_id)
    assert (run.state, run.epoch, run.epochs, run.checkpoint_epoch) == (RunState.SUCCEEDED, 1, 2, 1)
    assert run.result == finish().result
    assert run.started_at is not None
    assert run.finished_at is not None
    assert run.created_at <= run.started_at <= run.finished_at
    assert (job.state, job.cause) == (JobState.SUCCEEDED, None)
    assert job.finished_at is not None
    assert _kinds(database, job.id) == [
        ("job.state", "queued"),
        ("run.state", "running"),
        ("job.state", "running"),
        ("run.epoch", None),
        ("run.state", "succeeded"),
        ("job.state", "succeeded"),
    ]


def test_claim_hands_out_what_a_worker_needs(database: Database) -> None:
    """The record names dataset, spec, seed, fold and checkpoint, and is whole after the session."""
    claimed = _start(database, seeds=(7,))
    assert (claimed.seed, claimed.fold, claimed.fold_index, claimed.attempts) == (7, "cross_subject", 0, 1)
    assert (claimed.dataset_name, claimed.dataset_digest, claimed.dataset_tree) == ("made", "c" * 64, "7" * 64)
    assert claimed.spec.seeds == (7,)
    assert claimed.checkpoint_digest is None
    assert claimed.claim.token == 1


@pytest.mark.parametrize(
    "write",
    [
        lambda session, old: runs.renew(session, old, lease_s=30),
        runs.wanted,
        lambda session, old: runs.record_epoch(session, old, epoch=0, epochs=1, phase="", metrics={"a": 1.0}),
        lambda session, old: runs.warn(session, old, "late"),
        lambda session, old: runs.save_checkpoint(session, old, digest="f" * 64, size_bytes=1, epoch=9),
        lambda session, old: runs.succeed(session, old, finish()),
        lambda session, old: runs.fail(session, old, cause=FailureCause.INTERNAL, detail="late"),
        runs.hand_back,
        runs.acknowledge,
    ],
)
@pytest.mark.parametrize("next_owner", [True, False], ids=["claimed again", "only reaped"])
def test_stale_token_writes_nothing(database: Database, write: object, next_owner: bool) -> None:
    """Whoever lost the lease is refused by every write, whether or not another worker owns the run by now."""
    old = _start(database)
    _expire(database, old)
    assert _reap(database) == [old.run_id]
    if next_owner:
        with database.write() as session:
            assert claim(session, worker="worker-2").claim.token > old.claim.token
    before = _run(database, old.run_id)
    assert callable(write)
    with pytest.raises(LostLease), database.write() as session:
        write(session, old.claim)
    after = _run(database, old.run_id)
    assert (after.state, after.token, after.epoch, after.checkpoint_digest, after.result) == (
        before.state,
        before.token,
        0,
        None,
        None,
    )


def test_guessed_token_is_refused(database: Database) -> None:
    """A token from the future, or of a run that does not exist, matches no row either."""
    claimed = _start(database)
    for wrong in (Claim(claimed.run_id, claimed.claim.token + 1), Claim("run_none", 1)):
        with pytest.raises(LostLease), database.write() as session:
            runs.renew(session, wrong, lease_s=30)


def test_renewed_lease_is_not_reaped(database: Database) -> None:
    """An expired lease that its owner renews before the reaper comes stays the owner's."""
    claimed = _start(database, lease_s=-1)
    with database.write() as session:
        assert runs.renew(session, claimed.claim, lease_s=30) is Wanted.RUN
    assert _reap(database) == []
    assert _run(database, claimed.run_id).state is RunState.RUNNING


def test_repeated_epoch_is_counted_once(database: Database) -> None:
    """After a resume the same epochs come again: metrics are overwritten, progress and events do not repeat."""
    claimed = _start(database)
    with database.write() as session:
        for epoch in (0, 1, 2, 1, 2, 3):
            runs.record_epoch(
                session, claimed.claim, epoch=epoch, epochs=4, phase="", metrics={"a": epoch / 2, "b": 1.0}
            )
    with database.read() as session:
        curve = [(metric.step, metric.value) for metric in jobs.metrics(session, claimed.job_id, names=["a"])]
        epochs = [
            event.data["epoch"] for event in events.after(session, claimed.job_id, 0) if event.kind == "run.epoch"
        ]
        assert len(jobs.metrics(session, claimed.job_id)) == 8
    assert curve == [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5)]
    assert epochs == [0, 1, 2, 3]
    assert _run(database, claimed.run_id).epoch == 4


def test_metric_that_is_not_finite_is_refused(database: Database) -> None:
    """NaN is no point of a curve: it fails where it is written, not in a reader."""
    claimed = _start(database)
    with pytest.raises(ValueError, match="metric a of step 0"), database.write() as session:
        runs.record_epoch(session, claimed.claim, epoch=0, epochs=1, phase="", metrics={"a": float("nan")})


def test_lost_worker_is_retried_until_attempts_without_progress_run_out(database: Database) -> None:
    """Three attempts without a checkpoint fail the run and its job with `worker_lost`; each before queues it again."""
    lost = _start(database)
    for attempt in (1, 2):
        _expire(database, lost)
        _reap(database)
        run = _run(database, lost.run_id)
        assert (run.state, run.stalled_attempts, run.worker) == (RunState.RETRYING, attempt, None)
        assert _job(database, lost.job_id).state is JobState.RETRYING
        with database.write() as session:
            lost = claim(session)
        assert _job(database, lost.job_id).state is JobState.RUNNING
    _expire(database, lost)
    _reap(database)
    run, job = _run(database, lost.run_id), _job(database, lost.job_id)
    assert (run.state, run.cause) == (RunState.FAILED, FailureCause.WORKER_LOST)
    assert (job.state, job.cause, job.detail) == (JobState.FAILED, FailureCause.WORKER_LOST, run.detail)


def test_progress_earns_new_attempts(database: Database) -> None:
    """A run that checkpoints further each time is retried without end; the same checkpoint again is no progress."""
    claimed = _start(database)
    for epoch in (1, 2, 3, 4, 5, 5, 5, 5):
        with database.write() as session:
            runs.save_checkpoint(session, claimed.claim, digest="e" * 64, size_bytes=1, epoch=epoch)
        _expire(database, claimed)
        _reap(database)
        if _run(database, claimed.run_id).state is RunState.FAILED:
            break
        with database.write() as session:
            claimed = claim(session)
        assert claimed.checkpoint_epoch == epoch
    run = _run(database, claimed.run_id)
    assert (run.state, run.attempts, run.stalled_attempts) == (RunState.FAILED, 8, 3)


def test_reaper_wakes_a_worker(database: Database) -> None:
    """A retried run has a wake in the outbox of the same transaction."""
    claimed = _start(database)
    with database.write() as session:
        outbox.mark_sent(session, [message.id for message in outbox.take(session, "wake")])
    _expire(database, claimed)
    _reap(database)
    with database.write() as session:
        assert [message.payload for message in outbox.take(session, "wake")] == [{"queue": "cpu"}]


def test_orderly_hand_back_is_no_attempt(database: Database) -> None:
    """However often a worker shuts down in good order, no attempt is counted and the checkpoint stays."""
    claimed = _start(database)
    for _ in range(5):
        with database.write() as session:
            runs.save_checkpoint(session, claimed.claim, digest="e" * 64, size_bytes=1, epoch=1)
            assert runs.hand_back(session, claimed.claim) is RunState.QUEUED
        with database.write() as session:
            claimed = claim(session)
    run = _run(database, claimed.run_id)
    assert (run.attempts, run.stalled_attempts, run.token) == (1, 1, claimed.claim.token)
    assert claimed.checkpoint_digest == "e" * 64


def test_failed_run_keeps_siblings(database: Database) -> None:
    """A failed run fails its job, which ends only when the others have; their results stand."""
    first = _start(database, seeds=(0, 1))
    with database.write() as session:
        second = claim(session)
        runs.fail(session, first.claim, cause=FailureCause.NAN_LOSS, detail="step 3: loss is nan")
    assert _job(database, first.job_id).state is JobState.RUNNING
    with database.write() as session:
        runs.succeed(session, second.claim, finish())
    job = _job(database, first.job_id)
    assert (job.state, job.cause, job.detail) == (JobState.FAILED, "nan_loss", "step 3: loss is nan")
    assert _run(database, second.run_id).result is not None


def test_run_asked_to_cancel_never_succeeds(database: Database) -> None:
    """Success that arrives after the cancel ends the run cancelled and leaves no result and no leaderboard row."""
    claimed = _start(database)
    with database.write() as session:
        assert jobs.cancel(session, claimed.job_id).state is JobState.CANCELLING
    with database.write() as session:
        assert runs.wanted(session, claimed.claim) is Wanted.CANCEL
        assert runs.succeed(session, claimed.claim, finish(register=True)) is RunState.CANCELLED
    assert _run(database, claimed.run_id).result is None
    assert _job(database, claimed.job_id).state is JobState.CANCELLED


@pytest.mark.parametrize("how", ["acknowledged", "handed back", "worker lost"])
@pytest.mark.parametrize("ask", [jobs.cancel, jobs.pause])
def test_running_run_stops_as_asked(database: Database, how: str, ask: object) -> None:
    """Cancel and pause take hold whether the worker answers, shuts down or dies."""
    claimed = _start(database)
    with database.write() as session:
        assert callable(ask)
        ask(session, claimed.job_id)
    if how == "worker lost":
        _expire(database, claimed)
        _reap(database)
    else:
        with database.write() as session:
            (runs.acknowledge if how == "acknowledged" else runs.hand_back)(session, claimed.claim)
    expected = "cancelled" if ask is jobs.cancel else "paused"
    assert _run(database, claimed.run_id).state == expected
    assert _job(database, claimed.job_id).state == expected


def test_nothing_to_acknowledge(database: Database) -> None:
    """A worker that stops a run nobody asked to stop is told so, and the run goes on."""
    claimed = _start(database)
    with pytest.raises(IllegalTransition), database.write() as session:
        runs.acknowledge(session, claimed.claim)
    assert _run(database, claimed.run_id).state is RunState.RUNNING


def test_runs_belong_to_a_tenant(database: Database) -> None:
    """Another tenant's id is as if it were not there."""
    claimed = _start(database)
    with database.read() as session, pytest.raises(NotFound):
        runs.get(session, claimed.run_id, tenant="other")


def test_tracking_id_reaches_the_next_attempt(database: Database) -> None:
    """The id of the MLflow run is kept, so that a later attempt goes on with the same curves."""
    claimed = _start(database)
    with database.write() as session:
        runs.set_tracking_id(session, claimed.run_id, "mlflow-1")
        runs.hand_back(session, claimed.claim)
    with database.write() as session:
        assert claim(session).tracking_id == "mlflow-1"


def test_reaper_leaves_locked_runs_to_their_writer(postgresql_url: str) -> None:
    """A run whose worker is writing just now is not taken from it; on SQLite nobody else can write meanwhile."""
    database = Database(postgresql_url)
    claimed = _start(database, lease_s=-1)
    with database.write() as writing:
        claims.hold(writing, Run, claimed.claim, Run.state == RunState.RUNNING)
        assert _reap(database) == []
        assert writing.scalars(select(Run.state)).one() is RunState.RUNNING
    assert _reap(database) == [claimed.run_id]
    database.dispose()
