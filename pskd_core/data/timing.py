"""Streams that were sampled by clocks of their own, brought onto one span of time and an even grid each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pskd_core.data.columnar import Stream
from pskd_core.data.series import Array
from pskd_core.errors import DataError

_MOST_FILLED = 10  # samples on the grid for one that was read, beyond which a stream is nothing but gap
_COVER = 0.8  # share of the leading stream's time that another must cover to be kept with it


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """Samples (n, …) at their times on a clock that all streams of the recording share."""

    values: Array
    time_s: Array  # (n,), ascending
    rate_hz: float  # wanted


def in_order(values: Array, time_s: Array) -> tuple[Array, Array]:
    """Samples sorted by time, the first of those that share one."""
    order = np.argsort(time_s, kind="stable")
    values, time_s = values[order], time_s[order]
    fresh = np.diff(time_s, prepend=-np.inf) > 0
    return values[fresh], time_s[fresh]


def align(streams: Mapping[str, Timed], *, fewest: int) -> tuple[dict[str, Stream], dict[str, float]]:
    """Cut streams to the time that all of them cover, and resample each to its rate.

    The first stream leads: another that covers less than four fifths of its time would cost the recording too much,
    and is left out. The time kept is a whole number of periods of the slowest stream, so that all span the same.

    Returns:
        The streams, and of those left out the share of the leading one's time that they cover.

    Raises:
        DataError: the time that is covered holds fewer than `fewest` samples of a stream, or far more than it has.
    """
    lead = next(iter(streams.values()))
    covers = {name: _share(lead, stream) for name, stream in streams.items()}
    kept = {name: stream for name, stream in streams.items() if covers[name] >= _COVER}
    start_s = max(_start(stream) for stream in kept.values())
    slowest_hz = min(stream.rate_hz for stream in kept.values())
    # The tolerance keeps the last period of streams that end together but for rounding.
    periods = int((min(_end(stream) for stream in kept.values()) - start_s) * slowest_hz + 1e-3)
    if periods < fewest:
        raise DataError(f"its streams have {max(periods, 0)} samples in common; at least {fewest} are needed")
    duration_s = periods / slowest_hz
    for name, stream in kept.items():
        if duration_s * stream.rate_hz > _MOST_FILLED * len(stream.values):
            detail = f"{len(stream.values)} samples of {name} lie scattered over {duration_s:.0f} s: a time is wrong"
            raise DataError(detail)
    even = {name: _resampled(stream, start_s, duration_s) for name, stream in kept.items()}
    return even, {name: share for name, share in covers.items() if name not in kept}


def bridge(values: Array, bad: npt.NDArray[np.bool_]) -> Array:
    """Values (n, columns) with the marked ones replaced by straight lines between their neighbours in the column.

    Raises:
        DataError: a column has no good value; names it by number (from 1).
    """
    mended = values.copy()
    rows = np.arange(len(values))
    for column in np.flatnonzero(bad.any(axis=0)).tolist():
        wrong = bad[:, column]
        if wrong.all():
            raise DataError("no value of this column is usable", column=f"{column + 1}")
        mended[wrong, column] = np.interp(rows[wrong], rows[~wrong], values[~wrong, column])
    return mended


def bridge_unseen(positions: Array, unseen: npt.NDArray[np.bool_]) -> Array:
    """Positions (F, V, dims) with the points (F, V) that were not seen bridged; some point must be seen somewhere.

    A point that is never seen goes along with the middle of those that are.
    """
    whole, still = positions.copy(), unseen.copy()
    weight = (~unseen)[:, :, None]
    frames = weight.any(axis=(1, 2))
    for joint in np.flatnonzero(unseen.all(axis=0)).tolist():
        seen = np.where(weight[frames], positions[frames], 0)
        whole[frames, joint] = seen.sum(axis=1) / weight[frames].sum(axis=1)
        still[frames, joint] = False
    flat = whole.reshape(len(whole), -1)
    return bridge(flat, np.repeat(still, positions.shape[2], axis=1)).reshape(positions.shape)


def _start(stream: Timed) -> float:
    """A sample stands for one period, of which it is the middle."""
    return float(stream.time_s[0]) - 0.5 / stream.rate_hz


def _end(stream: Timed) -> float:
    return float(stream.time_s[-1]) + 0.5 / stream.rate_hz


def _share(lead: Timed, other: Timed) -> float:
    common = min(_end(lead), _end(other)) - max(_start(lead), _start(other))
    return max(common, 0.0) / (_end(lead) - _start(lead))


def _resampled(stream: Timed, start_s: float, duration_s: float) -> Stream:
    samples = max(round(duration_s * stream.rate_hz), 2)
    rate_hz = samples / duration_s
    flat = stream.values.reshape(len(stream.values), -1)
    # Relative times: Unix seconds leave a double 0.2 µs, and differences of them nothing better.
    grid_s, time_s = (np.arange(samples) + 0.5) / rate_hz, stream.time_s - start_s
    if len(time_s) == samples and np.abs(time_s - grid_s).max() * rate_hz < 1e-3:
        even = flat
    else:
        even = np.stack([np.interp(grid_s, time_s, column) for column in flat.T], axis=1)
    return Stream(even.reshape(samples, *stream.values.shape[1:]).astype(np.float32), rate_hz)
