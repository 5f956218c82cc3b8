"""One run, from a spec, a fold and a seed to scores, predictions and an exported student.

The command line and the worker both go through here, so they give the same numbers.
"""

import copy
import math
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from pskd_core.backbones import RandomForest
from pskd_core.bundle import BundleInfo, Calibration, Figures
from pskd_core.config import JobSpec, configuration_hash
from pskd_core.data.batches import Clips, channel_statistics, prepare_clips
from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import Fold, complete
from pskd_core.errors import NonFiniteLossError, SpecError
from pskd_core.evaluation.calibration import HeldOut, Judged, Space, calibrate, distances, embedding_space
from pskd_core.evaluation.evaluate import embed, predict, refresh_batch_norm
from pskd_core.evaluation.metrics import Scores, scores
from pskd_core.export import OPSET, created_by, durations, export_bundle, holds_gravity
from pskd_core.fields import Frozen
from pskd_core.files import atomic_directory
from pskd_core.models.cost import count_macs, count_parameters
from pskd_core.models.forest import Forest
from pskd_core.parallel import ALONE, Team
from pskd_core.ranks import together
from pskd_core.shapes import Logits
from pskd_core.training.answers import RecordingTrainer, ReplayingTrainer, answers_key
from pskd_core.training.checkpoint import load_checkpoint, save_checkpoint
from pskd_core.training.forest import fit_forest
from pskd_core.training.loop import Trainer, train
from pskd_core.training.meter import EpochReport
from pskd_core.training.schedule import epoch_plan
from pskd_core.training.state import new_state

Part = Literal["test", "validation"]


class PartScores(Frozen):
    """One network's figures on the parts that the fold has."""

    test: Scores | None
    validation: Scores | None


class RunOutcome(Frozen):
    """What one run measured."""

    seed: int
    fold: str
    test: Scores | None
    validation: Scores | None
    teachers: dict[str, PartScores]
    epochs: int
    steps: int
    train_n: int
    teachers_train_n: dict[str, int] = Field(
        default={}, description="training recordings that have a teacher's streams"
    )
    parameters: int
    macs: int
    calibration: Calibration | None = Field(default=None, description="the student's; null: nothing was held out")
    environment: dict[str, str] = Field(default={}, description="versions and machine; empty: not recorded")


class Run:
    """Networks in training on one fold with one seed; fresh, or from a checkpoint folder."""

    def __init__(
        self,
        dataset: Dataset,
        spec: JobSpec,
        fold: Fold,
        seed: int,
        *,
        resume: Path | None = None,
        answers: Path | None = None,
        answers_limit_bytes: int = 20 * 2**30,
        inner: HeldOut | None = None,
    ) -> None:
        """Prepare clips and networks.

        Args:
            dataset: what to train on.
            spec: the job.
            fold: one of its folds.
            seed: one of its seeds.
            resume: a checkpoint to go on from.
            answers: the folder of its teachers' answers. If it is there the teachers are not trained again; if not, a
                run that starts afresh leaves it.
            answers_limit_bytes: answers that would take more are not kept.
            inner: of a refit, what its inner folds held out; its student is calibrated on that.

        Raises:
            DataError: the training part is empty or lacks a stream.
            SpecError: there are fewer recordings or GPUs than processes.
            CheckpointError: `resume` is damaged or of another run.
        """
        torch.set_num_threads(spec.training.threads)
        self.dataset, self.spec, self.fold, self.seed = dataset, spec, fold, seed
        self.identity: dict[str, Any] = {
            "configuration": configuration_hash(spec),
            "dataset": dataset.digest,
            "fold": fold.name,
            "seed": seed,
        }
        self.device = pick_device(spec)
        check_processes(spec, recordings=len(fold.train), gpus=_gpus(self.device))
        began_at = time.monotonic()
        self.train_clips = prepare_clips(dataset, fold.train, spec)
        self.preparing_s = time.monotonic() - began_at
        self._resume, self._answers, self._answers_limit_bytes = resume, answers, answers_limit_bytes
        self._inner = inner
        # Looked at once: a folder that comes or goes meanwhile must not change how this run trains.
        self.replays = answers is not None and answers.exists()
        if self.replays:
            # Its teachers have no course that could be resumed without these answers.
            self.identity["answers"] = teachers_key(dataset, spec, fold, seed)
        self.state = new_state(spec, dataset.info, seed=seed, device=self.device)
        statistics = channel_statistics(self.train_clips)
        for learner in self.state.learners.values():
            learner.network.set_normalisation(statistics)
        if self.state.averaged is not None:
            self.state.averaged.set_normalisation(statistics)
        self._prepared: dict[tuple[int, ...], Clips] = {}
        if resume is not None:
            load_checkpoint(resume, self.state, self.identity)

    @property
    def total_epochs(self) -> int:
        """Epochs of the whole plan, over all phases."""
        return len(epoch_plan(self.spec.method, epochs=self.spec.epochs))

    def epochs(self, on_step: Callable[[int], None] | None = None) -> Iterator[EpochReport]:
        """Train on, one report an epoch; `validation/accuracy` is added after the student's epochs.

        Args:
            on_step: called with the steps done after every one; it may raise to stop the run.
        """
        on_step = on_step or _nothing
        if isinstance(self.spec.student.backbone, RandomForest):
            reports = fit_forest(self.state, self.train_clips, self.spec, seed=self.seed, on_step=on_step)
        else:
            reports = self._train(on_step)
        for report in reports:
            if report.phase != "teachers" and self.fold.validation:
                clips, logits = self._predict(self.state.student.network, "student", "validation")
                accuracy = float((logits.argmax(axis=1) == clips.labels).mean())
                yield replace(report, metrics={**report.metrics, "validation/accuracy": accuracy})
            else:
                yield report

    def _train(self, on_step: Callable[[int], None]) -> Iterator[EpochReport]:
        processes = self.spec.resources.processes
        if processes == 1:
            yield from self._train_in(ALONE, on_step)
            return
        answers = self._answers if self.replays else None  # those that are to be kept are kept by this process
        own = (self.dataset.path, self.spec, self.fold, self.seed, self._resume, answers)
        with together(_help, own, processes=processes, device="cuda" if self.device.type == "cuda" else "cpu") as team:
            yield from self._train_in(team, on_step)

    def _train_in(self, team: Team, on_step: Callable[[int], None]) -> Iterator[EpochReport]:
        """Train on, as one of a team's processes."""
        arguments = (self.state, self.train_clips, self.spec)
        options: dict[str, Any] = {"info": self.dataset.info, "seed": self.seed, "team": team}
        key = teachers_key(self.dataset, self.spec, self.fold, self.seed)
        if self._answers is None or key is None or (self.state.epoch and not self.replays):
            yield from train(Trainer(*arguments, **options), on_step=on_step)
        elif self.replays:
            yield from train(ReplayingTrainer(*arguments, folder=self._answers, key=key, **options), on_step=on_step)
        else:
            options |= {"key": key, "limit_bytes": self._answers_limit_bytes}
            with _kept(self._answers) as folder:
                trainer = RecordingTrainer(*arguments, folder=folder, **options)
                yield from train(trainer, on_step=on_step)
                if not trainer.recording:
                    raise _TooLarge
                trainer.close()

    def checkpoint(self, directory: Path, *, owner: str = "") -> None:
        """Save the state at the end of the last epoch; `directory` must not exist. `owner` makes the bytes its own."""
        save_checkpoint(directory, self.state, self.identity, owner=owner)

    def finish(self) -> RunOutcome:
        """Judge the trained networks on validation and test parts; call it once the epochs are done."""
        teachers = {
            name: PartScores(
                test=self._scores(self.state.learners[name].network, name, "test"),
                validation=self._scores(self.state.learners[name].network, name, "validation"),
            )
            for name in self.state.teacher_names
        }
        return RunOutcome(
            seed=self.seed,
            fold=self.fold.name,
            test=self._scores(self.evaluated, "student", "test"),
            validation=self._scores(self.evaluated, "student", "validation"),
            teachers=teachers,
            epochs=self.state.epoch,
            steps=self.state.steps,
            train_n=len(self.train_clips),
            teachers_train_n={
                name: int(self.train_clips.holding(self.spec.networks[name].inputs).sum())
                for name in self.state.teacher_names
            },
            parameters=count_parameters(self.evaluated),
            macs=count_macs(self.evaluated, self._example(1)),
            calibration=self.calibration,
            environment=environment(self.spec),
        )

    def save_predictions(self, file: Path) -> None:
        """Write ids, subjects, labels and the student's logits of each part to an `.npz` file without pickles.

        Of the validation part also distances and logits without gravity, on which a refit's student is calibrated.
        """
        arrays: dict[str, np.ndarray] = {}
        for part in self._parts():
            clips, logits = self._predict(self.evaluated, "student", part)
            arrays[f"{part}_ids"] = np.array(clips.ids, dtype=np.str_)
            arrays[f"{part}_subjects"] = np.array(clips.subjects, dtype=np.str_)
            arrays[f"{part}_labels"] = clips.labels
            arrays[f"{part}_logits"] = logits
        if (held_out := self._held_out) is not None:
            arrays["validation_distances"] = held_out.distances
            if held_out.gravity_free is not None:
                arrays["validation_gravity_free"] = held_out.gravity_free
        np.savez(file, allow_pickle=False, **arrays)

    def export(self, directory: Path) -> BundleInfo | None:
        """Export the evaluated student into a new folder; null unless a single accelerometer is all it reads.

        A forest is not exported either: what serving feeds is a clip, and its features are no part of a graph.

        Raises:
            ParityError: the exported network disagrees with its source.
        """
        inputs = self.spec.student.inputs
        units = [self.dataset.info.streams[name].unit for name in inputs]
        if units != ["g"] or isinstance(self.evaluated, Forest):
            return None
        test = self._scores(self.evaluated, "student", "test")
        info = BundleInfo(
            classes=self.dataset.info.classes,
            inputs=inputs,
            frames=self.spec.preprocess.sensor_frames,
            durations_s=durations(self.train_clips),
            gravity=self._gravity,
            dataset=self.dataset.info.name,
            dataset_digest=self.dataset.digest,
            protocol=self.spec.protocol.model_dump(mode="json"),
            spec=self.spec.model_dump(mode="json"),
            seed=self.seed,
            fold=self.fold.name,
            test=Figures(accuracy=test.accuracy, macro_f1=test.macro_f1, n=test.n) if test else None,
            calibration=self.calibration,
            parameters=count_parameters(self.evaluated),
            macs=count_macs(self.evaluated, self._example(1)),
            opset=OPSET,
            created_by=created_by(),
        )
        examples = np.concatenate([self.train_clips.streams[name][:16] for name in inputs], axis=1)
        export_bundle(directory, copy.deepcopy(self.evaluated).cpu(), info, space=self._space, examples=examples)
        return info

    @cached_property
    def evaluated(self) -> nn.Module:
        """The student that is judged and exported: averaged weights if the spec asks for them, else the last."""
        if self.state.averaged is None:
            return self.state.student.network
        network = copy.deepcopy(self.state.averaged)
        refresh_batch_norm(network, self.train_clips, device=self.device)
        return network

    @cached_property
    def calibration(self) -> Calibration | None:
        """How sure the evaluated student may be; null if nothing was held out of training, and for a forest."""
        held_out = self._held_out or self._inner
        if isinstance(self.evaluated, Forest) or held_out is None:
            return None
        test = self._predict(self.evaluated, "student", "test") if "test" in self._parts() else None
        return calibrate(held_out, test=Judged(test[1], test[0].labels) if test is not None else None)

    @cached_property
    def _held_out(self) -> HeldOut | None:
        """What the evaluated student says of the validation part; null if there is none, and for a forest."""
        if isinstance(self.evaluated, Forest) or "validation" not in self._parts():
            return None
        clips, logits = self._predict(self.evaluated, "student", "validation")
        return HeldOut(
            logits,
            clips.labels,
            distances=distances(self._space, embed(self.evaluated, clips, device=self.device)),
            gravity_free=self._without_gravity(clips) if self._gravity else None,
        )

    @cached_property
    def _space(self) -> Space:
        return embedding_space(embed(self.evaluated, self.train_clips, device=self.device), self.train_clips.labels)

    @cached_property
    def _gravity(self) -> bool:
        """Whether all that the student reads is one accelerometer, and that holds gravity."""
        inputs = self.spec.student.inputs
        units = [self.dataset.info.streams[name].unit for name in inputs]
        return units == ["g"] and holds_gravity(self.train_clips.streams[inputs[0]])

    def _without_gravity(self, clips: Clips) -> Logits:
        """Logits of the clips less their mean, as near to what a phone calls linear acceleration as a clip allows."""
        (name,) = self.spec.student.inputs
        values = clips.streams[name]
        free = replace(clips, streams={name: values - values.mean(axis=2, keepdims=True)})
        return predict(self.evaluated, free, device=self.device)

    def _scores(self, network: nn.Module, name: str, part: Part) -> Scores | None:
        if not self._usable(name, part):
            return None
        clips, logits = self._predict(network, name, part)
        return scores(logits, clips.labels, clips.subjects)

    def _predict(self, network: nn.Module, name: str, part: Part) -> tuple[Clips, Logits]:
        indices = self._usable(name, part)
        if indices not in self._prepared:
            self._prepared[indices] = prepare_clips(self.dataset, indices, self.spec)
        clips = self._prepared[indices]
        logits = predict(network, clips, device=self.device)
        if not np.isfinite(logits).all():  # the last step's loss was finite, its update was not
            raise NonFiniteLossError(network=name, term="logits", step=self.state.steps, value=math.nan)
        return clips, logits

    def _usable(self, name: str, part: Part) -> tuple[int, ...]:
        """Recordings of a part that carry what a network reads; a teacher may find fewer than the student."""
        indices = self.fold.test if part == "test" else self.fold.validation
        return complete(self.dataset.recordings, indices, self.spec.networks[name].inputs)

    def _parts(self) -> list[Part]:
        parts: tuple[Part, ...] = ("test", "validation")
        return [part for part in parts if self._usable("student", part)]

    def _example(self, count: int) -> dict[str, torch.Tensor]:
        """The student's inputs of the first `count` training clips."""
        clips = self.train_clips.take(np.arange(count))
        return {name: torch.from_numpy(clips.streams[name]).to(self.device) for name in self.spec.student.inputs}


def _nothing(_steps: int) -> None:
    pass


def _help(
    join: Callable[[], Team],
    dataset: Path,
    spec: JobSpec,
    fold: Fold,
    seed: int,
    resume: Path | None,
    answers: Path | None,
) -> None:
    """Train beside the process that owns the run, with a state that only follows its."""
    run = Run(Dataset.open(dataset), spec, fold, seed, resume=resume, answers=answers)
    for _ in run._train_in(join(), _nothing):  # noqa: SLF001 - the same run in another process
        pass


def teachers_key(dataset: Dataset, spec: JobSpec, fold: Fold, seed: int) -> str | None:
    """What names the answers of a run's teachers; null if it has none, or they depend on its student."""
    return answers_key(
        spec,
        dataset_digest=dataset.digest,
        train_ids=[dataset.recordings[index].id for index in fold.train],
        seed=seed,
        machine=environment(spec),
    )


class _TooLarge(Exception):
    """The answers are not to be kept."""


@contextmanager
def _kept(answers: Path) -> Iterator[Path]:
    """A folder that becomes `answers` when the block ends, unless another run was faster with the same."""
    try:
        with suppress(_TooLarge), atomic_directory(answers) as folder:
            yield folder
    except OSError:
        if not answers.exists():
            raise


def pick_device(spec: JobSpec) -> torch.device:
    """The device a spec asks for; `auto` takes a GPU if there is one."""
    wanted = spec.resources.device
    return torch.device("cuda" if wanted == "auto" and torch.cuda.is_available() else wanted.replace("auto", "cpu"))


def _gpus(device: torch.device) -> int | None:
    return torch.cuda.device_count() if device.type == "cuda" else None


def check_processes(spec: JobSpec, *, recordings: int, gpus: int | None) -> None:
    """Refuse more processes than can have work; `gpus` is null where none are used. Raises SpecError."""
    processes, pointer = spec.resources.processes, "/resources/processes"
    if recordings < processes:
        raise SpecError(f"{processes} processes cannot share {recordings} training recordings", pointer=pointer)
    if gpus is not None and processes > 1 and gpus < processes:
        raise SpecError(
            f"{processes} processes need as many GPUs, and this run has {gpus}; lower resources.processes, or use a "
            "worker with more GPUs for each of its PSKD_RUNS_AT_ONCE",
            pointer=pointer,
        )


def environment(spec: JobSpec) -> dict[str, str]:
    """Versions, machine and number of processes (if several), as far as they may change a figure."""
    device, processes = pick_device(spec), spec.resources.processes
    packages = {name: version(name) for name in ("pskd", "torch", "numpy", "onnxruntime")}
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    machine = {"machine": platform.machine(), "device": device.type, "processor": str(processor)}
    together = {"processes": str(processes)} if processes > 1 else {}
    return {"python": platform.python_version(), **machine, **together, **packages}
