"""The augmented batches of a run, and which of their samples each teacher has."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from pskd_core.config import JobSpec
from pskd_core.data.augment import Mix, augment_batch, draw_mix, mixed
from pskd_core.data.batches import Clips, batch_order, channel_statistics
from pskd_core.data.columnar import SKELETON, DatasetInfo
from pskd_core.seed import torch_seed
from pskd_core.training.schedule import Phase


@dataclass(frozen=True)
class Batch:
    """One augmented view of some training clips."""

    inputs: dict[str, torch.Tensor]
    labels: torch.Tensor  # (N,)
    # Of each teacher that some of these samples lack, and of no other: a whole batch is used as it is.
    present: dict[str, torch.Tensor] = field(default_factory=dict)  # (N,) bool
    rows: dict[str, torch.Tensor] = field(default_factory=dict)  # the samples that have it
    # Of mixed samples: the share (N,) of `labels`, and the class (N,) that has the rest.
    share: torch.Tensor | None = None
    other: torch.Tensor | None = None

    def targets(self, classes: int) -> torch.Tensor | None:
        """The share of each class in mixed samples (N, K); null where samples are whole."""
        if self.share is None or self.other is None:
            return None
        own, other = (F.one_hot(labels, classes).float() for labels in (self.labels, self.other))
        return torch.lerp(other, own, self.share.unsqueeze(1))

    def of(self, teacher: str) -> "Batch":
        """The samples that a teacher has."""
        if teacher not in self.rows:
            return self
        rows = self.rows[teacher]
        inputs = {stream: values[rows] for stream, values in self.inputs.items()}
        share, other = (None if part is None else part[rows] for part in (self.share, self.other))
        return Batch(inputs, self.labels[rows], share=share, other=other)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`; a copy to a GPU leaves pinned memory and overlaps with what runs there."""
        if device.type == "cpu":
            return self
        present, rows = (
            {key: _move(value, device) for key, value in each.items()} for each in (self.present, self.rows)
        )
        inputs = {stream: _move(values, device) for stream, values in self.inputs.items()}
        share, other = (None if part is None else _move(part, device) for part in (self.share, self.other))
        return Batch(inputs, _move(self.labels, device), present, rows, share, other)


def _move(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    return tensor.pin_memory().to(device, non_blocking=True)


class Views:
    """The training clips of a run, ready to be seen in ever new views."""

    def __init__(self, clips: Clips, spec: JobSpec, *, info: DatasetInfo, seed: int, device: torch.device) -> None:
        self.clips, self.spec, self.info, self.seed, self.device = clips, spec, info, seed, device
        self.worn_at = {name: stream.worn_at for name, stream in info.streams.items() if name != SKELETON}
        self.channel_sd = {stream: figures.sd for stream, figures in channel_statistics(clips).items()}
        self.steps_per_epoch = len(batch_order(len(clips), batch_size=spec.training.batch_size, seed=seed, epoch=0))
        teachers = {name: network for name, network in spec.networks.items() if name != "student"}
        # Of each teacher that some training clips lack.
        self.lacking = {
            name: network.inputs for name, network in teachers.items() if not clips.holding(network.inputs).all()
        }

    def batches(self, phase: Phase, *, epoch: int) -> Iterator[Batch]:
        """The augmented batches of one epoch.

        Teachers and student draw their views from separate streams; a joint step shares the teachers', whose course
        is then the same as under every other schedule.
        """
        views = torch_seed(self.seed, "views", "student" if phase == "student" else "teachers")
        order = batch_order(len(self.clips), batch_size=self.spec.training.batch_size, seed=views, epoch=epoch)
        for number, rows in enumerate(order):
            clips = self.clips.take(rows)
            views_of_batch = augment_batch(
                clips.streams,
                clips.ids,
                seed=views,
                epoch=epoch,
                config=self.spec.augment,
                channel_sd=self.channel_sd,
                skeleton=self.info.skeleton,
                worn_at=self.worn_at,
            )
            mix = None
            if alpha := self.spec.augment.mixup:
                mix = draw_mix(len(clips), seed=views, epoch=epoch, batch=number, alpha=alpha)
                views_of_batch = {stream: mixed(view, mix) for stream, view in views_of_batch.items()}
            inputs = {stream: torch.from_numpy(view) for stream, view in views_of_batch.items()}
            yield self._batch(clips, inputs, mix).to(self.device)

    def _batch(self, clips: Clips, inputs: dict[str, torch.Tensor], mix: Mix | None) -> Batch:
        held = {name: clips.holding(streams) for name, streams in self.lacking.items()}
        if mix is not None:  # a mix holds what both of its clips hold
            held = {name: mask & mask[mix.partner] for name, mask in held.items()}
        present = {name: torch.from_numpy(mask) for name, mask in held.items() if not mask.all()}
        rows = {name: mask.nonzero().squeeze(1) for name, mask in present.items()}
        labels = torch.from_numpy(clips.labels)
        if mix is None:
            return Batch(inputs, labels, present, rows)
        return Batch(inputs, labels, present, rows, torch.from_numpy(mix.share), labels[torch.from_numpy(mix.partner)])
