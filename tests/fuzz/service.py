"""A service to be attacked: API on PostgreSQL with keys on, data and a model in it; a worker if asked for."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import select

from store import keys
from store.keys import Scope
from store.migrate import upgrade
from store.models import Job
from tests.integration.api.stored import Stored, write_tiny_bundle, write_trees
from tests.integration.worker.stack import Stack, running, until
from tests.services import free_port, postgres, valkey

MODEL = "tiny"


@dataclass(frozen=True)
class Service:
    """One that answers."""

    url: str
    key: str  # with every scope
    key_id: str
    job_id: str  # finished; another waits
    stack: Stack
    folder: Path  # all of its state lies below

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def alive(self) -> bool:
        """Whether no process of it has ended."""
        return all(process.poll() is None for process in self.stack.processes)

    def families(self) -> dict[str, list[psutil.Process]]:
        """Its processes by what they are: API, its readers, worker, children of that."""
        found: dict[str, list[psutil.Process]] = {}
        for process in self.stack.processes:
            with suppress(psutil.Error):
                parent = psutil.Process(process.pid)
                kind = parent.cmdline()[-1]
                found.setdefault(kind, []).append(parent)
                found.setdefault(f"{kind}'s children", []).extend(parent.children(recursive=True))
        return found

    def log(self) -> str:
        """What its processes have written."""
        return "\n".join(file.read_text(errors="replace") for file in sorted(self.stack.logs.glob("*.log")))


@contextmanager
def serving(folder: Path, *, worker: bool = False, **changes: Any) -> Iterator[Service]:
    """A service of its own below `folder`, gone afterwards; `changes` are settings."""
    with ExitStack() as ends:
        database_url = ends.enter_context(postgres())
        broker_url = ends.enter_context(valkey())
        upgrade(database_url)
        (folder / "bundle").mkdir(parents=True)
        write_tiny_bundle(folder / "bundle")
        trees = write_trees(folder / "trees", folder / "bundle")
        defaults = {"object_store_url": trees.url, "require_keys": True, "webhook_networks": ["127.0.0.0/8"]}
        changes = defaults | changes
        home = folder / "home"
        stack = ends.enter_context(running(home, database_url=database_url, broker_url=broker_url, **changes))
        stored = Stored(stack.settings, trees)
        ends.callback(stored.database.dispose)
        stored.dataset()
        truth = stored.truth()
        stored.judged_job({0: truth, 1: truth})
        stored.judged_job({0: truth[::-1], 1: truth}, training={"epochs": 3})
        with stored.database.write() as session:
            issued = keys.create(session, name="fuzz", scopes=list(Scope))
            key, key_id = issued.secret, issued.row.id
            job_id = session.scalars(select(Job.id).order_by(Job.created_at)).first()
        assert job_id is not None
        port = free_port()
        stack.start("api", port=port)
        if worker:
            stack.start("worker")
            stack.start("worker.keeper")
        else:
            stored.job(name="waits", seeds=[2])
        service = Service(f"http://127.0.0.1:{port}", key, key_id, job_id, stack, folder)
        until(lambda: _answers(service), what="the API")
        yield service


def _answers(service: Service) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{service.url}/livez").is_success
    assert service.alive(), service.log()
    return False
