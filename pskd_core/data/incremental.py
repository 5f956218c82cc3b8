"""Samples as they arrive, put onto an even grid and cut into windows, in memory that does not grow with them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pskd_core.data.series import EVEN, Array, longest_step_s
from pskd_core.shapes import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Samples of the grid; those of one without a gap before it follow on the samples of the stretch before."""

    values: Array  # (n, 3)
    gap_s: tuple[float, float] | None = None  # (last time before it, first time after it)


class Resampler:
    """Linear interpolation onto a grid of `rate_hz` that begins at the first sample, and anew after every gap.

    As in `evenly`, clocks near the grid are taken as on it, and a long step is a gap, here in either direction. Other
    samples that are no later than the one before are left out: they came too late to be sorted.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._longest_s = longest_step_s(1 / rate_hz)
        self._time_s: float | None = None  # of the last sample
        self._values, self._position = np.empty(3), 0.0  # of the last sample that was kept, in samples of the grid
        self._origin_s = 0.0  # of the grid
        self._made = 0  # samples of the grid since then

    def push(self, values: Array, time_s: Array) -> Iterator[Stretch]:
        """The grid's samples up to the last of these samples (n, 3) at their times (n,); both must be finite."""
        if not len(values):
            return
        before = time_s[0] if self._time_s is None else self._time_s
        jumps = np.flatnonzero(np.abs(np.diff(time_s, prepend=before)) > self._longest_s).tolist()
        for first, end in zip([0, *jumps], [*jumps, len(time_s)], strict=True):
            if first == end:  # a gap before the first of these samples
                continue
            gap_s = None
            if first in jumps and self._time_s is not None:
                gap_s, self._time_s = (self._time_s, float(time_s[first])), None
            yield Stretch(self._even(values[first:end], time_s[first:end]), gap_s)

    def _even(self, values: Array, time_s: Array) -> Array:
        if self._time_s is None:
            self._origin_s, self._made = float(time_s[0]), 0
        exact = (time_s - self._origin_s) * self._rate_hz
        nearest = np.round(exact)
        position = np.where(np.abs(exact - nearest) < EVEN, nearest, exact)
        if self._time_s is not None:
            values, position = np.vstack([self._values, values]), np.append(self._position, position)
        self._time_s = float(time_s[-1])
        fresh = np.diff(np.maximum.accumulate(position), prepend=-np.inf) > 0
        values, position = values[fresh], position[fresh]
        self._values, self._position = values[-1], float(position[-1])
        made, self._made = self._made, int(position[-1]) + 1
        grid = np.arange(made, self._made)
        return np.stack([np.interp(grid, position, column) for column in values.T], axis=1)


class Windower:
    """Cuts samples into windows of `length` that begin `hop` samples apart."""

    def __init__(self, length: int, hop: int) -> None:
        self.length, self.hop = length, hop
        self._kept: FloatArray = np.empty((0, 3), np.float32)
        self._start = 0  # of the first kept sample, in samples since the beginning
        self._next = 0  # of the next window

    def push(self, values: FloatArray) -> Iterator[tuple[int, FloatArray]]:
        """The windows (length, 3) that these samples (n, 3) complete, each with its start in samples."""
        kept = np.concatenate([self._kept, values])
        while (offset := self._next - self._start) + self.length <= len(kept):
            yield self._next, kept[offset : offset + self.length]
            self._next += self.hop
        dropped = min(offset, len(kept))
        self._kept, self._start = kept[dropped:].copy(), self._start + dropped
