"""What an epoch measures, and how it is summed up."""

from dataclasses import dataclass, field

import torch

from pskd_core.training.schedule import Phase


@dataclass(frozen=True)
class EpochReport:
    """What one epoch measured: means over its samples, by flat names such as `student/mk`.

    `by_class` has means over the samples of one class each, by the class's index behind a name: `student/follows/a/0`.
    """

    index: int
    total: int
    phase: Phase
    steps: int
    metrics: dict[str, float]
    by_class: dict[str, float] = field(default_factory=dict)


class Meter:
    """Sample-weighted means, kept on the device until the epoch ends."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}
        self._of_classes: dict[str, torch.Tensor] = {}

    def add(self, name: str, value: torch.Tensor, *, samples: int) -> None:
        """Count a batch mean `value` over `samples` samples."""
        weighted = value.detach().double() * samples
        self._sums[name] = self._sums[name] + weighted if name in self._sums else weighted
        self._counts[name] = self._counts.get(name, 0) + samples

    def means(self) -> dict[str, float]:
        """The means by name."""
        return {name: float(total) / self._counts[name] for name, total in self._sums.items()}

    def add_by_class(self, name: str, values: torch.Tensor, labels: torch.Tensor, *, classes: int) -> None:
        """Count each sample's value (N,) under its label (N,)."""
        ones = torch.ones_like(values, dtype=torch.float64)
        batch = torch.stack([values.detach().double(), ones])
        found = torch.zeros(2, classes, dtype=torch.float64, device=values.device).index_add_(1, labels, batch)
        self._of_classes[name] = self._of_classes[name] + found if name in self._of_classes else found

    def means_by_class(self) -> dict[str, float]:
        """The means of each class of which there was a sample, by name and index."""
        return {
            f"{name}/{index}": total / count
            for name, found in self._of_classes.items()
            for index, (total, count) in enumerate(zip(*found.tolist(), strict=True))
            if count
        }
