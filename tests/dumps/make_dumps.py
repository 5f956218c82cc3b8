"""Writes small database dumps of this version, from which later versions prove that they upgrade.

Run once a release: `python -m tests.dumps.make_dumps 0.1.0` writes `0.1.0.sqlite.sql` and `0.1.0.postgresql.sql`
beside this file; `psql` and `sqlite3.Connection.executescript` load them.
"""

import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from store import datasets, jobs, outbox, runs
from store.engine import Database
from store.lifecycle import FailureCause
from store.migrate import upgrade
from store.models import Run
from tests import services
from tests.stored import add_ready_dataset, claim, finish, submit


def fill(database: Database) -> None:
    """A row of every kind, and jobs in every state that lasts."""
    with database.write() as session:
        add_ready_dataset(session, "made")
        _finished_jobs(session)
        _stopped_jobs(session)
        _running_jobs(session)
        datasets.create(session, name="waiting", source={"kind": "synthetic"})
        submit(session, dataset="waiting", name="validating")
        told = session.scalars(select(Run)).first()
        assert told is not None
        outbox.add(session, "mlflow", told.id, {"op": "state", "state": told.state})


def _finished_jobs(session: Session) -> None:
    submit(session, name="succeeded", seeds=(0, 1))
    submit(session, "loso:1", "loso:2", name="pooled", protocol={"kind": "loso"})
    for epoch in range(4):
        claimed = claim(session)
        metrics = {"student/ce": 1.0 / (epoch + 1)}
        runs.record_epoch(session, claimed.claim, epoch=0, epochs=1, phase="student", metrics=metrics)
        runs.save_checkpoint(session, claimed.claim, digest="e" * 64, size_bytes=1, epoch=1)
        runs.succeed(session, claimed.claim, finish(register=True))
    submit(session, name="failed")
    runs.fail(session, claim(session).claim, cause=FailureCause.NAN_LOSS, detail="student/ce is nan at step 3")


def _stopped_jobs(session: Session) -> None:
    jobs.cancel(session, submit(session, name="cancelled").id)
    jobs.pause(session, submit(session, name="paused").id)


def _running_jobs(session: Session) -> None:
    submit(session, name="running", priority=2)
    claim(session)
    submit(session, name="retrying", priority=1)
    claim(session, lease_s=-1)
    runs.reap(session, max_stalled_attempts=3)
    submit(session, name="queued")


def dump_sqlite(target: Path) -> None:
    """A script that builds the same SQLite database."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pskd.db"
        _make(f"sqlite:///{path}")
        connection = sqlite3.connect(path)
        target.write_text("\n".join(connection.iterdump()) + "\n")
        connection.close()


def dump_postgresql(target: Path) -> None:
    """A script that builds the same PostgreSQL database."""
    with services.postgres() as url:
        _make(url)
        source = url.replace("postgresql+psycopg", "postgresql")
        pg_dump = services.postgres_binaries() / "pg_dump"
        subprocess.run([str(pg_dump), "--no-owner", "--inserts", "--file", str(target), source], check=True)


def _make(url: str) -> None:
    upgrade(url)
    database = Database(url)
    fill(database)
    database.dispose()


if __name__ == "__main__":
    for dump in (dump_sqlite, dump_postgresql):
        dump(Path(__file__).with_name(f"{sys.argv[1]}.{dump.__name__.removeprefix('dump_')}.sql"))
