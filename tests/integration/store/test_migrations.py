"""Migrations, on both databases, from nothing."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

import store.models
import store.outward
import store.timelines  # noqa: F401 - all three fill the metadata
from store.base import Base
from store.engine import make_engine
from store.migrate import upgrade
from tests.conftest import execute, with_database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server: str = request.getfixturevalue("postgres_url")
    name = f"empty_{tmp_path.name}".lower().replace("-", "_")[:60]
    execute(server, f'CREATE DATABASE "{name}"')
    return with_database(server, name)


def test_migrations_make_what_the_code_expects(empty_url: str) -> None:
    """From nothing, the migrations arrive at exactly the tables, columns and indexes of the models."""
    upgrade(empty_url)
    engine = make_engine(empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_partial_indexes_are_partial(empty_url: str) -> None:
    """What the comparison does not see: the conditions of the indexes."""
    upgrade(empty_url)
    engine = make_engine(empty_url)
    found = {index["name"]: index for index in inspect(engine).get_indexes("run")}
    options = found["ix_run_claim"]["dialect_options"]
    engine.dispose()
    assert "queued" in str(options[f"{engine.dialect.name}_where"])


def test_processes_may_start_together(empty_url: str) -> None:
    """Several that upgrade at once all end well, and so does one that finds nothing to do."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, [empty_url] * 4))
    upgrade(empty_url)


def test_command_makes_a_database_on_a_bare_machine(tmp_path: Path) -> None:
    """`python -m store.migrate` needs nothing but PSKD_HOME, which it makes."""
    home = tmp_path / "not" / "there"
    environment = {**os.environ, "PSKD_HOME": str(home)}
    environment.pop("PSKD_DATABASE_URL", None)
    subprocess.run([sys.executable, "-m", "store.migrate"], env=environment, check=True, timeout=60)
    engine = make_engine(f"sqlite:///{home / 'pskd.db'}")
    assert "run" in inspect(engine).get_table_names()
    engine.dispose()
