"""Fixtures that every room may use: real servers, and a migrated database for each test."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from store.engine import Database
from store.migrate import upgrade
from tests import services

_TEMPLATE = "pskd_template"


@pytest.fixture(autouse=True, scope="session")
def plain_terminal() -> Iterator[None]:
    """What the caller's environment wishes of terminals (`NO_COLOR`, `TERM=dumb`) does not decide a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES"):
            patch.delenv(name, raising=False)
        patch.setenv("TERM", "xterm")
        yield


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of this test process; its `postgres` database is empty."""
    with services.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Valkey server of this test process."""
    with services.valkey() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "pskd.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """A server with a migrated database, to be copied."""
    execute(postgres_url, f"CREATE DATABASE {_TEMPLATE}")
    upgrade(with_database(postgres_url, _TEMPLATE))
    return postgres_url


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of this test."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'pskd.db')}"


@pytest.fixture
def postgresql_url(postgres_template: str) -> Iterator[str]:
    """A migrated PostgreSQL database of this test."""
    name = f"test_{uuid.uuid4().hex}"
    execute(postgres_template, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY")
    yield with_database(postgres_template, name)
    execute(postgres_template, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of this test, once of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The same, opened."""
    opened = Database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server of this test process."""
    with services.mlflow(tmp_path_factory.mktemp("mlflow"), port=services.free_port()) as url:
        yield url


def with_database(server_url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


def execute(server_url: str, statement: str) -> None:
    """Runs one statement outside of a transaction, as CREATE DATABASE wants it."""
    url = make_url(server_url)
    with psycopg.connect(
        host=str(url.query["host"]), user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(statement.encode())
