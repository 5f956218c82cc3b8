"""An experiment on this machine: every run in a folder, several at once, and the report from what the folders hold.

`out/runs/<configuration>/<fold>-seed<n>` holds a run, whichever experiment and row asked for it, so a repeated command
and another experiment find what is there already. `out/teachers` keeps teachers' answers: of the rows of one seed and
fold, the first one trains teachers, and the others follow what these said.
"""

import fcntl
import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from queue import Empty
from typing import Self, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pskd_core.config import JobSpec, configuration_hash
from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import Fold, plan_folds
from pskd_core.errors import DataError, NonFiniteLossError, PskdError, SpecError
from pskd_core.evaluation.comparison import read_predictions
from pskd_core.experiments import Experiment, Row
from pskd_core.folder import EPOCHS, OUTCOME, PREDICTIONS, Listener, folder_name, run_in_folder, write_json
from pskd_core.report.build import build_report
from pskd_core.report.document import Report
from pskd_core.report.results import Outcome, RowResult, RunResult, Setting
from pskd_core.run import environment
from pskd_core.training.meter import EpochReport
from pskd_core.training.schedule import epoch_plan

FAILURE = "failure.json"
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class _Task:
    """One run of one row."""

    label: str
    spec: JobSpec
    fold: Fold
    seed: int
    folder: Path

    @property
    def epochs(self) -> int:
        return len(epoch_plan(self.spec.method, epochs=self.spec.epochs))

    @property
    def environment(self) -> dict[str, str]:
        """Versions and machine as they are now."""
        return environment(self.spec)

    @property
    def ended(self) -> bool:
        """Whether it has finished, or has failed as it would again: another version may mend a failure."""
        failed = self.folder / FAILURE
        return (self.folder / OUTCOME).exists() or (
            failed.exists() and json.loads(failed.read_text(encoding="utf-8")).get("environment") == self.environment
        )


_Ticks: TypeAlias = "Queue[tuple[str, str, int]]"  # what happened, to which run, epochs done
# All rows of one seed and fold, in order: the first one's teachers serve the others.
_Unit = tuple[_Task, ...]


@dataclass(frozen=True, slots=True)
class _Planned:
    """A row that can run on this dataset."""

    spec: JobSpec
    folds: tuple[Fold, ...]


def reproduce(
    chosen: Experiment,
    specs: Mapping[str, JobSpec],
    dataset: Dataset,
    out: Path,
    *,
    preset: str,
    jobs: int,
    console: Console,
) -> Report:
    """Run what has not been run, and report.

    Args:
        chosen: the experiment.
        specs: of its rows that run here, by key.
        dataset: what to train on.
        out: folder of the runs.
        preset: what the specs were made from, for the report.
        jobs: runs at once.
        console: shows progress.

    Raises:
        SpecError: `out` holds runs on another dataset, or another command is at work there.
        DataError: the reference row cannot run.
    """
    plans, problems = _plan(specs, dataset)
    if chosen.reference in problems:
        raise DataError(f"row {chosen.reference}, with which every row is compared: {problems[chosen.reference]}")
    teachers = out / "teachers"
    with _claimed(out, dataset):
        for leftover in teachers.glob(".*.partial"):  # of a command that was killed while it wrote
            shutil.rmtree(leftover)
        names = {row.key: row.name for row in chosen.rows}
        _execute(list(_units(plans, names, out)), dataset, teachers, jobs=jobs, console=console)
    results = [_result(row, plans.get(row.key), problems.get(row.key, ""), out) for row in chosen.rows]
    setting = Setting(
        dataset=dataset.info.name,
        layout=dataset.info.layout,
        digest=dataset.digest,
        preset=preset,
        classes=dataset.info.classes,
        skeleton_substitute=dataset.info.skeleton.substitute if dataset.info.skeleton else None,
    )
    return build_report(chosen, setting, results)


# --- What there is to do ------------------------------------------------------------------------------------------


def _plan(specs: Mapping[str, JobSpec], dataset: Dataset) -> tuple[dict[str, _Planned], dict[str, str]]:
    """Rows that can run, and why the others cannot: a partial copy may lack a stream that one system reads."""
    plans, problems = {}, {}
    for key, spec in specs.items():
        try:
            plans[key] = _Planned(spec, plan_folds(spec, dataset.info, dataset.recordings))
        except (SpecError, DataError) as impossible:
            problems[key] = f"cannot run here: {impossible}"
    return plans, problems


def _units(plans: Mapping[str, _Planned], names: Mapping[str, str], out: Path) -> Iterator[_Unit]:
    tasks: dict[tuple[int, str], list[_Task]] = {}
    taken: set[Path] = set()  # rows of one configuration share their runs
    for key, planned in plans.items():
        for seed in planned.spec.seeds:
            for fold in planned.folds:
                folder = _folder(planned.spec, fold, seed, out)
                if folder not in taken:
                    taken.add(folder)
                    label = f"seed {seed} {fold.name} {names[key]}"
                    tasks.setdefault((seed, fold.name), []).append(_Task(label, planned.spec, fold, seed, folder))
    yield from map(tuple, tasks.values())


def _folder(spec: JobSpec, fold: Fold, seed: int, out: Path) -> Path:
    return out / "runs" / configuration_hash(spec)[:16] / folder_name(fold.name, seed)


@contextmanager
def _claimed(out: Path, dataset: Dataset) -> Iterator[None]:
    """Hold the folder; it is let go however this process ends."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise SpecError(f"another command is at work in {out}; wait for it, or choose another --out") from held
        claim = out / "identity.json"
        if claim.exists() and json.loads(claim.read_text(encoding="utf-8")) != {"dataset": dataset.digest}:
            raise SpecError(f"{out} holds runs on another dataset; choose another --out folder")
        write_json(claim, {"dataset": dataset.digest})
        yield


# --- Several at once ----------------------------------------------------------------------------------------------


def _execute(units: Sequence[_Unit], dataset: Dataset, teachers: Path, *, jobs: int, console: Console) -> None:
    """Every run that has not ended, in processes of their own; Ctrl-C stops them at their next step."""
    open_units = [unit for unit in units if not all(task.ended for task in unit)]
    if not open_units:
        return
    spawn = multiprocessing.get_context("spawn")  # a forked copy of torch's threads would hang
    stopping, ticks = spawn.Event(), spawn.Queue()
    with (
        _Screen(units, console) as screen,
        ProcessPoolExecutor(
            min(jobs, len(open_units)),
            mp_context=spawn,
            initializer=_enter,
            initargs=(dataset.path, teachers, stopping, ticks),
        ) as pool,
    ):
        try:
            with _deaf():
                waiting = {pool.submit(_work, unit) for unit in open_units}
            while waiting:
                done, waiting = wait(waiting, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
                screen.take(ticks)
                _raise_failures(done)
        except BrokenProcessPool as died:
            raise PskdError("a process that trains has died, perhaps for want of memory; try fewer --jobs") from died
        except BaseException:
            stopping.set()
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started meanwhile never hear Ctrl-C, which is this process's to handle."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _raise_failures(done: set[Future[None]]) -> None:
    for each in done:
        each.result()


class _Stopped(Exception):
    """The command is to end."""


@dataclass
class _Child:
    """What a process that trains holds."""

    dataset: Dataset
    teachers: Path
    stopping: Event
    ticks: _Ticks


_child: _Child  # set once in each process that trains


def _enter(dataset: Path, teachers: Path, stopping: Event, ticks: _Ticks) -> None:
    """Begin a process that trains; it ends with its parent, however that ends."""
    global _child  # noqa: PLW0603  # an executor hands its initialiser's result to nobody
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _child = _Child(Dataset.open(dataset), teachers, stopping, ticks)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _work(unit: _Unit) -> None:
    """Run a unit's tasks one after another; a loss that is not finite ends its own task alone."""
    for task in unit:
        if task.ended:
            continue
        if (task.folder / FAILURE).exists():  # elsewhere: nothing of that attempt is gone on from
            shutil.rmtree(task.folder)
        try:
            run_in_folder(
                _child.dataset,
                task.spec,
                task.fold,
                task.seed,
                folder=task.folder,
                teachers=_child.teachers,
                export=False,  # nobody classifies with a hundred students
                listener=_Teller(task.label),
            )
        except _Stopped:
            return
        except NonFiniteLossError as failure:
            write_json(task.folder / FAILURE, {"detail": str(failure), "environment": task.environment})
            _child.ticks.put(("end", task.label, task.epochs))


class _Teller(Listener):
    """Tells the parent how a run goes, and stops when told to."""

    def __init__(self, label: str) -> None:
        self._label = label

    def began(self, done: int, total: int) -> None:
        """The run is shown."""
        _child.ticks.put(("run" if done < total else "end", self._label, done))

    def step(self, steps: int) -> None:  # noqa: ARG002  # as every listener is called
        """Stops the run if the command ends."""
        if _child.stopping.is_set():
            raise _Stopped

    def epoch(self, report: EpochReport) -> None:
        """One epoch further."""
        _child.ticks.put(("run" if report.index + 1 < report.total else "end", self._label, report.index + 1))

    def warn(self, text: str) -> None:
        """A line above the bars."""
        _child.ticks.put(("warn", f"{self._label}: {text}", 0))


class _Screen:
    """One bar over all epochs, and one for each run that is under way."""

    def __init__(self, units: Sequence[_Unit], console: Console) -> None:
        tasks = [task for unit in units for task in unit]
        self._epochs = {task.label: task.epochs for task in tasks}
        self._done = {task.label: task.epochs if task.ended else 0 for task in tasks}
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} epochs"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=600,  # teachers are slow and students quick: look at more than the last run
        )
        self._all = self._progress.add_task("all runs", total=sum(self._epochs.values()), completed=self._sum())

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._progress.stop()

    def take(self, ticks: _Ticks) -> None:
        """Show what the processes have told since."""
        while True:
            try:
                kind, label, done = ticks.get_nowait()
            except Empty:
                return
            if kind == "warn":
                self._progress.console.print(label, markup=False)
            else:
                self._show(label, done, ended=kind == "end")

    def _show(self, label: str, done: int, *, ended: bool) -> None:
        if label not in self._bars:
            self._bars[label] = self._progress.add_task(label, total=self._epochs[label], completed=done)
        self._done[label] = done
        self._progress.update(self._bars[label], completed=done, visible=not ended)
        self._progress.update(self._all, completed=self._sum())

    def _sum(self) -> int:
        return sum(self._done.values())


# --- What has come of it ------------------------------------------------------------------------------------------


def _result(row: Row, planned: _Planned | None, problem: str, out: Path) -> RowResult:
    if planned is None:
        return RowResult(row, problem=problem)
    folders = [_folder(planned.spec, fold, seed, out) for seed in planned.spec.seeds for fold in planned.folds]
    failures = [json.loads(file.read_text())["detail"] for each in folders if (file := each / FAILURE).exists()]
    return RowResult(
        row,
        planned.spec,
        tuple(fold.name for fold in planned.folds),
        tuple(read_run(folder) for folder in folders if (folder / OUTCOME).exists()),
        failures[0] if failures else "",
    )


def read_run(folder: Path) -> RunResult:
    """A finished run, from its folder."""
    predictions = folder / PREDICTIONS
    epochs = [json.loads(line) for line in (folder / EPOCHS).read_text(encoding="utf-8").splitlines()]
    return RunResult(
        outcome=Outcome.model_validate_json((folder / OUTCOME).read_bytes()),
        predictions=read_predictions(predictions.read_bytes(), file=str(predictions)),
        learning=tuple(each["metrics"]["student/ce"] for each in epochs if "student/ce" in each["metrics"]),
        took_s=sum(each["took_s"] for each in epochs),
    )
