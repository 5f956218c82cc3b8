"""The keeper's actions on a real broker and both databases."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
from kombu.exceptions import OperationalError
from sqlalchemy import update

from store import datasets, idempotency, jobs, outbox, runs
from store.base import db_now
from store.engine import Database
from store.errors import LostLease
from store.lifecycle import JobState, RunState
from store.models import IdempotencyKey
from store.queues import CPU, IO
from tests.integration.worker.stack import Stack, until
from tests.services import short_folder, valkey
from tests.stored import add_ready_dataset, claim, finish, submit
from worker.app import make_app
from worker.keeper import DAY_S, nudge_again, purge, reap, relay
from worker.settings import WorkerSettings

EXPIRED_S = -1.0


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Where a broker that a test starts and stops can be found."""
    with short_folder("pskd-broker-") as folder:
        yield folder / "socket"


@pytest.fixture
def settings(tmp_path: Path, socket_path: Path) -> WorkerSettings:
    broker_url, tracking_url = f"redis+socket://{socket_path}", "http://127.0.0.1:9"
    return WorkerSettings(home=tmp_path, broker_url=broker_url, mlflow_url=tracking_url, renudge_s=0.001)


def queued(socket_path: Path) -> dict[str, int]:
    with closing(redis.Redis(unix_socket_path=str(socket_path))) as client:
        return {queue: client.llen(queue) for queue in (CPU, IO)}


def test_nudges_wait_for_the_broker(database: Database, settings: WorkerSettings, socket_path: Path) -> None:
    """A submit with the broker down is relayed when it is back, through the same app, and once."""
    app = make_app(settings)
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, seeds=[0, 1])
        session.flush()
    with pytest.raises(OperationalError):
        relay(database, app, settings)
    with valkey("--unixsocket", str(socket_path)):
        assert relay(database, app, settings)
        assert queued(socket_path) == {CPU: 2, IO: 1}
        assert not relay(database, app, settings)
    with database.write() as session:
        outbox.wake(session, CPU)
    with pytest.raises(OperationalError):
        relay(database, app, settings)
    with valkey("--unixsocket", str(socket_path)):
        assert relay(database, app, settings)
        assert queued(socket_path) == {CPU: 1, IO: 0}


def test_what_nobody_claims_is_nudged_for_again(
    database: Database, settings: WorkerSettings, socket_path: Path
) -> None:
    """Nudges that a flushed broker forgot come again for waiting runs and imports, and for nothing else."""
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, seeds=[0, 1, 2])
        claim(session)
        datasets.create(session, name="another", source={"kind": "synthetic"})
    with valkey("--unixsocket", str(socket_path)):
        nudge_again(database, make_app(settings), settings)
        assert queued(socket_path) == {CPU: 2, IO: 1}


def test_a_lost_worker_loses_its_run(database: Database, settings: WorkerSettings) -> None:
    """A run whose lease ran out waits again, with a nudge and a note for the tracker; its old owner writes nothing."""
    with database.write() as session:
        add_ready_dataset(session)
        job = submit(session)
        claimed = claim(session, lease_s=EXPIRED_S)
        outbox.mark_sent(session, [message.id for message in outbox.take(session, "wake")])
    reap(database, settings)
    with database.write() as session:
        assert runs.get(session, claimed.run_id).state is RunState.RETRYING
        assert jobs.get(session, job.id).state is JobState.RETRYING
        assert [message.key for message in outbox.take(session, "wake")] == [CPU]
        assert [message.payload for message in outbox.take(session, "mlflow")] == [{"op": "state", "state": "retrying"}]
        with pytest.raises(LostLease):
            runs.save_checkpoint(session, claimed.claim, digest="c" * 64, size_bytes=1, epoch=1)


def test_the_running_keeper_removes_what_is_old_and_measures_what_is_unknown(sqlite_stack: Stack) -> None:
    """`python -m worker.keeper` takes its settings to the curves of an ended job, and learns the size of an upload."""
    with sqlite_stack.database.write() as session:
        add_ready_dataset(session).tree_bytes = None
        upload = sqlite_stack.objects.put_bytes(b"upload")
        sent = datasets.create(session, name="sent", source={"kind": "upload"}, upload_digest=upload).id
        job_id = submit(session).id
        run = claim(session)
        runs.record_epoch(session, run.claim, epoch=0, epochs=1, phase="student", metrics={"loss": 1.0})
        runs.succeed(session, run.claim, finish())
    assert sqlite_stack.metrics(run.run_id)
    sqlite_stack.start("worker.keeper", retention_curves_days=1e-9)
    until(lambda: not sqlite_stack.metrics(run.run_id), what="the end of the curves")
    assert sqlite_stack.job(job_id).curves_removed_at is not None
    assert sqlite_stack.job(job_id).events_removed_at is None
    assert sqlite_stack.events(job_id)

    def measured() -> bool:
        with sqlite_stack.database.read() as session:
            rows = [datasets.get(session, sent), datasets.resolve(session, "made")]
        return (rows[0].upload_bytes, rows[1].tree_bytes) == (6, 0)

    until(measured, what="the sizes")


def test_an_old_key_is_forgotten(database: Database, settings: WorkerSettings) -> None:
    """Of two keys the one beyond the age that the operator has set is free again; the other still answers."""
    answer = {"location": "/v1/jobs/job_1", "body": "{}"}
    with database.write() as session:
        for key, days in (("old", 8), ("young", 6)):
            idempotency.remember(session, key, fingerprint="f" * 64, answer=answer)
            aged = update(IdempotencyKey).where(IdempotencyKey.key == key)
            session.execute(aged.values(created_at=db_now(-days * DAY_S)))
    purge(database, settings.model_copy(update={"idempotency_days": 7.0}))
    with database.write() as session:
        assert idempotency.recall(session, "old", fingerprint="e" * 64) is None
        assert idempotency.recall(session, "young", fingerprint="f" * 64) == answer


def test_a_lost_import_is_free_again(database: Database, settings: WorkerSettings) -> None:
    """An import whose worker died is taken by the next one."""
    with database.write() as session:
        datasets.create(session, name="made", source={"kind": "synthetic"})
        first = datasets.claim_import(session, worker="one", lease_s=EXPIRED_S)
    reap(database, settings)
    with database.write() as session:
        second = datasets.claim_import(session, worker="two", lease_s=30)
    assert first is not None
    assert second is not None
    assert second.claim.token > first.claim.token
    assert second.attempts == 2
