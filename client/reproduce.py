"""The paper's experiments on a service: a job a row, found again by a repeated command, and the report of the core."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from client.answers import Curve, Dataset, Job, JobSummary, Run
from client.api import Client
from client.errors import ClientError, Invalid
from client.output import lasting
from pskd_core.config import JobSpec, configuration_hash
from pskd_core.errors import DataError, PskdError
from pskd_core.evaluation.comparison import read_predictions
from pskd_core.experiments import Experiment, ExperimentName, default_preset, experiment, protocol_fields, row_specs
from pskd_core.report.build import build_report
from pskd_core.report.document import Report
from pskd_core.report.results import Outcome, RowResult, RunResult, Setting

_LOOK_EVERY_S = 2.0
_ENDED = frozenset({"succeeded", "failed", "cancelled"})
_LEARNING = "student/ce"


class CannotReproduce(ClientError):
    """The experiment cannot be run as it was asked for."""

    remedy = "mend what is named above and run the command again; jobs that are there already are found, not repeated"


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for."""

    experiment: ExperimentName
    seeds: Sequence[int]
    protocol: str | None = None
    subjects: Sequence[str] = ()
    preset: str | None = None
    settings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Planned:
    """A row that can run on this dataset."""

    spec: JobSpec
    folds: tuple[str, ...]


def reproduce_on(service: Client, dataset: Dataset, asked: Request, console: Console) -> Report:
    """Submit what is not there yet, wait for all of it, and report.

    Raises:
        CannotReproduce: a setting is wrong, or the row that all others are compared with cannot run.
    """
    assert dataset.report is not None
    layout = dataset.report.layout
    chosen, preset = experiment(asked.experiment, layout=layout), asked.preset or default_preset(layout)
    with _core_errors():
        plans, problems = _plan(service, dataset, chosen, preset, asked)
        jobs = _submit(service, chosen, plans)
        ended = _wait(service, jobs, console)
        results = [
            RowResult(row, problem=problems.get(row.key, ""))
            if row.key not in plans
            else _result(service, RowResult(row, plans[row.key].spec, plans[row.key].folds), ended[row.key])
            for row in chosen.rows
        ]
        setting = Setting(
            dataset=dataset.name,
            layout=layout,
            digest=dataset.digest or "",
            preset=preset,
            classes=_classes(service, ended[chosen.reference]),
            skeleton_substitute=dataset.report.skeleton_substitute,
        )
        return build_report(chosen, setting, results)


@contextmanager
def _core_errors() -> Iterator[None]:
    try:
        yield
    except PskdError as error:
        raise CannotReproduce(str(error)) from error


# --- Jobs ---------------------------------------------------------------------------------------------------------


def _plan(
    service: Client, dataset: Dataset, chosen: Experiment, preset: str, asked: Request
) -> tuple[dict[str, _Planned], dict[str, str]]:
    """Rows that can run, and why the others cannot; the service says which folds there are."""
    training = _training_subjects(service, dataset, preset)
    common = {
        "dataset": dataset.id,
        "protocol": protocol_fields(asked.protocol, asked.subjects, training),
        "seeds": list(asked.seeds),
        "resources": {"reuse_teachers": True},
    }
    plans, problems = {}, {}
    for key, spec in row_specs(chosen, preset=preset, common=common, settings=asked.settings).items():
        try:
            folds = service.estimate(spec).folds or ()
            plans[key] = _Planned(spec, tuple(fold.fold for fold in folds))
        except Invalid as refused:
            problems[key] = f"cannot run here: {refused}"
    if chosen.reference in problems:
        raise DataError(f"row {chosen.reference}, with which every row is compared: {problems[chosen.reference]}")
    return plans, problems


def _training_subjects(service: Client, dataset: Dataset, preset: str) -> Callable[[], Sequence[str]]:
    """Asks the service who trains under `cross_subject`: one inner fold is planned for each of them."""
    spec = {"preset": preset, "dataset": dataset.id, "validation": {"kind": "inner_loso"}, "test": "none"}

    def ask() -> Sequence[str]:
        return [fold.fold.removeprefix("inner:") for fold in service.estimate(spec).folds or ()]

    return ask


def _submit(service: Client, chosen: Experiment, plans: Mapping[str, _Planned]) -> dict[str, Job]:
    """A job for every row; rows of one configuration share theirs."""
    jobs: dict[str, Job] = {}
    by_configuration: dict[str, Job] = {}
    for key, planned in plans.items():
        configuration = configuration_hash(planned.spec)
        if configuration not in by_configuration:
            named = planned.spec.model_copy(update={"name": f"{chosen.name} {chosen.row(key).name}"})
            by_configuration[configuration] = find_or_submit(service, named)
        jobs[key] = by_configuration[configuration]
    return jobs


def find_or_submit(service: Client, spec: JobSpec) -> Job:
    """The job of this spec that an earlier command has submitted, else a new one; what has failed goes on."""
    attempt = 0
    while True:
        job = service.job(service.submit(spec, key=key_of(spec, attempt, release=version("pskd"))).id)
        if job.state == "failed":
            return service.retry(job.id)
        if job.state != "cancelled":
            return job
        attempt += 1


def key_of(spec: JobSpec, attempt: int, *, release: str) -> str:
    """The idempotency key; figures of another version of this package are not taken for those of this one."""
    return hashlib.sha256(f"reproduce\n{release}\n{attempt}\n{spec.model_dump_json()}".encode()).hexdigest()


def _wait(service: Client, jobs: Mapping[str, Job], console: Console) -> dict[str, JobSummary]:
    """Until every job has ended; a bar each, or off a terminal a line when one ends."""
    now: dict[str, JobSummary] = {job.id: job for job in jobs.values()}
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
    )
    bars = {job.id: progress.add_task(job.name, total=1.0, note="") for job in now.values()}
    with progress if console.is_terminal else nullcontext():
        try:
            while waiting := [job for job in now.values() if job.state not in _ENDED]:
                time.sleep(_LOOK_EVERY_S)
                for job in waiting:
                    now[job.id] = seen = service.job(job.id)
                    fraction = seen.progress.fraction if seen.progress else 0.0
                    note = f"{lasting(seen.eta_s)} to go" if seen.eta_s is not None else seen.state
                    progress.update(bars[job.id], completed=fraction, note=note)
                    if seen.state in _ENDED:
                        progress.console.print(f"{seen.name} {seen.state}", markup=False)
        except KeyboardInterrupt:
            console.print("the jobs go on; the same command finds them again, `pskd cancel` ends one")
            raise
    return {key: now[job.id] for key, job in jobs.items()}


# --- Results ------------------------------------------------------------------------------------------------------


def _result(service: Client, row: RowResult, job: JobSummary) -> RowResult:
    curves = {curve.run_id: curve.curves for curve in service.metrics(job.id, [_LEARNING])}
    done = [run for run in service.runs(job.id) if run.state == "succeeded"]
    runs = tuple(_run(service, run, curves.get(run.id, {})) for run in done)
    problem = "" if job.state == "succeeded" else f"{job.state}: {job.detail or job.cause or 'asked for'}"
    return RowResult(row.row, row.spec, row.folds, runs, problem)


def _classes(service: Client, job: JobSummary) -> tuple[str, ...]:
    """As any finished run of a job names them."""
    for run in service.runs(job.id):
        if run.state == "succeeded":
            return tuple(service.report(run.id).report["classes"])
    raise DataError(f"{job.name}, with which every row is compared, has no figures: {job.detail or job.state}")


def _run(service: Client, run: Run, curves: Mapping[str, Curve]) -> RunResult:
    learning = curves.get(_LEARNING)
    assert run.started_at is not None
    assert run.finished_at is not None
    return RunResult(
        outcome=Outcome.model_validate(service.report(run.id).report),
        predictions=read_predictions(service.predictions(run.id), file=run.id),
        learning=tuple(learning.values) if learning else (),
        took_s=(run.finished_at - run.started_at).total_seconds(),
    )
