"""One run in a folder of its own: a finished one is not repeated, a stopped one goes on from its checkpoint.

The folder holds `epochs.jsonl` (a line an epoch), checkpoints while it trains, then `predictions.npz`, perhaps the
bundle and, written last, `outcome.json`.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pskd_core.config import JobSpec
from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import Fold
from pskd_core.errors import CheckpointError
from pskd_core.evaluation.calibration import HeldOut, pool_held_out, read_held_out
from pskd_core.run import Run, RunOutcome, teachers_key
from pskd_core.training.meter import EpochReport

CHECKPOINT_EVERY_S = 20.0
OUTCOME, PREDICTIONS, EPOCHS = "outcome.json", "predictions.npz", "epochs.jsonl"


class Listener:
    """Hears how a run goes; this one does nothing with it."""

    def began(self, done: int, total: int) -> None:
        """The run begins, or goes on after `done` of `total` epochs."""

    def step(self, steps: int) -> None:
        """So many optimisation steps are done; raising from it stops the run."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch has ended."""

    def warn(self, text: str) -> None:
        """Something is amiss, and the run goes on."""


def run_in_folder(
    dataset: Dataset,
    spec: JobSpec,
    fold: Fold,
    seed: int,
    *,
    folder: Path,
    teachers: Path | None,
    export: bool,
    listener: Listener,
) -> RunOutcome:
    """Train, judge and perhaps export, or read what an earlier call has left; `teachers` keeps their answers.

    A refit is calibrated on what its inner folds have left in the folders beside its own.
    """
    finished = folder / OUTCOME
    if finished.exists():
        return RunOutcome.model_validate_json(finished.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(".*.partial"):  # of a command that was killed while it wrote
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    key = teachers_key(dataset, spec, fold, seed)
    answers = teachers / key if teachers is not None and key is not None else None
    inner = _inner_folds(folder.parent, fold, seed)
    run = _resumed(
        folder, listener, lambda resume: Run(dataset, spec, fold, seed, resume=resume, answers=answers, inner=inner)
    )
    listener.began(run.state.epoch, run.total_epochs)
    saved_at = time.monotonic()
    for report in _logged(run, folder / EPOCHS, listener):
        listener.epoch(report)
        if time.monotonic() - saved_at > CHECKPOINT_EVERY_S and report.index + 1 < report.total:
            _save(run, folder)
            saved_at = time.monotonic()
    return _finish(run, folder, export=export)


def write_json(file: Path, content: Any) -> None:
    """Write a file that appears whole or not at all; equal content gives equal bytes."""
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", encoding="utf-8") as out:
        json.dump(content, out, indent=1, sort_keys=True, allow_nan=False)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)


def folder_name(fold: str, seed: int) -> str:
    """What a run's folder is called among those of its spec."""
    return f"{fold.replace('/', '_').replace(':', '-')}-seed{seed}"


def _inner_folds(runs: Path, fold: Fold, seed: int) -> HeldOut | None:
    """What a refit's inner folds held out; null unless all have ended, and of forests."""
    folders = [runs / folder_name(name, seed) for name in fold.inner]
    files = [folder / PREDICTIONS if (folder / OUTCOME).exists() else None for folder in folders]
    return pool_held_out([read_held_out(file.read_bytes(), file=str(file)) if file else None for file in files])


def _resumed(folder: Path, listener: Listener, make: Callable[[Path | None], Run]) -> Run:
    """The run at its last checkpoint, or afresh if there is none that can be read."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), reverse=True):
        try:
            return make(checkpoint)
        except CheckpointError as unusable:
            listener.warn(str(unusable))
    return make(None)


def _logged(run: Run, log: Path, listener: Listener) -> Iterator[EpochReport]:
    """The run's epochs, each also a line of the log; lines after the checkpoint that it went on from are dropped."""
    kept = log.read_text(encoding="utf-8").splitlines()[: run.state.epoch] if log.exists() else []
    began_at = time.monotonic()
    with log.open("w", encoding="utf-8") as lines:
        lines.writelines(f"{line}\n" for line in kept)
        for report in run.epochs(listener.step):
            took_s = time.monotonic() - began_at
            entry = {"phase": report.phase, "metrics": report.metrics, "took_s": round(took_s, 3)}
            lines.write(json.dumps(entry, sort_keys=True) + "\n")
            lines.flush()
            yield report
            began_at = time.monotonic()


def _finish(run: Run, folder: Path, *, export: bool) -> RunOutcome:
    outcome = run.finish()
    run.save_predictions(folder / PREDICTIONS)
    if export:
        shutil.rmtree(folder / "bundle", ignore_errors=True)
        run.export(folder / "bundle")
    write_json(folder / OUTCOME, outcome.model_dump(mode="json"))
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    return outcome


def _save(run: Run, folder: Path) -> None:
    old = list(folder.glob("checkpoint-*"))
    run.checkpoint(folder / f"checkpoint-{run.state.epoch:05d}")
    for checkpoint in old:
        shutil.rmtree(checkpoint)
