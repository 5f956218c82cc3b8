"""A whole embedded stack for the tests of a process, in a folder of its own."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from client.api import Client
from client.local import Addresses, Options, stack
from tests.e2e.browsing import CHROMIUM, SPEC, Watched
from tests.e2e.keyed import asking_for_keys
from tests.services import short_folder


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Without a sandbox: as root it has none, and it sees nothing but this service.

    One a file: as long as it is open an event loop runs in this thread, in which `asyncio.run` of other tests fails.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


@pytest.fixture
def page(browser: Browser, stack_url: str) -> Iterator[Page]:
    """A page that must end without an error in its console and without a request to another host."""
    context = browser.new_context(base_url=stack_url, viewport={"width": 1280, "height": 900})
    watched = Watched(context, stack_url)
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()
    assert watched.complaints == []
    assert watched.elsewhere == []


@pytest.fixture(scope="session")
def job_id(stack_url: str, dataset_id: str) -> str:
    """A job on the small dataset with two seeds, which has ended."""
    assert dataset_id
    with Client(stack_url) as client:
        job = client.submit({**SPEC, "seeds": [0, 1]})
        return client.wait(job.id).id


@pytest.fixture
def keyed(addresses: Addresses) -> Iterator[tuple[str, str]]:
    """A second API on the same state that asks for keys: where it answers, and a key with every scope."""
    with asking_for_keys(addresses.home) as found:
        yield found
