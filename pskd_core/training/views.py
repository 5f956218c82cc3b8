"""The augmented batches of a run, and which of their samples each teacher has."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

from pskd_core.config import Augment, JobSpec
from pskd_core.data.augment import Mix, augment_batch, draw_mix, mixed
from pskd_core.data.batches import Clips, batch_order, channel_statistics
from pskd_core.data.columnar import SKELETON, DatasetInfo
from pskd_core.parallel import ALONE, Split, Team
from pskd_core.seed import torch_seed
from pskd_core.shapes import IntArray
from pskd_core.training.schedule import Phase


@dataclass(frozen=True)
class Batch:
    """One augmented view of some training clips. A process of several holds the inputs of its own alone."""

    inputs: dict[str, torch.Tensor]
    labels: torch.Tensor  # (N,)
    split: Split
    # Of each teacher that some of these samples lack, and of no other: a whole batch is used as it is.
    present: dict[str, torch.Tensor] = field(default_factory=dict)  # (N,) bool
    rows: dict[str, torch.Tensor] = field(default_factory=dict)  # the samples that have it
    splits: dict[str, Split] = field(default_factory=dict)  # how these are divided
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
        rows, split = self.rows[teacher], self.splits[teacher]
        share, other = (None if part is None else part[rows] for part in (self.share, self.other))
        return Batch(self._inputs_of(rows[split.mine]), self.labels[rows], split, share=share, other=other)

    def _inputs_of(self, own: torch.Tensor) -> dict[str, torch.Tensor]:
        """At these samples of the batch, which are this process's; for none, zeros in the place of one, for form."""
        if not len(own):
            return {stream: torch.zeros_like(values[:1]) for stream, values in self.inputs.items()}
        first = self.split.mine.start
        return {stream: values[own - first] for stream, values in self.inputs.items()}

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`; a copy to a GPU leaves pinned memory and overlaps with what runs there."""
        if device.type == "cpu":
            return self
        inputs, present, rows = (
            {key: _move(value, device) for key, value in each.items()}
            for each in (self.inputs, self.present, self.rows)
        )
        share, other = (None if part is None else _move(part, device) for part in (self.share, self.other))
        return Batch(inputs, _move(self.labels, device), self.split, present, rows, self.splits, share, other)


def _move(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    return tensor.pin_memory().to(device, non_blocking=True)


class Views:
    """The training clips of a run, ready to be seen in ever new views."""

    def __init__(
        self, clips: Clips, spec: JobSpec, *, info: DatasetInfo, seed: int, device: torch.device, team: Team = ALONE
    ) -> None:
        self.clips, self.spec, self.info, self.seed, self.device, self.team = clips, spec, info, seed, device, team
        self.worn_at = {name: stream.worn_at for name, stream in info.streams.items() if name != SKELETON}
        self.channel_sd = {stream: figures.sd for stream, figures in channel_statistics(clips).items()}
        self.steps_per_epoch = len(batch_order(len(clips), batch_size=spec.training.batch_size, seed=seed, epoch=0))
        teachers = {name: network for name, network in spec.networks.items() if name != "student"}
        held = {name: clips.holding(network.inputs) for name, network in teachers.items()}
        # Of each teacher that some training clips lack.
        self.lacking = {name: mask for name, mask in held.items() if not mask.all()}

    def batches(self, phase: Phase, *, epoch: int) -> Iterator[Batch]:
        """The augmented batches of one epoch.

        Teachers and student draw their views from separate streams; a joint step shares the teachers', whose course
        is then the same as under every other schedule.
        """
        views = torch_seed(self.seed, "views", "student" if phase == "student" else "teachers")
        config = self.spec.augment
        if phase == "teachers" and self.spec.augment_teachers is not None:
            config = self.spec.augment_teachers
        order = batch_order(len(self.clips), batch_size=self.spec.training.batch_size, seed=views, epoch=epoch)
        for number, rows in enumerate(order):
            mix = None
            if alpha := config.mixup:
                mix = draw_mix(len(rows), seed=views, epoch=epoch, batch=number, alpha=alpha)
            split = self.team.split(len(rows))
            inputs = self._inputs(rows, split, mix, config, seed=views, epoch=epoch)
            yield self._batch(rows, inputs, split, mix).to(self.device)

    def _inputs(
        self, rows: IntArray, split: Split, mix: Mix | None, config: Augment, *, seed: int, epoch: int
    ) -> dict[str, torch.Tensor]:
        """This process's samples; for a mix, it makes the views of their partners as well, whosever they are."""
        own = np.arange(len(rows))[split.mine]
        seen = own if mix is None else np.union1d(own, mix.partner[own])
        clips = self.clips.take(rows[seen])
        views = augment_batch(
            clips.streams,
            clips.ids,
            seed=seed,
            epoch=epoch,
            config=config,
            channel_sd=self.channel_sd,
            skeleton=self.info.skeleton,
            worn_at=self.worn_at,
        )
        if mix is not None:
            mine, partner = (np.searchsorted(seen, samples) for samples in (own, mix.partner[own]))
            views = {stream: mixed(view[mine], view[partner], mix.share[own]) for stream, view in views.items()}
        return {stream: torch.from_numpy(view) for stream, view in views.items()}

    def _batch(self, rows: IntArray, inputs: dict[str, torch.Tensor], split: Split, mix: Mix | None) -> Batch:
        held = {name: mask[rows] for name, mask in self.lacking.items()}
        if mix is not None:  # a mix holds what both of its clips hold
            held = {name: mask & mask[mix.partner] for name, mask in held.items()}
        held = {name: mask for name, mask in held.items() if not mask.all()}
        present = {name: torch.from_numpy(mask) for name, mask in held.items()}
        samples = {name: np.flatnonzero(mask) for name, mask in held.items()}
        positions = {name: torch.from_numpy(each) for name, each in samples.items()}
        splits = {name: split.of(each) for name, each in samples.items()}
        labels = torch.from_numpy(self.clips.labels[rows])
        if mix is None:
            return Batch(inputs, labels, split, present, positions, splits)
        share, other = torch.from_numpy(mix.share), labels[torch.from_numpy(mix.partner)]
        return Batch(inputs, labels, split, present, positions, splits, share, other)
