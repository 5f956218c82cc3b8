"""Sessions and times, on both databases."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, StatementError

from store import datasets
from store.base import db_now
from store.engine import Database
from store.models import Dataset, Outbox


def test_a_new_file_waits_for_whoever_writes_to_it(tmp_path: Path) -> None:
    """The first connection turns on the write-ahead log, which SQLite refuses at once while another process writes."""
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    end = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    end.start()
    database = Database(f"sqlite:///{path}")
    database.ping()
    database.dispose()
    end.join()
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


def test_read_session_cannot_write(database: Database) -> None:
    """A session that said it only reads is held to it, so that no read turns into a write on SQLite."""
    with pytest.raises(DBAPIError, match=r"(?i)read.?only"), database.read() as session:
        datasets.create(session, name="mine", source={})
    with database.write() as session:  # the connection is none the worse for it
        datasets.create(session, name="mine", source={})


def test_error_rolls_back(database: Database) -> None:
    """A block that ends with an error leaves nothing."""

    def create_and_fail() -> None:
        with database.write() as session:
            datasets.create(session, name="mine", source={})
            raise LookupError

    with pytest.raises(LookupError):
        create_and_fail()
    with database.read() as session:
        assert datasets.page(session).items == []


def test_read_then_write_does_not_collide(database: Database) -> None:
    """Sessions that read before they write wait for one another; a deferred SQLite transaction would fail at once."""
    with database.write() as session:
        session.add(Outbox(kind="mlflow", key="k", payload={"count": 0}))

    def increment(_: int) -> None:
        with database.write() as session:
            row = session.scalars(select(Outbox).with_for_update()).one()
            row.payload = {"count": row.payload["count"] + 1}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(increment, range(40)))
    with database.read() as session:
        assert session.scalars(select(Outbox.payload)).one() == {"count": 40}


def test_reader_sees_while_writer_writes(database: Database) -> None:
    """A reader neither waits for a writer nor sees what is not committed."""
    with database.write() as writing:
        datasets.create(writing, name="mine", source={})
        with database.read() as session:
            assert datasets.page(session).items == []


def test_times_are_utc_and_aware(database: Database) -> None:
    """A time comes back as the moment it was, in UTC, whatever zone it was given in."""
    given = datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    with database.write() as session:
        dataset = datasets.create(session, name="mine", source={})
        dataset.lease_expires_at = given
        session.flush()
    with database.read() as session:
        row = session.scalars(select(Dataset)).one()
    assert row.lease_expires_at == given
    assert row.lease_expires_at.tzinfo is UTC
    assert abs(row.created_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_naive_time_is_refused(database: Database) -> None:
    """A time without a zone would mean something else on each machine."""
    with pytest.raises(StatementError, match="no time zone"), database.write() as session:
        session.add(Dataset(name="mine", source={}, queued_at=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_database_clock(database: Database) -> None:
    """Times that the database computes compare with stored ones, and move within a transaction."""
    with database.write() as session:
        first = session.scalar(select(db_now()))
        session.add(Dataset(name="mine", source={}, queued_at=db_now(-2.5)))
        session.flush()
        before = select(Dataset.id).where(Dataset.queued_at < db_now(-2.4), Dataset.queued_at > db_now(-60))
        assert session.scalars(before).all()
        while session.scalar(select(db_now())) == first:
            pass


def test_hostile_text_is_stored(database: Database) -> None:
    """NUL and lone surrogates, as in file names of hostile archives, are stored in the nearest form, not a 500."""
    with database.write() as session:
        datasets.create(session, name="a\0b\udcff", source={"filename": "\0\udcff"})
    with database.read() as session:
        row = datasets.resolve(session, "a\0b\udcff")
    assert row.name == "a\ufffdb?"
    assert row.source == {"filename": "\0\udcff"}


def test_json_refuses_nan(database: Database) -> None:
    """NaN is no JSON; it is refused on writing instead of breaking a reader."""
    with pytest.raises((StatementError, ValueError)), database.write() as session:
        datasets.create(session, name="mine", source={"rate": float("nan")})


def test_ping_says_what_is_wrong(tmp_path: Path, database: Database) -> None:
    """A database that answers is silent; one that cannot be reached raises."""
    database.ping()
    unreachable = Database(f"sqlite:///{tmp_path / 'missing' / 'pskd.db'}")
    with pytest.raises(DBAPIError):
        unreachable.ping()
    unreachable.dispose()


def test_sqlite_syncs_what_is_acknowledged(sqlite_url: str) -> None:
    """WAL with full sync and foreign keys on: what was committed survives a power cut."""
    database = Database(sqlite_url)
    with database.read() as session:
        found = {
            name: session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    database.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_postgresql_limits(postgresql_url: str) -> None:
    """No statement, lock or abandoned transaction holds others up for ever."""
    database = Database(postgresql_url)
    with database.read() as session:
        names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        found = [session.scalar(text(f"SHOW {name}")) for name in names]
    database.dispose()
    assert found == ["30s", "10s", "1min"]
