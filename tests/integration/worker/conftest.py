"""Stacks for tests of the worker: real broker, real database, own processes."""

import itertools
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import execute, with_database
from tests.integration.worker.stack import Stack, running

_DATABASES = 16  # of a Redis server
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def broker_urls(redis_url: str) -> Iterator[str]:
    """A database of the broker for each stack, so that no worker takes another's nudges."""
    return (f"{redis_url.removesuffix('/0')}/{number % _DATABASES}" for number in _numbers)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, broker_urls: Iterator[str]
) -> Iterator[Stack]:
    """A worker, a keeper and a dataset, on each kind of database, for those tests of a module that leave them alive."""
    home = tmp_path_factory.mktemp("home")
    if request.param == "sqlite":
        url = f"sqlite:///{shutil.copy(request.getfixturevalue('sqlite_template'), home / 'pskd.db')}"
    else:
        server, name = request.getfixturevalue("postgres_template"), f"module_{uuid.uuid4().hex}"
        execute(server, f"CREATE DATABASE {name} TEMPLATE pskd_template")
        url = with_database(server, name)
    with running(home, database_url=url, broker_url=next(broker_urls)) as stack:
        stack.start("worker")
        stack.start("worker.keeper")
        stack.add_dataset()
        yield stack


@pytest.fixture
def sqlite_stack(tmp_path: Path, sqlite_url: str, broker_urls: Iterator[str]) -> Iterator[Stack]:
    """An installation without processes on SQLite."""
    with running(tmp_path / "home", database_url=sqlite_url, broker_url=next(broker_urls)) as stack:
        yield stack


@pytest.fixture
def postgresql_stack(tmp_path: Path, postgresql_url: str, broker_urls: Iterator[str]) -> Iterator[Stack]:
    """An installation without processes on PostgreSQL."""
    with running(tmp_path / "home", database_url=postgresql_url, broker_url=next(broker_urls)) as stack:
        yield stack
