"""A worker, a keeper and what they need, as processes of their own, for tests that need the real thing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from pskd_core.config import JobSpec, parse_spec
from pskd_core.data.columnar import Dataset as Columnar
from pskd_core.data.splits import plan_folds
from pskd_core.sweep import parse_sweep
from pskd_core.training.meter import EpochReport
from store import datasets, jobs, sweeps
from store.engine import Database
from store.lifecycle import ENDED_SWEEP, DatasetState, SweepState
from store.models import BY_CLASS, Dataset, Event, Job, Metric, Run
from store.objects import ObjectStore
from tests.small import SMALL_SOURCE, SMALL_SPEC
from worker.settings import WorkerSettings

T = TypeVar("T")

# Leases and loops of tests are short, so that what waits for them is.
FAST = {"lease_s": 3.0, "heartbeat_s": 0.5, "reaper_s": 0.3, "renudge_s": 2.0, "checkpoint_every_s": 0.0}
WAIT_S = 120.0


def until(look: Callable[[], T | None], *, within_s: float = WAIT_S, what: str = "it") -> T:
    """The first true answer of `look`."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} has not come within {within_s} s"
        time.sleep(0.02)
    return found


@dataclass
class Stack:
    """One installation: settings, an open database, and the processes started so far."""

    settings: WorkerSettings
    logs: Path
    database: Database = field(init=False)
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = Database(self.settings.database_url)

    @property
    def objects(self) -> ObjectStore:
        return ObjectStore(self.settings.object_store_url, cache_dir=self.settings.cache_dir)

    def start(self, module: str, **changes: Any) -> "subprocess.Popen[bytes]":
        """`python -m module`, in a session of its own."""
        settings = {**self.settings.model_dump(mode="json"), **changes}
        settings |= {name: ",".join(value) for name, value in settings.items() if isinstance(value, list | tuple)}
        env = {f"PSKD_{name.upper()}": str(value) for name, value in settings.items() if value is not None}
        # By this name PostgreSQL knows the sessions of the process and of its children.
        env["PGAPPNAME"] = f"{module.rpartition('.')[2]}-{len(self.processes)}"
        with (self.logs / f"{len(self.processes)}-{module}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", module],
                env={**os.environ, **env, "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            process.wait(20)
        self.database.dispose()

    def add_dataset(self, name: str = "made") -> str:
        with self.database.write() as session:
            return datasets.create(session, name=name, source=SMALL_SOURCE.model_dump(mode="json")).id

    def is_ready(self, dataset_id: str) -> bool:
        """Whether its import has ended well."""
        with self.database.read() as session:
            return session.get_one(Dataset, dataset_id).state is DatasetState.READY

    def submit(self, *, dataset: str = "made", **fields: Any) -> str:
        """A job on a dataset whose import is still under way, or at least a worker's to plan."""
        spec = small_spec(dataset=dataset, **fields)
        with self.database.write() as session:
            return jobs.submit(session, spec, plan=self._plan(spec)).id

    def submit_sweep(self, **fields: Any) -> str:
        """A sweep on a dataset whose import is still under way, or at least a worker's to plan."""
        with self.database.write() as session:
            return sweeps.create(session, parse_sweep(fields), plan_of=self._plan).id

    def sweep(self, sweep_id: str) -> tuple[SweepState, list[sweeps.Trial]]:
        with self.database.read() as session:
            row = sweeps.get(session, sweep_id)
            state = sweeps.state_of(row, sweeps.counts(session, [sweep_id])[sweep_id])
            return state, sweeps.trials_of(session, row)

    def wait_for_trial(self, sweep_id: str) -> sweeps.Trial:
        """Until the keeper has proposed one."""
        return until(lambda: next(iter(self.sweep(sweep_id)[1]), None), what="a trial")

    def wait_for_sweep(self, sweep_id: str) -> tuple[SweepState, list[sweeps.Trial]]:
        def ended() -> tuple[SweepState, list[sweeps.Trial]] | None:
            found = self.sweep(sweep_id)
            return found if found[0] in ENDED_SWEEP else None

        return until(ended, what=f"the end of sweep {sweep_id}")

    def _plan(self, spec: JobSpec) -> jobs.Plan:
        def plan(row: Dataset) -> Sequence[jobs.PlannedFold]:
            assert row.tree_digest is not None
            opened = Columnar.open(self.objects.get_tree(row.tree_digest))
            return [
                jobs.PlannedFold(each.name, len(each.test)) for each in plan_folds(spec, opened.info, opened.recordings)
            ]

        return plan

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, job_id)

    def runs(self, job_id: str) -> list[Run]:
        with self.database.read() as session:
            return sorted(session.query(Run).where(Run.job_id == job_id), key=lambda run: run.position)

    def events(self, job_id: str) -> list[Event]:
        with self.database.read() as session:
            return session.query(Event).where(Event.job_id == job_id).order_by(Event.seq).all()

    def metrics(self, run_id: str) -> dict[tuple[str, int], float]:
        with self.database.read() as session:
            return {(each.name, each.step): each.value for each in session.query(Metric).where(Metric.run_id == run_id)}

    def wait_for_job(self, job_id: str, *states: str, within_s: float = WAIT_S) -> Job:
        def reached() -> Job | None:
            job = self.job(job_id)
            return job if job.state in states else None

        return until(reached, within_s=within_s, what=f"{' or '.join(states)} after {self.job(job_id).state}")

    def wait_for_epoch(self, job_id: str, epoch: int) -> Run:
        """Until the job's first run has done so many epochs."""

        def reached() -> Run | None:
            return next((run for run in self.runs(job_id)[:1] if run.epoch >= epoch), None)

        return until(reached, what=f"epoch {epoch}")


@contextmanager
def running(home: Path, *, database_url: str, broker_url: str, **changes: Any) -> Iterator[Stack]:
    """A stack without processes; whatever is started in it is stopped."""
    settings = WorkerSettings(home=home, database_url=database_url, broker_url=broker_url, **{**FAST, **changes})
    home.mkdir(parents=True, exist_ok=True)
    stack = Stack(settings, home)
    try:
        yield stack
    finally:
        stack.stop()


def points_of(reports: Iterable[EpochReport]) -> dict[tuple[str, int], float]:
    """The points of the curves that these epochs are to be found as, by name and epoch."""
    points: dict[tuple[str, int], float] = {}
    for each in reports:
        named = each.metrics | {f"{BY_CLASS}{name}": value for name, value in each.by_class.items()}
        points |= {(name, each.index): value for name, value in named.items()}
    return points


def small_spec(**fields: Any) -> JobSpec:
    return parse_spec({**SMALL_SPEC, **fields})


def children_of(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """All processes below a worker: fork server, its children, resource tracker."""
    return psutil.Process(process.pid).children(recursive=True)


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
