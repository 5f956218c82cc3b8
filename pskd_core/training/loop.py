"""Progressive distillation from top to bottom: a generator that trains and yields one report an epoch.

The caller owns everything else: database, tracking, checkpoints, cancellation. It may raise from `on_step` to stop.
"""

import math
from collections.abc import Callable, Iterator

import torch

from pskd_core.config import Distill, JobSpec
from pskd_core.data.batches import Clips
from pskd_core.data.columnar import DatasetInfo
from pskd_core.data.splits import FEWEST_SAMPLES
from pskd_core.distillation import Checkpoints, PerStep
from pskd_core.errors import NonFiniteLossError
from pskd_core.losses import cross_entropy, soft_target_kl
from pskd_core.models.output import Output
from pskd_core.objective import objective
from pskd_core.parallel import ALONE, Team, forward, gathered
from pskd_core.seed import torch_seed
from pskd_core.training.meter import EpochReport, Meter
from pskd_core.training.optim import apply_step, learning_rate
from pskd_core.training.schedule import Phase, epoch_plan
from pskd_core.training.snapshots import keep_snapshot, meet_snapshot
from pskd_core.training.state import Learner, TrainingState, update_average
from pskd_core.training.views import Batch, Views


def train(trainer: "Trainer", *, on_step: Callable[[int], None]) -> Iterator[EpochReport]:
    """Train from the state's epoch to the end of the plan, changing the state in place.

    Args:
        trainer: the networks and how they step.
        on_step: called with the number of optimisation steps done; raising from it stops the training.

    Yields:
        One report an epoch; the state is then at that epoch's end and may be saved.

    Raises:
        NonFiniteLossError: a loss is NaN or infinite.
    """
    state, plan = trainer.state, epoch_plan(trainer.spec.method, epochs=trainer.spec.epochs)
    for index in range(state.epoch, len(plan)):
        phase, epoch = plan[index], plan[:index].count(plan[index])
        meter = Meter()
        trainer.begin(phase, epoch)
        for batch in trainer.batches(phase, epoch):
            if phase != "student":
                trainer.teach(batch, meter)
            if phase != "teachers":
                trainer.distil(batch, meter)
            on_step(state.steps)
        trainer.end(phase, epoch)
        metrics = trainer.report(meter.means())
        state.epoch = index + 1
        yield EpochReport(index, len(plan), phase, state.steps, metrics, meter.means_by_class())


class Trainer:
    """The steps of one run: teachers on labels, the student on labels and teachers."""

    def __init__(
        self, state: TrainingState, clips: Clips, spec: JobSpec, *, info: DatasetInfo, seed: int, team: Team = ALONE
    ) -> None:
        self.state, self.spec, self.seed, self.team = state, spec, seed, team
        self.views = Views(clips, spec, info=info, seed=seed, device=state.device, team=team)
        self.teachers = {name: state.learners[name] for name in state.teacher_names}
        self.schedule = spec.method.schedule if isinstance(spec.method, Distill) else None
        self.pull = self.schedule.pull if isinstance(self.schedule, PerStep) else 0.0

    def begin(self, phase: Phase, epoch: int) -> None:
        """Before a phase's epoch `epoch`."""
        if isinstance(self.schedule, Checkpoints) and phase == "student":
            meet_snapshot(self.state, every=self.schedule.every, epoch=epoch)

    def batches(self, phase: Phase, epoch: int) -> Iterator[Batch]:
        """The views of a phase's epoch `epoch`."""
        return self.views.batches(phase, epoch=epoch)

    def end(self, phase: Phase, epoch: int) -> None:
        """After a phase's epoch `epoch`."""
        if isinstance(self.schedule, Checkpoints) and phase == "teachers":
            keep_snapshot(self.state, every=self.schedule.every, epoch=epoch, epochs=self.spec.training.epochs)

    def report(self, metrics: dict[str, float]) -> dict[str, float]:
        """What to report of an epoch that measured `metrics`."""
        return metrics

    def teach(self, batch: Batch, meter: Meter) -> None:
        """One step of every teacher on the labels of the samples it has, with an optional pull toward the student."""
        pulled = self._guide(self.state.student, batch) if self.pull else None
        for name, teacher in self.teachers.items():
            own = batch.of(name)
            if name in self.views.lacking:
                trained = len(own.labels) if len(own.labels) >= FEWEST_SAMPLES else 0
                meter.add(f"{name}/present", torch.tensor(trained / len(batch.labels)), samples=len(batch.labels))
                if not trained:
                    teacher.steps += 1  # the learning rate runs its whole course, however many batches are skipped
                    continue
            output = self._forward(teacher, name, own)
            terms = {"ce": self._label_loss(output, own)}
            total = terms["ce"]
            if pulled is not None:
                target = pulled.logits if name not in batch.rows else pulled.logits[batch.rows[name]]
                terms["pull"] = soft_target_kl(output.logits, target, temperature=1.0).mean()
                total = total + self.pull * terms["pull"]
            self._update(name, teacher, total, terms, own, meter)

    def distil(self, batch: Batch, meter: Meter) -> None:
        """One step of the student; the teachers are frozen, in evaluation mode, on the same view."""
        guides, student = self.guides(batch), self.state.student
        output = self._forward(student, "student", batch)
        if not isinstance(self.spec.method, Distill):
            loss = self._label_loss(output, batch)
            self._update("student", student, loss, {"ce": loss}, batch, meter)
        else:
            result = objective(
                output,
                guides,
                batch.labels,
                loss=self.spec.method.loss,
                label_smoothing=self.spec.training.label_smoothing,
                present=batch.present,
                regressors=student.regressors.by_teacher,
                targets=batch.targets(output.logits.shape[1]),
            )
            self._update("student", student, result.total, result.terms, batch, meter)
            for name, weight in zip(guides, result.weights, strict=True):
                follows, classes = f"student/follows/{name}", output.logits.shape[1]
                meter.add(follows, weight.mean(), samples=len(batch.labels))
                meter.add_by_class(follows, weight, batch.labels, classes=classes)
        if self.state.averaged is not None and self.spec.training.ema_decay is not None:
            decay = self.spec.training.ema_decay
            update_average(self.state.averaged, student.network, decay=decay, step=student.steps)

    def guides(self, batch: Batch) -> dict[str, Output]:
        """What each teacher answers to a batch."""
        return {name: self._guide(teacher, batch) for name, teacher in self.teachers.items()}

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
            output = forward(learner.network, batch.inputs, batch.split)
        output = Output(*(part.float() for part in output)) if bf16 else output
        return gathered(output, batch.split)

    def _label_loss(self, output: Output, batch: Batch) -> torch.Tensor:
        targets = batch.targets(output.logits.shape[1])
        labels = batch.labels if targets is None else targets
        return cross_entropy(output.logits, labels, label_smoothing=self.spec.training.label_smoothing).mean()

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
            total_steps=self.views.steps_per_epoch * self.spec.training.epochs,
            steps_per_epoch=self.views.steps_per_epoch,
        )
        clip_norm = learner.config.gradient_clip_norm
        apply_step(learner.trained, learner.optimiser, total, rate=rate, clip_norm=clip_norm, team=self.team)
        learner.steps += 1
        for term, value in {**terms, "total": total}.items():
            meter.add(f"{name}/{term}", value, samples=len(batch.labels))

    def _refuse_non_finite(self, name: str, total: torch.Tensor, terms: dict[str, torch.Tensor]) -> None:
        if math.isfinite(total.item()):
            return
        values = {term: value.item() for term, value in terms.items()} | {"total": total.item()}
        term = next(term for term, value in values.items() if not math.isfinite(value))
        raise NonFiniteLossError(network=name, term=term, step=self.state.steps, value=values[term])
