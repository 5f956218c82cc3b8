"""The database as a process holds it: an engine, and sessions that either read or write."""

import json
import select
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import Session, sessionmaker

if TYPE_CHECKING:  # seven MiB that an installation on SQLite does without
    import psycopg

SQLITE_BUSY_S = 30.0
_SQLITE_AGAIN_S = 0.01
# A request or a heartbeat that takes longer is broken; an abandoned transaction must not hold its locks.
_POSTGRESQL_LIMITS = (
    "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s -c timezone=UTC"
)


def make_engine(url: str, *, postgresql_options: str = _POSTGRESQL_LIMITS) -> Engine:
    """An engine for either database. Nothing connects yet."""
    parsed = make_url(url)
    # NaN is no JSON: PostgreSQL refuses it and a browser cannot read it, so it fails here, on both databases.
    serialise = partial(json.dumps, allow_nan=False)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, json_serializer=serialise, connect_args={"timeout": SQLITE_BUSY_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        json_serializer=serialise,
        connect_args={"options": postgresql_options},
        pool_size=10,
        max_overflow=20,
    )
    event.listen(engine, "checkout", _check_open)
    return engine


def _check_open(connection: "psycopg.Connection[Any]", _record: Any, _proxy: Any) -> None:
    """A connection that comes from the pool: if the server has been restarted since, all of the pool are replaced.

    A server that has gone leaves something to be read, its last word or the end, where otherwise nothing can be: to
    look costs no trip to the server, as a ping before each transaction would.
    """
    look = select.poll()
    if not connection.closed:
        look.register(connection.fileno(), select.POLLIN)
    if connection.closed or look.poll(0):
        raise InvalidatePoolError


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; `_begin_sqlite` does
    connection.execute("PRAGMA foreign_keys = ON")
    _use_write_ahead_log(connection)


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """The file remembers it, so this changes something once. SQLite does not let that one change wait for others."""
    last_try_at = time.monotonic() + SQLITE_BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as busy:
            # The low byte is the primary code; the others say which kind of busy it is.
            if busy.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= last_try_at:
                raise
            time.sleep(_SQLITE_AGAIN_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A read that turns into a write fails at once when someone else writes, whatever the busy timeout; a write that
    # begins as one waits. So sessions say beforehand, and one that only reads is held to it.
    reads = connection.get_execution_options().get("postgresql_readonly", False)
    connection.exec_driver_sql(f"PRAGMA query_only = {int(reads)}")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


class Database:
    """One per process, built by its entry point; never at import."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._writes = sessionmaker(self.engine, expire_on_commit=False)
        self._reads = sessionmaker(self.engine.execution_options(postgresql_readonly=True), expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that cannot write."""
        with self._reads.begin() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits when the block ends well, and rolls back otherwise."""
        with self._writes.begin() as session:
            yield session

    def ping(self) -> None:
        """Raises if the database does not answer."""
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def dispose(self) -> None:
        """Closes all connections."""
        self.engine.dispose()
