"""The service over a real, migrated database and a real object store, spoken to by HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from store.settings import Settings
from tests.integration.api.stored import Stored, Trees, write_tiny_bundle, write_trees

HERE = "http://127.0.0.1:8750"
# For tests of what databases do differently; the others run on SQLite alone.
ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of this test."""
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model that tells three classes apart by the axis along which gravity lies."""
    folder = tmp_path_factory.mktemp("bundle")
    write_tiny_bundle(folder)
    return folder


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Trees:
    """An object store that all tests share, with a dataset and the bundle; what they add hurts nobody."""
    return write_trees(tmp_path_factory.mktemp("trees"), tiny_bundle)


@pytest.fixture
def settings(database_url: str, trees: Trees, tmp_path: Path) -> Settings:
    """Settings of this test, with a database of its own."""
    return Settings(home=tmp_path / "home", database_url=database_url, object_store_url=trees.url)


@pytest.fixture
def service(settings: Settings) -> Iterator[TestClient]:
    """The running service; what fails in it is an answer, as it is for everyone else."""
    with TestClient(create_app(settings), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def stored(settings: Settings, trees: Trees) -> Iterator[Stored]:
    """What workers do, done by calling the store."""
    stored = Stored(settings, trees)
    yield stored
    stored.database.dispose()
