"""A second API on a stack's state that asks for keys."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from store import keys
from store.engine import Database
from store.keys import Scope
from tests.e2e.processes import eventually
from tests.services import free_port

_ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def asking_for_keys(home: Path) -> Iterator[tuple[str, str]]:
    """Where it answers, and a key with every scope."""
    port = free_port()
    with Database(f"sqlite:///{home / 'pskd.db'}").write() as session:
        secret = keys.create(session, name="browser", scopes=tuple(Scope)).secret
    more = {"PSKD_HOME": str(home), "PSKD_PORT": str(port), "PSKD_REQUIRE_KEYS": "true"}
    with subprocess.Popen([sys.executable, "-m", "api"], cwd=_ROOT, env=os.environ | more) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            assert eventually(lambda: _answers(url), within_s=60)
            yield url, secret
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez").status_code == 204
    except httpx.TransportError:
        return False
