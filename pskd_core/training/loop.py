"""Progressive distillation from top to bottom: a generator that trains and yields one report an epoch.

The caller owns everything else: database, tracking, checkpoints, cancellation. It may raise from `on_step` to stop.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from pskd_core.config import Distill, JobSpec, PerStep
from pskd_core.data.augment import augment_batch
from pskd_core.data.batches import Clips, batch_order, channel_statistics
from pskd_core.data.columnar import SkeletonInfo
from pskd_core.errors import NonFiniteLossError
from pskd_core.losses import cross_entropy, soft_target_kl
from pskd_core.models.output import Output
from pskd_core.objective import objective
from pskd_core.seed import torch_seed
from pskd_core.training.meter import EpochReport, Meter
from pskd_core.training.optim import apply_step, learning_rate
from pskd_core.training.schedule import Phase, epoch_plan
from pskd_core.training.state import Learner, TrainingState, update_average


@dataclass(frozen=True)
class Batch:
    """One augmented view of some training clips."""

    inputs: dict[str, torch.Tensor]
    labels: torch.Tensor  # (N,)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`; a copy to a GPU leaves pinned memory and overlaps with what runs there."""
        if device.type == "cpu":
            return self
        return Batch(
            {stream: _move(values, device) for stream, values in self.inputs.items()}, _move(self.labels, device)
        )


def _move(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    return tensor.pin_memory().to(device, non_blocking=True)


def train(
    state: TrainingState,
    clips: Clips,
    spec: JobSpec,
    *,
    skeleton: SkeletonInfo | None,
    seed: int,
    on_step: Callable[[int], None],
) -> Iterator[EpochReport]:
    """Train from `state.epoch` to the end of the plan, changing `state` in place.

    Args:
        state: networks and counters, fresh or from a checkpoint.
        clips: prepared training clips.
        spec: what to do.
        skeleton: of the dataset, for augmentation.
        seed: of data order, views and dropout.
        on_step: called with the number of optimisation steps done; raising from it stops the training.

    Yields:
        One report an epoch; `state` is then at that epoch's end and may be saved.

    Raises:
        NonFiniteLossError: a loss is NaN or infinite.
    """
    plan = epoch_plan(spec.method, epochs=spec.epochs)
    trainer = Trainer(state, clips, spec, skeleton=skeleton, seed=seed)
    for index in range(state.epoch, len(plan)):
        phase = plan[index]
        meter = Meter()
        for batch in trainer.batches(phase, epoch=plan[:index].count(phase)):
            if phase != "student":
                trainer.teach(batch, meter)
            if phase != "teachers":
                trainer.distil(batch, meter)
            on_step(state.steps)
        state.epoch = index + 1
        yield EpochReport(index, len(plan), phase, state.steps, meter.means())


class Trainer:
    """The steps of one run: teachers on labels, the student on labels and teachers."""

    def __init__(
        self, state: TrainingState, clips: Clips, spec: JobSpec, *, skeleton: SkeletonInfo | None, seed: int
    ) -> None:
        self.state, self.clips, self.spec, self.skeleton, self.seed = state, clips, spec, skeleton, seed
        self.channel_sd = {stream: figures.sd for stream, figures in channel_statistics(clips).items()}
        self.teachers = {name: state.learners[name] for name in state.teacher_names}
        self.steps_per_epoch = len(batch_order(len(clips), batch_size=spec.training.batch_size, seed=seed, epoch=0))
        schedule = spec.method.schedule if isinstance(spec.method, Distill) else None
        self.pull = schedule.pull if isinstance(schedule, PerStep) else 0.0

    def batches(self, phase: Phase, *, epoch: int) -> Iterator[Batch]:
        """The augmented batches of one epoch.

        Teachers and student draw their views from separate streams; a joint step shares the teachers', whose course
        is then the same as under every other schedule.
        """
        views = torch_seed(self.seed, "views", "student" if phase == "student" else "teachers")
        order = batch_order(len(self.clips), batch_size=self.spec.training.batch_size, seed=views, epoch=epoch)
        for rows in order:
            clips = self.clips.take(rows)
            views_of_batch = augment_batch(
                clips.streams,
                clips.ids,
                seed=views,
                epoch=epoch,
                config=self.spec.augment,
                channel_sd=self.channel_sd,
                skeleton=self.skeleton,
            )
            inputs = {stream: torch.from_numpy(values) for stream, values in views_of_batch.items()}
            yield Batch(inputs, torch.from_numpy(clips.labels)).to(self.state.device)

    def teach(self, batch: Batch, meter: Meter) -> None:
        """One step of every teacher on the labels, with an optional pull toward the student."""
        pulled = self._guide(self.state.student, batch) if self.pull else None
        for name, teacher in self.teachers.items():
            output = self._forward(teacher, name, batch)
            terms = {"ce": self._label_loss(output, batch)}
            total = terms["ce"]
            if pulled is not None:
                terms["pull"] = soft_target_kl(output.logits, pulled.logits, temperature=1.0).mean()
                total = total + self.pull * terms["pull"]
            self._update(name, teacher, total, terms, batch, meter)

    def distil(self, batch: Batch, meter: Meter) -> None:
        """One step of the student; the teachers are frozen, in evaluation mode, on the same view."""
        guides = {name: self._guide(teacher, batch) for name, teacher in self.teachers.items()}
        student = self.state.student
        output = self._forward(student, "student", batch)
        if not isinstance(self.spec.method, Distill):
            loss = self._label_loss(output, batch)
            self._update("student", student, loss, {"ce": loss}, batch, meter)
        else:
            smoothing = self.spec.training.label_smoothing
            result = objective(output, guides, batch.labels, loss=self.spec.method.loss, label_smoothing=smoothing)
            self._update("student", student, result.total, result.terms, batch, meter)
            for name, weight in zip(guides, result.weights, strict=True):
                meter.add(f"student/follows/{name}", weight.mean(), samples=len(batch.labels))
        if self.state.averaged is not None and self.spec.training.ema_decay is not None:
            decay = self.spec.training.ema_decay
            update_average(self.state.averaged, student.network, decay=decay, step=student.steps)

    def _forward(self, learner: Learner, name: str, batch: Batch) -> Output:
        # Dropout has a stream of its own per network and step: resuming needs no generator state, and no network's
        # draws depend on which others train beside it.
        torch.manual_seed(torch_seed(self.seed, "dropout", name, learner.steps))
        learner.network.train()
        return self._call(learner, batch)

    @torch.no_grad()
    def _guide(self, learner: Learner, batch: Batch) -> Output:
        learner.network.eval()
        return self._call(learner, batch)

    def _call(self, learner: Learner, batch: Batch) -> Output:
        bf16 = self.spec.training.precision == "bf16"
        with torch.autocast(self.state.device.type, dtype=torch.bfloat16, enabled=bf16):
            output: Output = learner.network(batch.inputs)
        return Output(*(part.float() for part in output)) if bf16 else output

    def _label_loss(self, output: Output, batch: Batch) -> torch.Tensor:
        smoothing = self.spec.training.label_smoothing
        return cross_entropy(output.logits, batch.labels, label_smoothing=smoothing).mean()

    def _update(
        self,
        name: str,
        learner: Learner,
        total: torch.Tensor,
        terms: dict[str, torch.Tensor],
        batch: Batch,
        meter: Meter,
    ) -> None:
        self._refuse_non_finite(name, total, terms)
        rate = learning_rate(
            learner.config,
            step=learner.steps,
            total_steps=self.steps_per_epoch * self.spec.training.epochs,
            steps_per_epoch=self.steps_per_epoch,
        )
        apply_step(learner.network, learner.optimiser, total, rate=rate, clip_norm=learner.config.gradient_clip_norm)
        learner.steps += 1
        for term, value in {**terms, "total": total}.items():
            meter.add(f"{name}/{term}", value, samples=len(batch.labels))

    def _refuse_non_finite(self, name: str, total: torch.Tensor, terms: dict[str, torch.Tensor]) -> None:
        if math.isfinite(total.item()):
            return
        values = {term: value.item() for term, value in terms.items()} | {"total": total.item()}
        term = next(term for term, value in values.items() if not math.isfinite(value))
        raise NonFiniteLossError(network=name, term=term, step=self.state.steps, value=values[term])
