"""The teachers' answers, kept, so that other students of the same teachers train without them.

Unless a teacher is pulled toward the student, nothing that a teacher does depends on the student: neither its course
nor the views that it is asked about. What it answered may then be written down once for each (dataset, training part,
seed, teachers, schedule), and every further student, whatever its loss, reads it instead of running the teachers. Bits
stay what they are, so a run that reads equals one that trains its teachers itself.

A folder holds `answers.json`, `epoch-*.safetensors` for every epoch of the plan in which the student trains (samples in
the order of its batches) and `teachers.safetensors`, the teachers' final weights.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pskd_core.config import Distill, JobSpec
from pskd_core.distillation import PerStep
from pskd_core.errors import CheckpointError
from pskd_core.models.output import Output
from pskd_core.training.loop import Trainer
from pskd_core.training.meter import Meter
from pskd_core.training.schedule import Phase
from pskd_core.training.views import Batch

FORMAT = 1
# An epoch's answers are gathered in memory before they are written.
LARGEST_EPOCH_BYTES = 256 * 2**20


def answers_key(
    spec: JobSpec, *, dataset_digest: str, train_ids: Sequence[str], seed: int, machine: dict[str, str]
) -> str | None:
    """SHA-256 (hex) of all that the teachers' answers depend on; null where there are none, or they need the student.

    Args:
        spec: of the run; nothing of its student and its loss counts, but its training part's recordings do.
        dataset_digest: of the dataset's content.
        train_ids: recordings of the training part, in order.
        seed: of the run.
        machine: what else the bits depend on: versions, processor.
    """
    method = spec.method
    if not isinstance(method, Distill) or (isinstance(method.schedule, PerStep) and method.schedule.pull):
        return None
    fields = spec.model_dump(
        mode="json", include={"feature_dim", "preprocess", "augment", "augment_teachers", "training"}
    )
    if fields["augment_teachers"] is None:  # as before there was such a field
        del fields["augment_teachers"]
    for of_the_student in ("student", "ema_decay"):
        del fields["training"][of_the_student]
    fields |= method.model_dump(mode="json", include={"teachers", "schedule"})
    fields |= {"format": FORMAT, "dataset": dataset_digest, "train": list(train_ids), "seed": seed, "machine": machine}
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class RecordingTrainer(Trainer):
    """Trains as ever and writes down what the teachers answer; from the first epoch on, or it would be incomplete.

    What would outgrow `limit_bytes`, or an epoch of it `LARGEST_EPOCH_BYTES`, is not written, and `recording` is false.
    """

    def __init__(self, *arguments: Any, folder: Path, key: str, limit_bytes: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.recording = True
        self._folder, self._key, self._limit_bytes = folder, key, limit_bytes
        self._epoch: list[dict[str, Output]] = []
        self._reports: list[dict[str, float]] = []

    def guides(self, batch: Batch) -> dict[str, Output]:
        """The answers, of which a copy is kept."""
        answers = super().guides(batch)
        if self.recording:
            self.recording = self._fits(answers)
        if self.recording:
            self._epoch.append({name: Output(*(part.cpu() for part in output)) for name, output in answers.items()})
        return answers

    def _fits(self, answers: dict[str, Output]) -> bool:
        parts = [part for output in answers.values() for part in output]
        epoch = sum(part.nbytes for part in parts) / len(parts[0]) * len(self.views.clips)
        return epoch <= LARGEST_EPOCH_BYTES and epoch * self.spec.training.epochs <= self._limit_bytes

    def report(self, metrics: dict[str, float]) -> dict[str, float]:
        """Write the epoch's answers, and what its teachers measured."""
        self._reports.append({name: value for name, value in metrics.items() if not name.startswith("student/")})
        if self._epoch:
            save_file(_joined(self._epoch), self._folder / _epoch_file(self.state.epoch), self._metadata)
            self._epoch = []
        return metrics

    def close(self) -> None:
        """After the last epoch: write what makes the folder complete."""
        weights = {
            f"{name}/{key}": value.detach().cpu().contiguous()
            for name, teacher in self.teachers.items()
            for key, value in teacher.network.state_dict().items()
        }
        save_file(weights, self._folder / "teachers.safetensors", self._metadata)
        content = json.dumps({"key": self._key, "reports": self._reports}, sort_keys=True)
        (self._folder / "answers.json").write_text(content, encoding="utf-8")

    @property
    def _metadata(self) -> dict[str, str]:
        # Two courses may begin alike; with the key in every file they share none, and either may be deleted.
        return {"key": self._key}


class ReplayingTrainer(Trainer):
    """Trains the student alone, on kept answers; the teachers stand at their end from the beginning.

    Raises:
        CheckpointError: the folder is damaged, or of other teachers.
    """

    def __init__(self, *arguments: Any, folder: Path, key: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._folder, self._key = folder, key
        self._epoch: Iterator[dict[str, Output]] = iter(())
        self.schedule = None  # whatever it was, there are no snapshots to walk through
        try:
            self._reports = _reports(folder, key)
            weights = load_file(folder / "teachers.safetensors")
            for name, teacher in self.teachers.items():
                prefix = f"{name}/"
                own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
                teacher.network.load_state_dict(own)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as damaged:
            raise self._damaged(damaged) from damaged

    def begin(self, phase: Phase, epoch: int) -> None:
        """Read the epoch's answers; count the steps that the teachers need not do again."""
        super().begin(phase, epoch)
        if phase != "student":
            for teacher in self.teachers.values():
                teacher.steps += self.views.steps_per_epoch
        if phase != "teachers":
            self._epoch = self._answers()

    def batches(self, phase: Phase, epoch: int) -> Iterator[Batch]:
        """Nothing is left to do in an epoch of the teachers."""
        return iter(()) if phase == "teachers" else super().batches(phase, epoch)

    def teach(self, batch: Batch, meter: Meter) -> None:
        """Has been done."""

    def guides(self, batch: Batch) -> dict[str, Output]:
        """The kept answers to this batch."""
        answers = next(self._epoch)
        if len(next(iter(answers.values())).logits) != len(batch.labels):
            raise self._damaged("its batches are of other sizes")
        return answers

    def report(self, metrics: dict[str, float]) -> dict[str, float]:
        """What the epoch's teachers measured when they trained joins what its student measures."""
        return {**self._reports[self.state.epoch], **metrics}

    def _answers(self) -> Iterator[dict[str, Output]]:
        try:
            kept = load_file(self._folder / _epoch_file(self.state.epoch), device=str(self.state.device))
        except (OSError, SafetensorError) as damaged:
            raise self._damaged(damaged) from damaged
        sizes = kept.pop("batches").tolist()
        parts = {key: torch.split(value, sizes) for key, value in kept.items()}
        for number in range(len(sizes)):
            yield {
                name: Output(*(parts[f"{name}/{part}"][number] for part in Output._fields)) for name in self.teachers
            }

    def _damaged(self, why: object) -> CheckpointError:
        return CheckpointError(f"the teachers' answers kept in {self._folder} are damaged; delete that folder: {why}")


def _reports(folder: Path, key: str) -> list[dict[str, float]]:
    kept = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    if kept["key"] != key:
        raise ValueError("they belong to other teachers")
    reports: list[dict[str, float]] = kept["reports"]
    return reports


def _epoch_file(epoch: int) -> str:
    return f"epoch-{epoch:05d}.safetensors"


def _joined(batches: Sequence[dict[str, Output]]) -> dict[str, Tensor]:
    """One tensor a teacher and part over all batches of an epoch; `batches` holds their sizes."""
    joined = {
        f"{name}/{part}": torch.cat([getattr(answers[name], part) for answers in batches])
        for name in batches[0]
        for part in Output._fields
    }
    sizes = [len(next(iter(answers.values())).logits) for answers in batches]
    return {**joined, "batches": torch.tensor(sizes)}
