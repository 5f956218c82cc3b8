"""Brings a database up to date: `python -m store.migrate`."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, text

from store.engine import make_engine
from store.settings import Settings

_MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
# A migration that cannot get its lock soon must not make every request queue behind it.
_POSTGRESQL_LIMITS = "-c lock_timeout=5s -c statement_timeout=10min -c timezone=UTC"
_ADVISORY_LOCK = 0x70736B64  # any number, the same in every process


def upgrade(url: str, revision: str = "head") -> None:
    """Runs the migrations that are missing, in one transaction; several processes may call it at once."""
    engine = make_engine(url, postgresql_options=_POSTGRESQL_LIMITS)
    if engine.dialect.name == "sqlite":
        Path(engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine, "connect", _without_foreign_keys)
    try:
        with engine.begin() as connection:  # on SQLite BEGIN IMMEDIATE lets one process in
            _wait_for_others(connection)
            config = Config()
            config.set_main_option("script_location", str(_MIGRATIONS))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()


def revisions() -> list[str]:
    """All that this version knows, the newest first."""
    return [each.revision for each in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()]


def _wait_for_others(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))


def _without_foreign_keys(connection: Any, _record: Any) -> None:
    # SQLite changes a table by building another and dropping the first, which would delete what refers to it.
    connection.execute("PRAGMA foreign_keys = OFF")


if __name__ == "__main__":
    upgrade(Settings().database_url)
