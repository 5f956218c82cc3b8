"""A whole embedded stack for the tests of a process, in a folder of its own."""

import threading
from collections.abc import Iterator

import pytest

from client.api import Client
from client.local import Addresses, Options, stack
from tests.services import short_folder


def pytest_configure(config: pytest.Config) -> None:
    """Registers the mark that these tests carry."""
    config.addinivalue_line("markers", "slow: starts a whole stack or trains; more than a few seconds")


@pytest.fixture(scope="session")
def addresses() -> Iterator[Addresses]:
    """Of the running stack."""
    with (
        short_folder("pskd-e2e-") as home,
        stack(Options(home, port=0, mlflow_port=0), say=print, stopping=threading.Event()) as addresses,
    ):
        yield addresses


@pytest.fixture(scope="session")
def stack_url(addresses: Addresses) -> str:
    """Where the stack answers."""
    return addresses.url


@pytest.fixture
def service(stack_url: str) -> Iterator[Client]:
    """The SDK on that stack."""
    with Client(stack_url) as client:
        yield client


@pytest.fixture(scope="session")
def dataset_id(stack_url: str) -> str:
    """A small synthetic dataset, `small`, imported once."""
    with Client(stack_url) as client:
        made = client.import_synthetic("small", subjects=4, trials=2)
        return client.wait_for_dataset(made.id, timeout_s=120).id
