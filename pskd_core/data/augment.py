"""Random views of training clips; one draw of time a sample keeps its modalities aligned."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pskd_core.config import Augment
from pskd_core.data.columnar import SKELETON, SkeletonInfo
from pskd_core.seed import generator
from pskd_core.shapes import FloatArray, IntArray

_WARP_TERMS = 3
_NOISE_TABLE_CLIPS = 32


class _Draws(NamedTuple):
    """What is random about each sample's view, in standard units; the config only scales it."""

    axis: FloatArray  # (N, 3) normal, direction of a device's rotation
    angle: FloatArray  # (N,) normal
    sensor_gain: FloatArray  # (N,) normal
    skeleton_gain: FloatArray  # (N,) normal
    turn: FloatArray  # (N,) in [-1, 1)
    warp: FloatArray  # (N, terms) in [-1, 1)
    cut: FloatArray  # (N,) in [0, 1), how much of the permitted part is cut off
    cut_start: FloatArray  # (N,) in [0, 1), which share of it from the start
    noise: FloatArray  # (N,) in [0, 1), place in the table of noise


def augment_batch(
    clips: Mapping[str, FloatArray],
    ids: Sequence[str],
    *,
    seed: int,
    epoch: int,
    config: Augment,
    channel_sd: Mapping[str, FloatArray],
    skeleton: SkeletonInfo | None,
    worn_at: Mapping[str, str | None],
) -> dict[str, FloatArray]:
    """One random view of every clip of a batch.

    A sample's view depends on (seed, epoch, id, config) and on nothing else: not on the batch around it, nor on which
    other streams are there, so that methods with different inputs train on the same views.

    Args:
        clips: by stream, sensors (N, 3, T) and `skeleton` (N, 3, T, V), or (N, 3, T, V, M) of several persons, who
            share one view and stay 0 if they are not there; T may differ between streams. Not changed.
        ids: of the N samples.
        config: a part that is 0 leaves the values exactly as they are.
        channel_sd: (3,) by sensor stream, in the stream's unit.
        skeleton: needed where there is a skeleton stream.
        worn_at: the place of every sensor of the dataset, in the dataset's order.

    Returns:
        Arrays of the same shapes. Each device of a sample is rotated a little about a random axis, as if its strap sat
        otherwise; the sensors of one place are one device. Amplitudes are scaled; the skeleton is turned about the
        vertical and scaled.
    """
    draws = _draw(ids, seed=seed, epoch=epoch)
    views = {}
    for stream, values in clips.items():
        view = _retimed(values, draws, config) if config.time_warp or config.time_crop else values
        axis, angle = _strap(stream, ids, draws, worn_at, key=(seed, epoch))
        view = _moved(view, *_movement(stream, draws._replace(axis=axis, angle=angle), config, skeleton))
        view = _noisy(view, draws, _noise_sd(stream, config, channel_sd), key=(seed, epoch, stream))
        view = _flattened(view) if stream == SKELETON and skeleton and skeleton.dims == 2 else view
        views[stream] = view * values.any(axis=(1, 2, 3), keepdims=True) if view.ndim == 5 else view
    return views


def _draw(ids: Sequence[str], *, seed: int, epoch: int) -> _Draws:
    generators = [generator(seed, "view", epoch, sample) for sample in ids]
    normal = np.stack([each.standard_normal(6, np.float32) for each in generators])
    unit = np.stack([each.random(4 + _WARP_TERMS, np.float32) for each in generators])
    return _Draws(
        axis=normal[:, :3],
        angle=normal[:, 3],
        sensor_gain=normal[:, 4],
        skeleton_gain=normal[:, 5],
        turn=2 * unit[:, 0] - 1,
        cut=unit[:, 1],
        cut_start=unit[:, 2],
        noise=unit[:, 3],
        warp=2 * unit[:, 4:] - 1,
    )


def _strap(
    stream: str, ids: Sequence[str], draws: _Draws, worn_at: Mapping[str, str | None], *, key: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Axis (N, 3) and angle (N,) of the device that `stream` is of; the dataset's first device has the sample's own."""
    place = worn_at.get(stream)
    if stream not in worn_at or place == next(iter(worn_at.values())):
        return draws.axis, draws.angle
    seed, epoch = key
    normal = [generator(seed, "strap", epoch, sample, place or "").standard_normal(4, np.float32) for sample in ids]
    return np.stack(normal)[:, :3], np.stack(normal)[:, 3]


class Mix(NamedTuple):
    """Which clip of a batch is mixed into each, and how much of its own is left."""

    partner: IntArray  # (N,) rows of the batch
    share: FloatArray  # (N,) in [½, 1]


def draw_mix(n: int, *, seed: int, epoch: int, batch: int, alpha: float) -> Mix:
    """Mixup (Zhang et al., ICLR 2018) of a batch's N clips; each keeps the larger share of itself, and so its label."""
    random = generator(seed, "mix", epoch, batch)
    share = random.beta(alpha, alpha, n).astype(np.float32)
    return Mix(random.permutation(n), np.maximum(share, 1 - share))


def mixed(values: FloatArray, others: FloatArray, share: FloatArray) -> FloatArray:
    """Of each clip its share (N,), of its partner the rest: one mix serves all streams, which so stay aligned."""
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return share * values + (1 - share) * others


# --- Time ---------------------------------------------------------------------------------------------------------


def relative_times(draws: _Draws, config: Augment, frames: int) -> FloatArray:
    """Where in the clip each frame of the view is read: (N, T), within [0, 1], never decreasing.

    A warp u + Σ_k b_k sin(πku)/(πk) with Σ|b_k| ≤ `time_warp` fixes both ends and keeps the local speed
    1 + Σ_k b_k cos(πku) within 1 ± `time_warp`; a crop then stretches the inner part over the whole view.
    """
    u = np.linspace(0, 1, frames)
    k = np.arange(1, _WARP_TERMS + 1)[:, None]
    waves = np.sin(np.pi * k * u) / (np.pi * k)  # (terms, T)
    warped = u + config.time_warp / _WARP_TERMS * draws.warp @ waves
    cut = config.time_crop * draws.cut
    times: FloatArray = ((cut * draws.cut_start)[:, None] + (1 - cut)[:, None] * warped).astype(np.float32)
    return times.clip(0, 1)


def _retimed(values: FloatArray, draws: _Draws, config: Augment) -> FloatArray:
    n, channels, frames = values.shape[:3]
    position = relative_times(draws, config, frames) * (frames - 1)
    left = np.minimum(position.astype(np.int64), frames - 2)
    weight = (position - left)[:, None, :, None]  # (N, 1, T, 1)
    clip_starts = np.arange(n * channels).reshape(n, channels, 1) * frames
    rows = clip_starts + left[:, None]  # (N, C, T), into the flat table of frames
    flat = values.reshape(n * channels * frames, -1)
    low: FloatArray = flat[rows]  # (N, C, T, V or 1)
    high: FloatArray = flat[rows + 1]
    high -= low
    high *= weight
    high += low
    return high.reshape(values.shape)


# --- Space --------------------------------------------------------------------------------------------------------


def rotations(axis: FloatArray, angle_rad: FloatArray) -> FloatArray:
    """Rotation matrices (N, 3, 3) about axes (N, 3) of any length, by Rodrigues' formula."""
    x, y, z = (axis / np.linalg.norm(axis, axis=1, keepdims=True)).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    sine, cosine = np.sin(angle_rad)[:, None, None], np.cos(angle_rad)[:, None, None]
    return np.asarray(np.eye(3) + sine * cross + (1 - cosine) * cross @ cross, np.float32)


def _movement(
    stream: str, draws: _Draws, config: Augment, skeleton: SkeletonInfo | None
) -> tuple[FloatArray | None, FloatArray | None]:
    """Rotations (N, 3, 3) and factors on the amplitude (N,); None where the config has none."""
    if stream == SKELETON:
        if skeleton is None:
            raise ValueError("a skeleton stream comes with its description")
        axis = np.broadcast_to(np.eye(3, dtype=np.float32)[skeleton.up], draws.axis.shape)
        angle, gain, spread_deg = draws.turn, draws.skeleton_gain, config.skeleton_rotation_deg
    else:
        axis, angle, gain, spread_deg = draws.axis, draws.angle, draws.sensor_gain, config.sensor_rotation_deg
    return (
        rotations(axis, np.deg2rad(spread_deg * angle)) if spread_deg else None,
        # exp keeps the factor positive; for a small spread its standard deviation is `scale_sd`.
        np.exp(config.scale_sd * gain) if config.scale_sd else None,
    )


def _moved(values: FloatArray, rotation: FloatArray | None, factor: FloatArray | None) -> FloatArray:
    if rotation is None and factor is None:
        return values
    matrix = np.eye(3, dtype=np.float32) if rotation is None else rotation
    if factor is not None:
        matrix = matrix * factor[:, None, None]
    return (matrix @ values.reshape(len(values), 3, -1)).reshape(values.shape)


def _flattened(values: FloatArray) -> FloatArray:
    # A camera sees a turned flat figure foreshortened, never its depth.
    return values * np.array([1, 1, 0], np.float32).reshape(3, *[1] * (values.ndim - 2))


# --- Noise --------------------------------------------------------------------------------------------------------


def _noise_sd(stream: str, config: Augment, channel_sd: Mapping[str, FloatArray]) -> FloatArray:
    if stream == SKELETON:
        return np.full(3, config.joint_noise_m, np.float32)
    return (config.sensor_noise_sd * channel_sd[stream]).astype(np.float32)


def _noisy(values: FloatArray, draws: _Draws, sd: FloatArray, *, key: tuple[int, int, str]) -> FloatArray:
    """Add normal noise of `sd` (C,) a channel.

    Every clip reads a stretch, from its own random place, of one table an epoch and stream: to draw all values anew
    would cost more than all the rest of the view.
    """
    if not sd.any():
        return values
    size = values[0].size
    table = _noise_table(*key, size * _NOISE_TABLE_CLIPS)
    starts = (draws.noise * (len(table) - size)).astype(np.int64)
    noise: FloatArray = sliding_window_view(table, size)[starts].reshape(values.shape)
    noise *= sd.reshape(3, *[1] * (values.ndim - 2))
    noise += values
    return noise


@lru_cache(maxsize=16)
def _noise_table(seed: int, epoch: int, stream: str, size: int) -> FloatArray:
    table = generator(seed, "noise", epoch, stream).standard_normal(size, np.float32)
    table.flags.writeable = False
    return table
