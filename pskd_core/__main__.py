"""`python -m pskd_core train`: the whole method on one machine, without a service."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pskd_core.config import JobSpec, configuration_hash, parse_spec, preset_names
from pskd_core.data.columnar import Dataset
from pskd_core.data.importing import import_dataset
from pskd_core.data.splits import Fold, plan_folds
from pskd_core.data.synthetic import SyntheticSource
from pskd_core.errors import CheckpointError, PskdError, SpecError
from pskd_core.evaluation.metrics import PartSummary, Spread, Summary, summarise
from pskd_core.run import Run, RunOutcome, environment, pick_device, teachers_key

CHECKPOINT_EVERY_S = 20.0
console = Console(stderr=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status (0 done, 1 refused or failed; argparse exits with 2 on usage)."""
    options = _parser().parse_args(arguments)
    try:
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
                _run(
                    dataset,
                    spec,
                    fold,
                    seed,
                    folder=out / "runs" / f"{_file_name(fold.name)}-seed{seed}",
                    teachers=options.teachers,
                    progress=progress,
                )
                for seed in spec.seeds
                for fold in folds
            ]
    summary = summarise(outcomes, folds=folds)
    _write_json(out / "result.json", result(spec, outcomes, summary))
    _print_summary(spec, summary, out / "result.json")


def read_spec(options: argparse.Namespace) -> JobSpec:
    """The spec file, then `--preset`, `--protocol` and `--seeds` over it.

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
        "environment": environment(pick_device(spec)),
    }


def _run(
    dataset: Dataset, spec: JobSpec, fold: Fold, seed: int, *, folder: Path, teachers: Path | None, progress: Progress
) -> RunOutcome:
    finished = folder / "outcome.json"
    if finished.exists():
        return RunOutcome.model_validate_json(finished.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(".*.partial"):  # of a command that was killed while it wrote
        shutil.rmtree(leftover)
    key = teachers_key(dataset, spec, fold, seed)
    answers = teachers / key if teachers is not None and key is not None else None
    run = _resumed(dataset, spec, fold, seed, folder=folder, answers=answers)
    task = progress.add_task(f"{fold.name} seed {seed}", total=run.total_epochs, completed=run.state.epoch, note="")
    saved_at = time.monotonic()
    for report in run.epochs():
        progress.update(task, completed=report.index + 1, note=_note(report.phase, report.metrics))
        if time.monotonic() - saved_at > CHECKPOINT_EVERY_S and report.index + 1 < report.total:
            _save(run, folder)
            saved_at = time.monotonic()
    return _finish(run, folder)


def _resumed(dataset: Dataset, spec: JobSpec, fold: Fold, seed: int, *, folder: Path, answers: Path | None) -> Run:
    """The run at its last checkpoint, or afresh if there is none that can be read."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), reverse=True):
        try:
            return Run(dataset, spec, fold, seed, resume=checkpoint, answers=answers)
        except CheckpointError as unusable:
            console.print(f"[yellow]warning:[/] {escape(str(unusable))}", highlight=False, soft_wrap=True)
    return Run(dataset, spec, fold, seed, answers=answers)


def _finish(run: Run, folder: Path) -> RunOutcome:
    outcome = run.finish()
    run.save_predictions(folder / "predictions.npz")
    shutil.rmtree(folder / "bundle", ignore_errors=True)
    run.export(folder / "bundle")
    _write_json(folder / "outcome.json", outcome.model_dump(mode="json"))
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    return outcome


def _save(run: Run, folder: Path) -> None:
    old = list(folder.glob("checkpoint-*"))
    run.checkpoint(folder / f"checkpoint-{run.state.epoch:05d}")
    for checkpoint in old:
        shutil.rmtree(checkpoint)


def _claim(out: Path, spec: JobSpec, dataset: Dataset) -> None:
    """Refuse a folder that holds another configuration's runs."""
    identity = {"configuration": configuration_hash(spec), "dataset": dataset.digest}
    claim = out / "identity.json"
    if claim.exists() and json.loads(claim.read_text(encoding="utf-8")) != identity:
        raise SpecError(f"{out} holds runs of another spec or dataset; choose another --out folder", pointer="")
    _write_json(claim, identity)


def _write_json(file: Path, content: Any) -> None:
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", encoding="utf-8") as out:
        json.dump(content, out, indent=1, sort_keys=True, allow_nan=False)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)


def _file_name(fold: str) -> str:
    return fold.replace("/", "_").replace(":", "-")


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
    train = parser.add_subparsers(dest="command", required=True).add_parser("train", help="train and evaluate a spec")
    train.add_argument("spec", nargs="?", type=Path, metavar="SPEC.yaml", help="a job spec")
    train.add_argument("--preset", help=f"a recipe: {', '.join(preset_names())}")
    train.add_argument("--data", type=Path, metavar="PATH", help="a dataset's folder or zip (default: synthetic)")
    train.add_argument("--protocol", metavar="NAME", help="cross_subject, cross_trial, loso, …")
    train.add_argument("--seeds", type=_seeds, metavar="0,1,…", help="seeds, separated by commas")
    train.add_argument(
        "--teachers",
        type=Path,
        metavar="DIR",
        help="keep the teachers' answers here, and train no teachers whose answers are here already",
    )
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for result.json, bundles, runs")
    return parser


def _seeds(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
