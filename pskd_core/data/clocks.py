"""Samples that do not fit into memory, put onto an even grid by their times: `series.evenly`, in several passes."""

from collections.abc import Iterator

import numpy as np

from pskd_core.data.blocks import Rows, median
from pskd_core.data.headers import second_in
from pskd_core.data.series import EVEN, RESAMPLED, Array, bridged, grid_samples, left_out, longest_step_s, usual_rate
from pskd_core.errors import DataError


class Clock:
    """What the times of samples say of their rate, and of what lies between them.

    Args:
        raw: samples with their times, (n, 4).
        start: samples that are left out at the beginning.
        time_in_numbers: whether times are numbers, whose unit `time_name` or their steps tell, or Unix seconds.
        time_name: what the file calls them.
        file: for messages.

    Raises:
        DataError: times run backwards, do not tell the samples' places, or are mostly gap.
    """

    def __init__(self, raw: Rows, *, start: int, time_in_numbers: bool, time_name: str, file: str | None) -> None:
        self._raw, self._start, self._file = raw, start, file
        self._zero = float(next(raw.blocks())[0, 3])
        self._second = second_in(time_name, self._usual_step) if time_in_numbers else 1.0
        self._refuse_backwards()
        self._samples = sum(len(time_s) for _, time_s in self._fresh())
        self._origin_s = float(next(self._fresh())[1][0])
        self._end_s = max(float(time_s[-1]) for _, time_s in self._fresh()) - self._origin_s
        self.repairs: tuple[str, ...] = ()
        if repeated := raw.count - start - self._samples:
            self.repairs += (left_out(repeated, raw.count - start, file),)
        self.rate_hz, self.gaps = self._look_for_gaps()
        self._is_even = not self.gaps and self._deviation() < EVEN
        if not self._is_even:
            self.repairs += (RESAMPLED,)

    def samples(self) -> Iterator[Array]:
        """All samples at the constant rate, in blocks (m, 3)."""
        return (values for values, _ in self._fresh()) if self._is_even else self._resampled()

    def _usual_step(self) -> float:
        """In the file's own unit of time."""

        def rising() -> Iterator[Array]:
            return (step[step > 0] for step in _steps(block[:, 3] - self._zero for block in self._raw.blocks()))

        return median(rising) if any(map(len, rising())) else 1.0

    def _times(self) -> Iterator[tuple[Array, Array]]:
        """Samples (m, 3) and their times in seconds (m,)."""
        for block in self._raw.blocks(self._start):
            yield block[:, :3], (block[:, 3] - self._zero) * self._second

    def _refuse_backwards(self) -> None:
        if backwards := sum(int((step < 0).sum()) for step in _steps(time_s for _, time_s in self._times())):
            detail = f"times run backwards {backwards} times; sort the rows by time, or state the rate"
            raise DataError(detail, file=self._file)

    def _fresh(self) -> Iterator[tuple[Array, Array]]:
        """The same without samples that repeat the time of one before."""
        before = -np.inf
        for values, time_s in self._times():
            fresh = np.diff(time_s, prepend=before) > 0
            before = time_s[-1]
            if fresh.any():
                yield values[fresh], time_s[fresh]

    def _look_for_gaps(self) -> tuple[float, tuple[tuple[float, float], ...]]:
        """Samples a second, and gaps as (start, end) in seconds from the first sample."""
        longest_s = longest_step_s(median(lambda: _steps(time_s for _, time_s in self._fresh())))
        found = [np.empty((0, 2))]
        for _, time_s in _joined(self._fresh()):
            pause = np.flatnonzero(np.diff(time_s) > longest_s)
            found.append(np.stack([time_s[pause], time_s[pause + 1]], axis=1))
        gaps = np.concatenate(found)
        gaps_s = gaps[:, 1] - gaps[:, 0]
        rate_hz = usual_rate(self._samples, self._end_s, gaps_s, self._file)
        self._grid = grid_samples(self._end_s, self._samples, rate_hz, self._file)
        if len(gaps):
            self.repairs += (bridged(len(gaps), float(gaps_s.max()), self._file),)
        return rate_hz, tuple((round(start, 3), round(end, 3)) for start, end in (gaps - self._origin_s).tolist())

    def _deviation(self) -> float:
        """Of times from an even grid at most, in samples."""
        most, before = 0.0, 0
        for _, time_s in self._fresh():
            place = (time_s - self._origin_s) * self.rate_hz
            most = max(most, float(np.abs(place - np.arange(before, before + len(place))).max()))
            before += len(place)
        return most

    def _resampled(self) -> Iterator[Array]:
        made = 0
        for values, time_s in _joined(self._fresh()):
            elapsed = time_s - self._origin_s
            last = elapsed[-1] == self._end_s
            while made < self._grid:
                grid_s = np.arange(made, min(made + self._raw.block_rows, self._grid)) / self.rate_hz
                within = len(grid_s) if last else int(np.searchsorted(grid_s, elapsed[-1], side="right"))
                if within:
                    yield np.stack([np.interp(grid_s[:within], elapsed, column) for column in values.T], axis=1)
                made += within
                if within < len(grid_s):
                    break


def _joined(blocks: Iterator[tuple[Array, Array]]) -> Iterator[tuple[Array, Array]]:
    """Each block of samples and times begins with the last sample of the block before."""
    values, time_s = next(blocks)
    yield values, time_s
    for more_values, more_s in blocks:
        values, time_s = np.concatenate([values[-1:], more_values]), np.concatenate([time_s[-1:], more_s])
        yield values, time_s


def _steps(blocks: Iterator[Array]) -> Iterator[Array]:
    """Differences of neighbours, over the ends of blocks as well."""
    last = np.empty(0)
    for block in blocks:
        yield np.diff(np.concatenate([last, block]))
        last = block[-1:]
