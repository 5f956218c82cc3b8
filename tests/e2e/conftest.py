"""A whole embedded stack for the tests of a process, in a folder of its own."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from client.api import Client
from client.local import Addresses, Options, stack
from store import keys
from store.engine import Database
from store.keys import Scope
from tests.e2e.browsing import CHROMIUM, SPEC, Watched
from tests.e2e.processes import eventually
from tests.services import free_port, short_folder

ROOT = Path(__file__).resolve().parents[2]


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
    port = free_port()
    with Database(f"sqlite:///{addresses.home / 'pskd.db'}").write() as session:
        secret = keys.create(session, name="browser", scopes=tuple(Scope)).secret
    more = {"PSKD_HOME": str(addresses.home), "PSKD_PORT": str(port), "PSKD_REQUIRE_KEYS": "true"}
    with subprocess.Popen([sys.executable, "-m", "api"], cwd=ROOT, env=os.environ | more) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            assert eventually(lambda: answers(url), within_s=60)
            yield url, secret
        finally:
            process.terminate()


def answers(url: str) -> bool:
    """Whether the service lives."""
    try:
        return httpx.get(f"{url}/livez").status_code == 204
    except httpx.TransportError:
        return False
