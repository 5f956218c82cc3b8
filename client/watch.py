"""Follows jobs to their end: bars on a terminal, a line now and then elsewhere."""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from client.answers import Event, Job, JobSummary
from client.api import Client
from client.output import lasting, stdout

# A line each so much of a run, so that a log stays short.
_LINE_EVERY = 0.1


@dataclass
class RunProgress:
    """What the events of one run have said so far."""

    id: str
    label: str
    state: str = "queued"
    done: int = 0
    total: int | None = None
    phase: str = ""
    losses: dict[str, float] = field(default_factory=dict)  # latest total of each network
    validation: float | None = None

    def take(self, event: Event) -> None:
        """Read one event of this run."""
        data = event.data
        if event.kind == "run.state":
            self.state = data["state"]
        elif event.kind == "run.epoch":
            self.done, self.total, self.phase = data["epoch"] + 1, data["epochs"], data["phase"]
            totals = {name: value for name, value in data["metrics"].items() if name.endswith("/total")}
            self.losses |= {name.removesuffix("/total"): value for name, value in totals.items()}
            self.validation = data["metrics"].get("validation/accuracy", self.validation)

    @property
    def note(self) -> str:
        """What is unusual about its state, the latest losses, and the validation accuracy if there is one."""
        parts = [] if self.state in {"running", "succeeded"} else [self.state]
        parts += [f"{name} {value:.2f}" for name, value in self.losses.items()]
        if self.validation is not None:
            parts.append(f"validation {100 * self.validation:.0f} %")
        return "  ".join(parts)


class Screen(Protocol):
    """Where progress is shown."""

    def show(self, run: RunProgress) -> None:
        """The run has got further."""

    def say(self, text: str) -> None:
        """Something happened that is worth a line."""


class Bars(AbstractContextManager["Bars"]):
    """One bar a run, for a terminal."""

    def __init__(self, console: Console) -> None:
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def show(self, run: RunProgress) -> None:
        """Move its bar."""
        if run.id not in self._tasks:
            self._tasks[run.id] = self._progress.add_task(escape(run.label), total=None, note="")
        self._progress.update(self._tasks[run.id], completed=run.done, total=run.total, note=run.note)

    def say(self, text: str) -> None:
        """A line above the bars."""
        self._progress.console.print(text, markup=False)


class Lines:
    """One line each tenth of a run, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._told: dict[str, int] = {}

    def show(self, run: RunProgress) -> None:
        """Say how far it is, unless that was said of this tenth."""
        if run.total is None:
            return
        tenth = int(run.done / run.total / _LINE_EVERY + 1e-9)
        if self._told.get(run.id, 0) < tenth:
            self._told[run.id] = tenth
            self.say(f"{run.label}  epoch {run.done:>{len(str(run.total))}}/{run.total}  {run.note}")

    def say(self, text: str) -> None:
        """A line with the time since the beginning."""
        self._console.print(f"{lasting(time.monotonic() - self._began):>11}  {text}", markup=False)


def watch(service: Client, jobs: Sequence[JobSummary]) -> list[Job]:
    """Show the progress of jobs until all have ended; gives them as they ended."""
    console = stdout()
    if not console.is_terminal:
        _show(service, jobs, Lines(console))
    else:
        with Bars(console) as bars:
            _show(service, jobs, bars)
    return [service.job(job.id) for job in jobs]


def happenings(service: Client, job_ids: Sequence[str]) -> Iterator[tuple[str, Event]]:
    """The events of several jobs as they happen, until all have ended."""
    arrived: queue.SimpleQueue[tuple[str, Event | Exception | None]] = queue.SimpleQueue()

    def listen(job_id: str) -> None:
        try:
            for event in service.follow(job_id):
                arrived.put((job_id, event))
            arrived.put((job_id, None))
        except Exception as error:  # noqa: BLE001  # raised where the events are read
            arrived.put((job_id, error))

    for job_id in job_ids:
        threading.Thread(target=listen, args=(job_id,), daemon=True).start()
    listening = set(job_ids)
    while listening:
        job_id, event = arrived.get()
        if event is None:
            listening.remove(job_id)
        elif isinstance(event, Exception):
            raise event
        else:
            yield job_id, event


def _show(service: Client, jobs: Sequence[JobSummary], screen: Screen) -> None:
    names = {job.id: job.name or job.id for job in jobs}
    runs: dict[str, RunProgress] = {}
    for job_id, event in happenings(service, list(names)):
        if event.kind == "job.state":
            screen.say(_sentence(names[job_id], event))
            continue
        run_id = event.data["run_id"]
        if run_id not in runs:
            runs[run_id] = RunProgress(run_id, label_of(names[job_id], event))
        run = runs[run_id]
        run.take(event)
        screen.show(run)
        if event.kind == "warning" or (event.kind == "run.state" and run.state in {"retrying", "failed"}):
            screen.say(_sentence(run.label, event))


def label_of(job: str, event: Event) -> str:
    """How a run is called: by its seed, and by its fold where the job has several."""
    fold = event.data["fold"]
    return f"{job} · seed {event.data['seed']}" + ("" if fold == "all" else f" · {fold}")


def _sentence(subject: str, event: Event) -> str:
    """An event in words."""
    detail = event.data.get("detail")
    return f"{subject} {event.data.get('state', 'warns')}" + (f": {detail}" if detail else "")
