"""From a recording's samples to a network's fixed-size input: the one preprocessing of training and of serving."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pskd_core.data.columnar import SkeletonInfo
from pskd_core.errors import DataError
from pskd_core.shapes import FloatArray, IntArray


def stretch(values: FloatArray, frames: int) -> FloatArray:
    """Resample a series to `frames` samples, evenly spaced over its relative time, by linear interpolation.

    First and last sample stay what they are, and a series that already has `frames` samples comes back bit by bit.
    There is no anti-aliasing filter: human movement lies below some 10 Hz and clips are shortened by a factor of
    about 2.5 at most, while a filter as wide as the clip is long would treat slow and fast trials differently.

    Args:
        values: (n, …), any number of trailing axes, n ≥ 1.
        frames: T.

    Returns:
        (T, …).

    Raises:
        DataError: there is no sample.
    """
    stretched: FloatArray = stretch_windows(values, [0], len(values), frames)[0]
    return stretched


def stretch_windows(values: FloatArray, starts: Sequence[int], length: int, frames: int) -> FloatArray:
    """`stretch` of the windows `values[start : start + length]`, all in one gather.

    Returns:
        (number of starts, T, …), bit for bit what `stretch` gives for each window alone.
    """
    if length < 1:
        raise DataError("there is no sample to resample")
    left, weight = _grid(length, frames)
    first = np.asarray(starts)[:, None] + left  # (windows, T)
    weight = weight.reshape(-1, *[1] * (values.ndim - 1))
    low, high = values.take(first, axis=0), values.take(first + min(1, length - 1), axis=0)
    return np.asarray(low * (1 - weight) + high * weight, np.float32)


@lru_cache(maxsize=1024)
def _grid(length: int, frames: int) -> tuple[IntArray, FloatArray]:
    """Left neighbour of each frame and weight of its right one; kept, since lengths repeat and requests are many."""
    position = np.linspace(0, length - 1, frames)
    left = np.minimum(position.astype(np.int64), max(length - 2, 0))
    weight = (position - left).astype(np.float32)
    left.flags.writeable = weight.flags.writeable = False
    return left, weight


def prepare_sensor(values: FloatArray, frames: int) -> FloatArray:
    """A sensor's clip (n, 3) as a network's input (3, T), in the sensor's own unit."""
    return np.ascontiguousarray(stretch(values, frames).T)


def prepare_skeleton(values: FloatArray, info: SkeletonInfo, frames: int) -> FloatArray:
    """A skeleton's clip (F, V, dims) as a network's input (3, T, V), in the dataset's own unit.

    The whole clip is moved so that the centre joint's median position is the origin: where the person stands in the
    room is no part of an action, and a median, unlike the first frame, cannot be spoilt by one badly tracked frame.
    Movement through the room, size and facing are kept. A flat skeleton gets a depth of 0.

    Several persons (F, M, V, dims) become (3, T, V, M): all are moved as the first of those who are there is, so that
    where they stand to one another is kept; who is not there stays 0.
    """
    if values.ndim == 4:
        return _prepare_persons(values, info, frames)
    centred = values - np.median(values[:, info.centre], axis=0).astype(np.float32)
    clip = np.zeros((3, frames, values.shape[1]), np.float32)
    clip[: info.dims] = stretch(centred, frames).transpose(2, 0, 1)
    return clip


def _prepare_persons(values: FloatArray, info: SkeletonInfo, frames: int) -> FloatArray:
    there = values.any(axis=(0, 2, 3))  # (M,)
    clips = np.zeros((3, frames, values.shape[2], values.shape[1]), np.float32)
    first = int(there.argmax())
    origin = np.median(values[:, first, info.centre], axis=0).astype(np.float32)
    moved = stretch(values - origin, frames)  # (T, M, V, dims)
    clips[: info.dims, ..., there] = moved[:, there].transpose(3, 0, 2, 1)
    return clips


_MOST_WINDOWS = 100_000  # of 3 s, half overlapping: 41 hours


@dataclass(frozen=True, slots=True)
class ClipRule:
    """What the training clips say about how much time one prediction covers."""

    longest_s: float
    median_s: float


def clip_windows(n_samples: int, rate_hz: float, rule: ClipRule, *, overlap: float = 0.5) -> list[tuple[int, int]]:
    """The half-open sample ranges that are classified, all of one length.

    A recording no longer than the longest training clip is one window, as every training clip is. A longer one is
    cut into windows of the median training duration, the last one flush with the end; `overlap`, in [0, 1), is the part
    of a window that the next one shares.

    Raises:
        DataError: that would be more than 100,000 windows.
    """
    # One sample of tolerance: a rate that was measured from time stamps must not cut the longest training clip.
    if n_samples <= rule.longest_s * rate_hz + 1:
        return [(0, n_samples)]
    length, hop = window_steps(rate_hz, rule, overlap=overlap)
    length = min(length, n_samples)
    regular = range(0, n_samples - length + 1, hop)
    last = [n_samples - length] if regular[-1] + length < n_samples else []
    if (count := len(regular) + len(last)) > _MOST_WINDOWS:
        raise DataError(
            f"{n_samples} samples at {rate_hz:.4g} Hz make {count} windows, more than the {_MOST_WINDOWS} that are "
            "classified at once; cut the recording up, let windows overlap less, or state the right rate_hz"
        )
    return [(start, start + length) for start in (*regular, *last)]


def window_steps(rate_hz: float, rule: ClipRule, *, overlap: float) -> tuple[int, int]:
    """How many samples a window of the median training duration holds, and how many the next one begins later."""
    length = max(round(rule.median_s * rate_hz), 2)
    return length, max(int(length * (1 - overlap) + 1e-9), 1)
