"""`python -m pskd_core train | reproduce`: the whole method on one machine, without a service."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pskd_core.config import JobSpec, configuration_hash, merge, parse_spec, preset_names
from pskd_core.data.columnar import Dataset
from pskd_core.data.importing import import_dataset
from pskd_core.data.splits import plan_folds
from pskd_core.data.synthetic import SyntheticSource
from pskd_core.errors import PskdError, SpecError
from pskd_core.evaluation.metrics import PartSummary, Spread, Summary, summarise
from pskd_core.experiments import (
    ExperimentName,
    default_preset,
    experiment,
    parse_seeds,
    protocol_fields,
    row_specs,
)
from pskd_core.folder import Listener, folder_name, run_in_folder, write_json
from pskd_core.report.markdown import sentences
from pskd_core.report.write import write_report
from pskd_core.reproduce import reproduce
from pskd_core.run import RunOutcome, environment
from pskd_core.training.meter import EpochReport

console = Console(stderr=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status (0 done, 1 refused or failed; argparse exits with 2 on usage)."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "reproduce":
            reproduce_command(options)
        else:
            train_command(options)
    except PskdError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from the last checkpoint")
        return 130
    return 0


def train_command(options: argparse.Namespace) -> None:
    """Train every fold and seed of the spec and write `result.json`; finished runs are not repeated."""
    spec = read_spec(options)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    with opened_dataset(options.data) as dataset:
        _claim(out, spec, dataset)
        folds = plan_folds(spec, dataset.info, dataset.recordings)
        with _progress() as progress:
            outcomes = [
                run_in_folder(
                    dataset,
                    spec,
                    fold,
                    seed,
                    folder=out / "runs" / folder_name(fold.name, seed),
                    teachers=options.teachers,
                    export=True,
                    listener=_Bar(progress, f"{fold.name} seed {seed}"),
                )
                for seed in spec.seeds
                for fold in folds
            ]
    summary = summarise(outcomes, folds=folds)
    write_json(out / "result.json", result(spec, outcomes, summary))
    _print_summary(spec, summary, out / "result.json")


def reproduce_command(options: argparse.Namespace) -> None:
    """Run one of the paper's experiments and write its report; finished runs are not repeated."""
    with opened_dataset(options.data) as dataset:
        chosen = experiment(options.experiment, layout=dataset.info.layout)
        preset = options.preset or default_preset(dataset.info.layout)
        protocol = protocol_fields(options.protocol, options.subjects, lambda: _training_subjects(dataset))
        common = {"protocol": protocol, "seeds": options.seeds}
        specs = row_specs(chosen, preset=preset, common=common, settings=options.settings)
        first = specs[chosen.reference]
        cores = first.training.threads * first.resources.processes
        jobs = options.jobs or max(1, (os.cpu_count() or 1) // cores)
        report = reproduce(chosen, specs, dataset, options.out, preset=preset, jobs=jobs, console=console)
    written = write_report(report, options.out / chosen.name)
    for sentence in sentences(report):
        Console().print(f"- {sentence}", markup=False, highlight=False)
    console.print(f"written to {written}", highlight=False)


def _training_subjects(dataset: Dataset) -> Sequence[str]:
    split = dataset.info.protocols.get("cross_subject")
    if split is None:
        raise SpecError("the dataset has no protocol cross_subject; name the subjects with --subjects 1,2,…")
    return split.train


def read_spec(options: argparse.Namespace) -> JobSpec:
    """The spec file, then `--preset`, `--protocol`, `--seeds` and `--processes` over it.

    Raises:
        SpecError: the file is no mapping, or a field is wrong.
    """
    fields: dict[str, Any] = {}
    if options.spec is not None:
        try:
            loaded = yaml.safe_load(options.spec.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as unreadable:
            raise SpecError(f"{options.spec} cannot be read: {unreadable}") from unreadable
        if not isinstance(loaded, dict):
            raise SpecError(f"{options.spec} must hold a mapping of spec fields")
        fields = loaded
    if options.preset is not None:
        fields["preset"] = options.preset
    if options.protocol is not None:
        loso = options.protocol == "loso"
        fields["protocol"] = {"kind": "loso"} if loso else {"kind": "named", "name": options.protocol}
    if options.seeds is not None:
        fields["seeds"] = options.seeds
    if options.processes is not None:
        fields = merge(fields, {"resources": {"processes": options.processes}})
    return parse_spec(fields)


@contextmanager
def opened_dataset(source: Path | None) -> Iterator[Dataset]:
    """The dataset at `source`, or the synthetic one, imported into a temporary folder while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="pskd-") as scratch:
        destination = Path(scratch) / "dataset"
        report = import_dataset(source if source is not None else SyntheticSource(), destination)
        origin = source if source is not None else "made on the spot; give --data PATH for your own"
        console.print(f"{report.name}: {report.recordings} recordings ({origin})", highlight=False)
        for problem in report.problems:
            if problem.severity != "info":
                text = ": ".join(filter(None, [problem.file, problem.detail]))
                console.print(f"[yellow]{problem.severity}:[/] {escape(text)}", highlight=False, soft_wrap=True)
        yield Dataset.open(destination)


def result(spec: JobSpec, outcomes: Sequence[RunOutcome], summary: Summary) -> dict[str, Any]:
    """What `result.json` holds; nothing in it depends on the time, so equal runs give equal files."""
    return {
        "runs": [outcome.model_dump(mode="json") for outcome in outcomes],
        "summary": summary.model_dump(mode="json"),
        "spec": spec.model_dump(mode="json"),
        "configuration_hash": configuration_hash(spec),
        "environment": environment(spec),
    }


class _Bar(Listener):
    """Shows a run as a bar."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress, self._label = progress, label

    def began(self, done: int, total: int) -> None:
        """A bar appears."""
        self._task = self._progress.add_task(self._label, total=total, completed=done, note="")

    def epoch(self, report: EpochReport) -> None:
        """The bar grows."""
        self._progress.update(self._task, completed=report.index + 1, note=_note(report.phase, report.metrics))

    def warn(self, text: str) -> None:
        """A line above the bars."""
        console.print(f"[yellow]warning:[/] {escape(text)}", highlight=False, soft_wrap=True)


def _claim(out: Path, spec: JobSpec, dataset: Dataset) -> None:
    """Refuse a folder that holds another configuration's runs."""
    identity = {"configuration": configuration_hash(spec), "dataset": dataset.digest}
    claim = out / "identity.json"
    if claim.exists() and json.loads(claim.read_text(encoding="utf-8")) != identity:
        raise SpecError(f"{out} holds runs of another spec or dataset; choose another --out folder", pointer="")
    write_json(claim, identity)


def _note(phase: str, metrics: dict[str, float]) -> str:
    shown = {"student/total": "loss", "validation/accuracy": "validation"}
    parts = [f"{label} {metrics[name]:.3f}" for name, label in shown.items() if name in metrics]
    return " ".join([phase, *parts])


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"), console=console)


def _print_summary(spec: JobSpec, summary: Summary, file: Path) -> None:
    table = Table(title=f"{spec.method.kind}, student on {' + '.join(spec.student.inputs)}", title_justify="left")
    for column in ("part", "accuracy", "macro-F1", "N", "seeds"):
        table.add_column(column)
    for part, figures in (("test", summary.test), ("validation", summary.validation)):
        if figures is not None:
            table.add_row(part, *_figures(figures))
    Console().print(table)
    console.print(f"written to {file}", highlight=False)


def _figures(summary: PartSummary) -> list[str]:
    return [_per_cent(summary.accuracy), _per_cent(summary.macro_f1), str(summary.n), str(summary.n_seeds)]


def _per_cent(figure: Spread) -> str:
    spread = f" ± {100 * figure.sd:.2f}" if figure.sd is not None else ""
    return f"{100 * figure.mean:.2f}{spread} %"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pskd_core", description="Cross-modal distillation, no service.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_train(commands.add_parser("train", help="train and evaluate a spec"))
    _add_reproduce(commands.add_parser("reproduce", help="run an experiment of the paper and write a report"))
    return parser


def _add_train(train: argparse.ArgumentParser) -> None:
    train.add_argument("spec", nargs="?", type=Path, metavar="SPEC.yaml", help="a job spec")
    train.add_argument("--preset", help=f"a recipe: {', '.join(preset_names())}")
    train.add_argument("--data", type=Path, metavar="PATH", help="a dataset's folder or zip (default: synthetic)")
    train.add_argument("--protocol", metavar="NAME", help="cross_subject, cross_trial, loso, …")
    train.add_argument("--seeds", type=_seeds, metavar="0,1,…", help="seeds, separated by commas")
    train.add_argument("--processes", type=int, metavar="N", help="how many train a run together (default: 1)")
    train.add_argument(
        "--teachers",
        type=Path,
        metavar="DIR",
        help="keep the teachers' answers here, and train no teachers whose answers are here already",
    )
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for result.json, bundles, runs")


def _add_reproduce(command: argparse.ArgumentParser) -> None:
    command.add_argument("experiment", choices=get_args(ExperimentName))
    command.add_argument("--data", type=Path, metavar="PATH", help="a dataset's folder or zip (default: synthetic)")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="runs, and a folder for the report")
    command.add_argument(
        "--seeds", type=parse_seeds, default=[0, 1, 2], metavar="N|0,1,…", help="how many, or which (default: 3)"
    )
    command.add_argument("--protocol", metavar="NAME", help="cross_subject (default), loso, inner_loso, …")
    command.add_argument(
        "--subjects", type=lambda text: text.split(","), default=[], metavar="1,3,…", help="for loso and inner_loso"
    )
    command.add_argument("--preset", help="the recipe (default: the dataset's own headline, else demo)")
    command.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="[ROW:]PATH=VALUE",
        help="such as training.epochs=10, or sp:method.loss.weight=30; repeatable",
    )
    command.add_argument("--jobs", type=int, metavar="N", help="runs at once (default: as the cores suffice)")


def _seeds(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
