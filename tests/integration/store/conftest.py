"""An S3 server, and installations that are kept in one or in a folder."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import fsspec
import pytest
from moto.server import ThreadedMotoServer

from store.settings import Settings
from tests.conftest import execute, with_database
from tests.integration.store.places import Make, Place
from tests.services import free_port


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server of a module's tests, with a bucket."""
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    # What another test made keeps its endpoint, and would be taken for this server's.
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url := f"http://127.0.0.1:{server._port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="pskd")
        yield "s3://pskd"
    fsspec.filesystem("s3").clear_instance_cache()
    server.stop()


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes empty installations: `sqlite` beside a folder, `postgresql` beside a bucket."""
    made: list[Place] = []

    def make(kind: str, name: str) -> Place:
        home = tmp_path / name
        home.mkdir()
        if kind == "sqlite":
            made.append(Place(Settings(home=home)))
        else:
            url = request.getfixturevalue(f"empty_{name}")
            store = f"{request.getfixturevalue('s3')}/{tmp_path.name}/{name}"
            made.append(Place(Settings(home=home, database_url=url, object_store_url=store)))
        return made[-1]

    yield make
    for each in made:
        each.database.dispose()


@pytest.fixture
def empty_here(postgres_url: str) -> Iterator[str]:
    yield from empty_database(postgres_url)


@pytest.fixture
def empty_there(postgres_url: str) -> Iterator[str]:
    yield from empty_database(postgres_url)


def empty_database(server: str) -> Iterator[str]:
    name = f"backup_{uuid.uuid4().hex}"
    execute(server, f"CREATE DATABASE {name}")
    yield with_database(server, name)
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")
