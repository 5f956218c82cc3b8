"""The installation that a fault campaign disturbs: its processes, and how each fault is done to it and undone."""

import random
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psutil
import psycopg
import redis

from tests.faults.load import Log
from tests.integration.worker.stack import Stack, all_gone, until
from tests.services import Server
from worker.app import make_app, nudge

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
class Installation:
    """Real processes and servers, each started again when it has ended, as an operator's supervisor would."""

    stack: Stack
    database: Server
    broker: Server
    tracker: Server | None
    ports: tuple[int, int]
    log: Log
    down: set[str] = field(default_factory=set)  # servers that a fault keeps away, by their addresses
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

    @property
    def servers(self) -> list[Server]:
        """Those that there are."""
        return [server for server in (self.database, self.broker, self.tracker) if server is not None]

    @property
    def urls(self) -> list[str]:
        """Of the API's processes."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def tend(self) -> None:
        """Undo what has lasted long enough, and start again whatever has ended. Waits for nothing."""
        now = time.monotonic()
        for due in [each for each in self.undo if each[0] <= now]:
            self.undo.remove(due)
            due[1]()
        for server in self.servers:
            # What is left of a killed one may be in the way for a moment; then it ends, and is started again.
            if server.url not in self.down and (server.process is None or server.process.poll() is not None):
                server.launch()
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
        if server.url in self.down or server.process is None:
            return None
        server.stop(by)
        self.down.add(server.url)
        self._later(fault.lasts_s, lambda: self.down.discard(server.url))
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

    def _lose_wakes(self, _fault: Fault) -> int | None:
        """A queue in which nothing waits is not there: to delete it is no fault, and another one is drawn."""
        return self._with_broker(lambda client: client.delete(_WAKE)) or None

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
        """Undo every fault, and wait until the servers answer."""
        for _, action in self.undo:
            action()
        self.undo.clear()
        until(self._are_up, what="the servers")

    def _are_up(self) -> bool:
        self.tend()
        return all(server.answers() for server in self.servers)

    def halt(self) -> None:
        """Kill every process, and what it has started, so that nobody writes any more."""
        ours = self._ours()
        _each(ours, psutil.Process.kill)
        until(lambda: all_gone(ours), what="the end of all processes")


def _each(processes: list[psutil.Process], do: Callable[[psutil.Process], Any]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            do(process)


def _limit_files(process: psutil.Process) -> None:
    hard = process.rlimit(psutil.RLIMIT_FSIZE)[1]
    # A reader of recordings may write no file in any case.
    tiny = _TINY_FILE_BYTES if hard == psutil.RLIM_INFINITY else min(hard, _TINY_FILE_BYTES)
    process.rlimit(psutil.RLIMIT_FSIZE, (tiny, hard))


def _unlimit_files(process: psutil.Process) -> None:
    hard = process.rlimit(psutil.RLIMIT_FSIZE)[1]
    process.rlimit(psutil.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def connected(server: Server) -> Iterator["psycopg.Connection[Any]"]:
    """A session without a name of its own."""
    with psycopg.connect(
        host=str(server.folder), user="postgres", dbname="postgres", autocommit=True, connect_timeout=5
    ) as connection:
        yield connection
