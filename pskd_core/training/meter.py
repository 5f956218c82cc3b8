"""What an epoch measures, and how it is summed up."""

from dataclasses import dataclass

import torch

from pskd_core.training.schedule import Phase


@dataclass(frozen=True)
class EpochReport:
    """What one epoch measured: means over its samples, by flat names such as `student/mk`."""

    index: int
    total: int
    phase: Phase
    steps: int
    metrics: dict[str, float]


class Meter:
    """Sample-weighted means, kept on the device until the epoch ends."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, name: str, value: torch.Tensor, *, samples: int) -> None:
        """Count a batch mean `value` over `samples` samples."""
        weighted = value.detach().double() * samples
        self._sums[name] = self._sums[name] + weighted if name in self._sums else weighted
        self._counts[name] = self._counts.get(name, 0) + samples

    def means(self) -> dict[str, float]:
        """The means by name."""
        return {name: float(total) / self._counts[name] for name, total in self._sums.items()}
