"""`make demo`: the whole product in one go, from nothing but Python to a classified recording."""

import argparse
import csv
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.rule import Rule

from client import output
from client.answers import Dataset, Job, RecordingSummary
from client.api import Client
from client.errors import ClientError
from client.home import HomeInUse, owned
from client.local import Options, stack
from client.parts import StackError
from client.timeline import print_timeline
from client.watch import watch

_HOME = Path("build/demo")
_SEEDS = [0, 1]
_DISTILLED, _BASELINE = "demo-pskd", "demo-none"
_MOST_CLASSES = 6
_INTERRUPTED = 130


class DemoFailed(ClientError):
    """A job of the demo did not succeed."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"{job.name} {job.state} ({job.cause}): {job.detail}")
        self.remedy = f"the logs in {_HOME / 'logs'} say more"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m client.demo", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA") or None, help="a UTD-MHAD folder or zip")
    data: Path | None = parser.parse_args(arguments).data
    if data is not None and not data.exists():
        parser.error(f"there is nothing at {data}")
    began = time.monotonic()
    try:
        with _service() as service:
            show(service, data)
    except (ClientError, HomeInUse, StackError) as error:
        output.report_error(error)
        return 1
    except KeyboardInterrupt:
        output.stderr().print("interrupted; everything has stopped")
        return _INTERRUPTED
    console = output.stdout()
    console.print(f"\nEverything has stopped after {output.lasting(time.monotonic() - began)}.")
    command = os.path.relpath(Path(sys.executable).with_name("pskd"))
    console.print(f"To look around in what it made: {command} up --home {_HOME}", soft_wrap=True)
    return 0


def show(service: Client, data: Path | None) -> None:
    """Import, train with and without teachers, compare, classify."""
    console = output.stdout()
    dataset = _import(console, service, data)
    _heading(console, "Train: a student with two teachers, and the same student alone")
    protocol = protocol_for(dataset)
    jobs = [service.submit(spec) for spec in specs(dataset, protocol)]
    ended = watch(service, jobs)
    for job in ended:
        if job.state != "succeeded":
            raise DemoFailed(job)
    _heading(console, "Compare: accuracy on subjects that no network has seen")
    output.print_many(service.leaderboard(), output.LEADERBOARD, as_json=False, empty="nothing was tested")
    console.print("mean ± standard deviation over seeds; the student reads the accelerometer alone in both rows")
    _classify(console, service, dataset, _held_out(service, dataset, ended[0]), data)


def specs(dataset: Dataset, protocol: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The distilled student, and the same student with the same training and no teacher."""
    common = {"preset": "demo", "dataset": dataset.id, "protocol": protocol, "seeds": _SEEDS}
    return {**common, "name": _DISTILLED}, {**common, "name": _BASELINE, "method": {"kind": "none"}}


def protocol_for(dataset: Dataset) -> dict[str, Any]:
    """The dataset's own cross-subject split; for a partial copy, the last of its subjects is kept for the test."""
    assert dataset.report is not None
    split = dataset.report.protocols.get("cross_subject")
    if split is not None and not split.missing:
        return {"kind": "named", "name": "cross_subject"}
    *train, test = dataset.report.subjects
    return {"kind": "subjects", "train": train, "test": [test]}


@contextmanager
def _service() -> Iterator[Client]:
    """A stack in a fresh home folder, and a client of it."""
    console = output.stdout()
    _heading(console, "Start: broker, database, MLflow, API, worker, keeper")
    with owned(_HOME):
        for entry in _HOME.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "stack.lock":
                entry.unlink()

    def say(text: str) -> None:
        console.print(text, markup=False, style="dim")

    began = time.monotonic()
    with stack(Options(_HOME, port=0, mlflow_port=0), say=say, stopping=threading.Event()) as addresses:
        console.print(
            f"up after {output.lasting(time.monotonic() - began)}: service {addresses.url}, "
            f"MLflow {addresses.mlflow_url}, all state in {_HOME}",
            markup=False,
        )
        with Client(addresses.url) as service:
            yield service
        _heading(console, "Stop")


def _import(console: Console, service: Client, data: Path | None) -> Dataset:
    if data is None:
        _heading(console, "Import: made data, bodies that move and a sensor on the wrist")
        asked = service.import_synthetic("synthetic")
    else:
        _heading(console, f"Import: {data}")
        asked = service.import_path(data, name="utd-mhad")
    dataset = service.wait_for_dataset(asked.id)
    output.print_dataset(dataset)
    return dataset


def _held_out(service: Client, dataset: Dataset, job: Job) -> list[RecordingSummary]:
    """One recording of each of the first few classes, by a subject of the test part."""
    run = next(service.runs(job.id))
    tested = service.report(run.id).report["test"]["per_subject"]
    first_of_class: dict[str, RecordingSummary] = {}
    for recording in service.recordings(dataset.id):
        if recording.subject in tested:
            first_of_class.setdefault(recording.label, recording)
    return list(first_of_class.values())[:_MOST_CLASSES]


def _classify(
    console: Console, service: Client, dataset: Dataset, recordings: Sequence[RecordingSummary], data: Path | None
) -> None:
    _heading(console, "Classify: recordings of a subject that no network has seen")
    rows = []
    with tempfile.TemporaryDirectory(prefix="pskd-demo-") as folder:
        for place, recording in enumerate(recordings):
            file = _as_file(service, dataset, recording, Path(folder), data)
            answer = service.classify(_DISTILLED, file)
            if place == 0:
                print_timeline(console, file.name, answer)
                console.print(f"  truth: {recording.label}, subject {recording.subject}\n", markup=False, style="bold")
            right = "right" if answer.label == recording.label else "wrong"
            rows.append(
                [file.name, recording.label, answer.label, output.per_cent(max(answer.probabilities.values())), right]
            )
    output.print_table(rows, ["file", "truth", "answer", "probability", ""])


def _as_file(service: Client, dataset: Dataset, recording: RecordingSummary, folder: Path, data: Path | None) -> Path:
    """The recording's own file where there is one, else a CSV such as a phone app writes."""
    own = next(data.rglob(f"{recording.id}_inertial.mat"), None) if data is not None and data.is_dir() else None
    if own is not None:
        return own
    series = service.recording(dataset.id, recording.id).series["accelerometer"]
    file = folder / f"{recording.id}.csv"
    with file.open("w", newline="") as sink:
        table = csv.writer(sink)
        table.writerow(["time (s)", *(f"{axis} ({series.unit})" for axis in series.axes)])
        table.writerows([at_s, *values] for at_s, values in zip(series.t_s, series.values, strict=True))
    return file


def _heading(console: Console, text: str) -> None:
    console.print()
    if console.is_terminal:
        console.print(Rule(text, align="left"))
    else:
        console.print(f"== {text}", markup=False)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    sys.exit(main())
