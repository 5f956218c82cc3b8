"""A fault campaign: an installation of real processes, clients, and faults at random; then the checker.

`python -m tests.faults.campaign --seed N --injections M` prints the seed, writes the history beside the result, and
fails if an invariant is violated. The seed decides faults, times and victims, and what the clients ask for.
"""

import argparse
import json
import random
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import psycopg
import redis
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from store.engine import Database
from store.lifecycle import ENDED_JOB, JobState
from store.migrate import upgrade
from store.models import Job, Run
from tests.faults import audit
from tests.faults.checker import check
from tests.faults.load import Load, Log
from tests.integration.worker.stack import Stack, running, until
from tests.services import Server, free_port, mlflow_server, postgres_server, valkey_server
from worker.app import make_app, nudge

TIMES = {"lease_s": 2.0, "heartbeat_s": 0.5, "reaper_s": 0.3, "renudge_s": 1.0, "checkpoint_every_s": 0.0}
DEADLINE_S = (
    240.0  # for what is still to do when the last fault has passed, on a machine that is busy with other things
)
_CLIENTS, _MOST_OPEN = 3, 10
_TINY_FILE_BYTES = 2048
_WAKE = "cpu"


class Fault(NamedTuple):
    """One fault of the schedule."""

    kind: str
    after_s: float  # since the one before
    lasts_s: float
    choice: int  # of the victim


# How often, beside one another.
WEIGHTS = {
    "kill_run": 18,
    "kill_worker": 6,
    "kill_api": 8,
    "kill_keeper": 8,
    "freeze_worker": 7,
    "freeze_run": 8,
    "freeze_keeper": 4,
    "stop_broker": 7,
    "flush_broker": 6,
    "kill_database": 6,
    "stop_database": 4,
    "cut_sessions": 6,
    "fill_disk": 8,
    "repeat_wakes": 6,
    "lose_wakes": 6,
    "stop_tracker": 3,
}


def schedule(seed: int, *, gap_s: float) -> Iterator[Fault]:
    """Without an end, and the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - repeatable
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    while True:
        (kind,) = chance.choices(kinds, weights)
        yield Fault(kind, chance.uniform(0.2, 2 * gap_s - 0.2), chance.uniform(0.3, 4.5), chance.randrange(2**16))


@dataclass
class Campaign:
    """The installation, and how each fault is done to it and undone."""

    stack: Stack
    database: Server
    broker: Server
    tracker: Server | None
    ports: tuple[int, int]
    log: Log
    slots: dict[str, Any] = field(default_factory=dict)  # by slot: the process that runs in it
    names: dict[str, str] = field(default_factory=dict)  # by what a run calls its worker: its process's name
    undo: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)

    def start(self, slot: str) -> None:
        module = {"api": "api", "worker": "worker", "keeper": "worker.keeper"}[slot[:-1]]
        port = {"port": self.ports[int(slot[-1])]} if slot[:-1] == "api" else {}
        process = self.stack.start(module, **port)
        self.slots[slot] = process
        if module == "worker":
            host = socket.gethostname()
            self.names[f"{host}:{process.pid}"] = f"worker-{len(self.stack.processes) - 1}"

    def tend(self) -> None:
        """Undo what has lasted long enough, and start again whatever has ended, as an operator's supervisor would."""
        now = time.monotonic()
        for due in [each for each in self.undo if each[0] <= now]:
            self.undo.remove(due)
            due[1]()
        for slot, process in list(self.slots.items()):
            if process.poll() is not None:
                self.log.note("start", slot=slot, code=process.returncode)
                self.start(slot)

    def inject(self, fault: Fault) -> None:
        """Counts only what has found a victim."""
        done = getattr(self, f"_{fault.kind}")(fault)
        if done is not None:
            self.injected[fault.kind] += 1
            self.log.note("injection", fault=fault.kind, lasts_s=fault.lasts_s, victim=done)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self.undo.append((time.monotonic() + seconds, action))

    def _slot(self, kind: str, fault: Fault) -> str:
        slots = sorted(slot for slot in self.slots if slot.startswith(kind))
        return slots[fault.choice % len(slots)]

    def _runs(self) -> list[psutil.Process]:
        """Training processes: below the fork servers."""
        found: list[psutil.Process] = []
        for slot in sorted(slot for slot in self.slots if slot.startswith("worker")):
            with suppress(psutil.Error):
                for child in psutil.Process(self.slots[slot].pid).children():
                    found += child.children()
        return found

    def _kill(self, kind: str, fault: Fault) -> str:
        slot = self._slot(kind, fault)
        self.slots[slot].kill()
        return slot

    def _kill_worker(self, fault: Fault) -> str:
        return self._kill("worker", fault)

    def _kill_api(self, fault: Fault) -> str:
        return self._kill("api", fault)

    def _kill_keeper(self, fault: Fault) -> str:
        return self._kill("keeper", fault)

    def _kill_run(self, fault: Fault) -> int | None:
        runs = self._runs()
        if not runs:
            return None
        victim = runs[fault.choice % len(runs)]
        with suppress(psutil.Error):
            victim.kill()
        return victim.pid

    def _freeze(self, processes: list[psutil.Process], seconds: float) -> None:
        for process in processes:
            with suppress(psutil.Error):
                process.suspend()
        self._later(seconds, lambda: _each(processes, psutil.Process.resume))

    def _freeze_run(self, fault: Fault) -> int | None:
        runs = self._runs()
        if not runs:
            return None
        victim = runs[fault.choice % len(runs)]
        self._freeze([victim], 2.0 + fault.lasts_s / 2)
        return victim.pid

    def _freeze_worker(self, fault: Fault) -> str | None:
        """With its runs or without, past the lease."""
        slot = self._slot("worker", fault)
        with suppress(psutil.Error):
            process = psutil.Process(self.slots[slot].pid)
            family = [process, *(process.children(recursive=True) if fault.choice & 256 else [])]
            self._freeze(family, 2.0 + fault.lasts_s / 2)
            return slot
        return None

    def _freeze_keeper(self, fault: Fault) -> str | None:
        slot = self._slot("keeper", fault)
        with suppress(psutil.Error):
            self._freeze([psutil.Process(self.slots[slot].pid)], fault.lasts_s)
            return slot
        return None

    def _down(self, server: Server, by: signal.Signals, fault: Fault) -> str | None:
        if server.process is None or server.process.poll() is not None:
            return None
        server.stop(by)
        self._later(fault.lasts_s, lambda: _start(server))
        return by.name

    def _stop_broker(self, fault: Fault) -> str | None:
        return self._down(self.broker, (signal.SIGTERM, signal.SIGKILL)[fault.choice % 2], fault)

    def _kill_database(self, fault: Fault) -> str | None:
        return self._down(self.database, signal.SIGKILL, fault._replace(lasts_s=fault.lasts_s / 2))

    def _stop_database(self, fault: Fault) -> str | None:
        return self._down(self.database, (signal.SIGQUIT, signal.SIGINT)[fault.choice % 2], fault)

    def _stop_tracker(self, fault: Fault) -> str | None:
        return self._down(self.tracker, signal.SIGTERM, fault) if self.tracker else None

    def _cut_sessions(self, _fault: Fault) -> int | None:
        others = "application_name <> '' AND pid <> pg_backend_pid()"
        cut = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {others}"  # noqa: S608 - constants
        with suppress(psycopg.Error), connected(self.database) as connection:
            row = connection.execute(cut).fetchone()
            return int(row[0]) if row else None
        return None

    def _with_broker(self, do: Callable[["redis.Redis"], Any]) -> Any:
        with suppress(redis.RedisError), redis.Redis.from_url(self.broker.url, socket_timeout=2) as client:
            return do(client)
        return None

    def _flush_broker(self, _fault: Fault) -> Any:
        return self._with_broker(lambda client: str(client.flushall()))

    def _lose_wakes(self, _fault: Fault) -> Any:
        return self._with_broker(lambda client: client.delete(_WAKE))

    def _repeat_wakes(self, fault: Fault) -> int | None:
        if self.broker.process is None:
            return None
        app = make_app(self.stack.settings)
        with suppress(Exception), app:
            for _ in range(2 + fault.choice % 20):
                nudge(app, _WAKE, expires_s=5.0)
            return 2 + fault.choice % 20
        return None

    def _fill_disk(self, fault: Fault) -> int:
        """No process of ours can write a file of more than 2 KiB: what works without root, on any file system."""
        _each(self._ours(), _limit_files)
        self._later(fault.lasts_s, self._empty_disk)
        return len(self._ours())

    def _empty_disk(self) -> None:
        # Parents first: a child that is forked meanwhile has its parent's limit.
        for _ in range(3):
            _each(self._ours(), _unlimit_files)

    def _ours(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in self.slots.values():
            with suppress(psutil.Error):
                parent = psutil.Process(process.pid)
                found += [parent, *parent.children(recursive=True)]
        return found

    def heal(self) -> None:
        """Undo every fault."""
        for _, action in self.undo:
            action()
        self.undo.clear()
        self.tend()


def _each(processes: list[psutil.Process], do: Callable[[psutil.Process], Any]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            do(process)


def _limit_files(process: psutil.Process) -> None:
    process.rlimit(psutil.RLIMIT_FSIZE, (_TINY_FILE_BYTES, process.rlimit(psutil.RLIMIT_FSIZE)[1]))


def _unlimit_files(process: psutil.Process) -> None:
    hard = process.rlimit(psutil.RLIMIT_FSIZE)[1]
    process.rlimit(psutil.RLIMIT_FSIZE, (hard, hard))


def _start(server: Server) -> None:
    """What is left of a killed server may be in the way for a moment."""
    for _ in range(20):
        with suppress(RuntimeError):
            server.start()
            return
        time.sleep(0.3)
    server.start()


@contextmanager
def connected(server: Server) -> Iterator["psycopg.Connection[Any]"]:
    """A session without a name of its own."""
    with psycopg.connect(
        host=str(server.folder), user="postgres", dbname="postgres", autocommit=True, connect_timeout=5
    ) as connection:
        yield connection


@contextmanager
def installed(folder: Path, *, tracked: bool) -> Iterator[Campaign]:
    """Everything runs, and a dataset is ready."""
    with ExitStack() as ends:
        # A commit that was acknowledged has to be written down when the server is killed.
        database = ends.enter_context(postgres_server(synchronous_commit="on"))
        broker = ends.enter_context(valkey_server())
        tracker = mlflow_server(folder / "mlflow", port=free_port()) if tracked else None
        for server in (database, broker, tracker):
            if server is not None:
                ends.callback(server.stop)
                server.start()
        upgrade(database.url)
        with connected(database) as connection:
            audit.install(connection)
        more = {"mlflow_url": tracker.url} if tracker else {}
        stack = ends.enter_context(
            running(
                folder / "home", database_url=database.url, broker_url=broker.url, step_timeout_s=15.0, **TIMES, **more
            )
        )
        campaign = Campaign(stack, database, broker, tracker, (free_port(), free_port()), Log(folder / "history.jsonl"))
        for slot in ("worker0", "worker1", "keeper0", "api0", "api1"):
            campaign.start(slot)
        stack.add_dataset()
        urls = [f"http://127.0.0.1:{port}" for port in campaign.ports]
        until(lambda: all(_answers(url) for url in urls), what="the API")
        yield campaign


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/livez").is_success
    return False


def run(folder: Path, *, seed: int, injections: int, gap_s: float = 4.0, tracked: bool = True) -> dict[str, Any]:
    """The whole campaign; what it found."""
    began_at = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "history.jsonl").unlink(missing_ok=True)
    with installed(folder, tracked=tracked) as campaign:
        urls = [f"http://127.0.0.1:{port}" for port in campaign.ports]
        load = Load(urls, campaign.log, seed, _MOST_OPEN)
        clients = [threading.Thread(target=load.run, args=(number,), daemon=True) for number in range(_CLIENTS)]
        for client in clients:
            client.start()
        _disturb(campaign, seed, injections=injections, gap_s=gap_s)
        load.stopping.set()
        for client in clients:
            client.join()
        campaign.heal()
        healed_at = time.time()
        _await_ends(campaign, load)
        patience_s = TIMES["lease_s"] + TIMES["reaper_s"] + DEADLINE_S
        recorded = audit.Recorded(campaign.log.requests, campaign.names, healed_at, patience_s)
        database = Database(campaign.database.url)
        history = audit.history(database, campaign.stack.objects, recorded)
        database.dispose()
        return {
            "seed": seed,
            "injections": sum(campaign.injected.values()),
            "by_fault": dict(sorted(campaign.injected.items())),
            "violations": [list(each) for each in check(history)],
            "answers": dict(sorted(campaign.log.statuses.items())),
            "jobs": dict(Counter(str(job.state) for job in history.jobs)),
            "runs": dict(Counter(str(each.state) for each in history.runs)),
            "writes": len(history.writes),
            "settled_s": round(max((each.finished_at or 0.0 for each in history.runs), default=0.0) - healed_at, 1),
            "seconds": round(time.monotonic() - began_at, 1),
        }


def _disturb(campaign: Campaign, seed: int, *, injections: int, gap_s: float) -> None:
    for fault in schedule(seed, gap_s=gap_s):
        if sum(campaign.injected.values()) >= injections:
            return
        next_at = time.monotonic() + fault.after_s
        while time.monotonic() < next_at:
            campaign.tend()
            _sample(campaign)
            time.sleep(0.2)
        campaign.inject(fault)


def _sample(campaign: Campaign) -> None:
    counted = "SELECT state, count(*) FROM run GROUP BY state"
    with suppress(psycopg.Error), connected(campaign.database) as connection:
        campaign.log.note("sample", runs=dict(connection.execute(counted).fetchall()))


def _await_ends(campaign: Campaign, load: Load) -> None:
    """Until nothing is under way; what was paused goes on."""
    chance, deadline = random.Random(load.seed), time.monotonic() + DEADLINE_S  # noqa: S311 - repeatable
    load.stopping.clear()
    with httpx.Client(timeout=10) as http:
        while time.monotonic() < deadline:
            campaign.tend()
            with suppress(SQLAlchemyError), campaign.stack.database.read() as session:
                left = select(Job.id, Job.state).where(Job.state.not_in(ENDED_JOB))
                states = dict(session.execute(left).all())
                if not states and not session.scalar(select(func.count()).where(Run.state == "running")):
                    return
                for job_id in [job_id for job_id, state in states.items() if state is JobState.PAUSED]:
                    load.ask(http, chance, job_id, "resume")
            time.sleep(0.3)


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--injections", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for the result and the history")
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}: `make faults SEED={options.seed}` repeats it\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="pskd-faults-") as folder:
        try:
            found = run(Path(folder), seed=options.seed, injections=options.injections)
        finally:
            options.out.mkdir(parents=True, exist_ok=True)
            for kept in (*Path(folder).glob("*.jsonl"), *Path(folder).glob("home/*.log")):
                (options.out / "faults").mkdir(exist_ok=True)
                (options.out / "faults" / kept.name).write_bytes(kept.read_bytes())
    (options.out / "faults.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 1 if found["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
