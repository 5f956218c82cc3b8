"""Preprocessing: relative time, the skeleton's origin, and what one prediction covers."""

import numpy as np
import pytest

from pskd_core.data.columnar import SkeletonInfo
from pskd_core.data.preprocess import (
    ClipRule,
    clip_windows,
    prepare_sensor,
    prepare_skeleton,
    stretch,
    stretch_windows,
)
from pskd_core.errors import DataError
from pskd_core.shapes import FloatArray


def series(*shape: int) -> FloatArray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def skeleton(dims: int = 3) -> SkeletonInfo:
    return SkeletonInfo(joints=("hip", "spine", "head"), bones=((1, 0), (2, 1)), centre=1, dims=dims)


@pytest.mark.parametrize(("n", "frames"), [(107, 128), (326, 128), (41, 64), (2, 16)])
def test_stretch_agrees_with_interp(n: int, frames: int) -> None:
    """Every channel is what `np.interp` gives on relative time."""
    values = series(n, 3)
    expected = [np.interp(np.linspace(0, 1, frames), np.linspace(0, 1, n), channel) for channel in values.T]
    assert stretch(values, frames) == pytest.approx(np.array(expected).T, abs=1e-5)


def test_stretch_to_own_length_changes_no_bit() -> None:
    """A series that has T samples already comes back as it is."""
    values = series(128, 3)
    assert np.array_equal(stretch(values, 128), values)


def test_stretch_keeps_ends_and_lines() -> None:
    """A straight line stays one, and the first and last samples stay what they are."""
    line = np.linspace(-2, 5, 77, dtype=np.float32)[:, None]
    stretched = stretch(line, 31)
    assert stretched[[0, -1], 0].tolist() == line[[0, -1], 0].tolist()
    assert stretched[:, 0] == pytest.approx(np.linspace(-2, 5, 31), abs=1e-5)


def test_stretch_of_one_sample_repeats_it() -> None:
    """A single sample fills the clip."""
    assert np.array_equal(stretch(series(1, 3), 16), np.repeat(series(1, 3), 16, axis=0))


def test_stretch_of_nothing_is_refused() -> None:
    """An empty series is an error of the data, not a division by zero."""
    with pytest.raises(DataError, match="no sample"):
        stretch(series(0, 3), 16)


def test_modalities_of_different_rates_stay_aligned() -> None:
    """A movement that both modalities sample over the same time has its peak at the same relative time in both."""
    peaks = []
    for n, frames in ((262, 128), (100, 64)):
        time = np.linspace(0, 1, n, dtype=np.float32)
        peaks.append(stretch(np.exp(-(((time - 0.3) / 0.05) ** 2))[:, None], frames)[:, 0].argmax() / (frames - 1))
    assert peaks == pytest.approx([0.3, 0.3], abs=0.01)


def test_windows_equal_the_stretch_of_each_alone() -> None:
    """The batched gather of serving gives the bits of the single stretch of training."""
    values = series(500, 3)
    windows = stretch_windows(values, [0, 90, 320], 180, 128)
    for start, window in zip([0, 90, 320], windows, strict=True):
        assert np.array_equal(window, stretch(values[start : start + 180], 128))


def test_sensor_is_channels_first() -> None:
    """A sensor's clip becomes (3, T), contiguous, unscaled."""
    values = series(128, 3)
    prepared = prepare_sensor(values, 128)
    assert np.array_equal(prepared, values.T)
    assert prepared.flags.c_contiguous


def test_skeleton_forgets_where_the_person_stood() -> None:
    """Moving the whole clip through the room changes nothing; the centre joint's median is the origin."""
    values = series(50, 3, 3)
    prepared = prepare_skeleton(values, skeleton(), 50)
    moved = prepare_skeleton(values + np.array([2, -1, 3], np.float32), skeleton(), 50)
    assert prepared.shape == (3, 50, 3)
    assert moved == pytest.approx(prepared, abs=1e-5)
    assert np.median(prepared[:, :, 1], axis=1) == pytest.approx(np.zeros(3), abs=1e-6)


def test_skeleton_keeps_size_and_movement() -> None:
    """Differences between joints and between frames keep their metres."""
    values = series(50, 3, 3)
    prepared = prepare_skeleton(values, skeleton(), 50).transpose(1, 2, 0)
    assert prepared[:, 2] - prepared[:, 0] == pytest.approx(values[:, 2] - values[:, 0], abs=1e-5)
    assert prepared[-1] - prepared[0] == pytest.approx(values[-1] - values[0], abs=1e-5)


def test_one_lost_frame_does_not_move_the_clip() -> None:
    """A first frame at the far end of the room, as trackers give, leaves the other frames where they were."""
    values = series(51, 3, 3) * 0.01
    spoilt = values.copy()
    spoilt[0] += 5
    difference = prepare_skeleton(spoilt, skeleton(), 51) - prepare_skeleton(values, skeleton(), 51)
    assert np.abs(difference[:, 1:]).max() < 0.01


def test_flat_skeleton_gets_zero_depth() -> None:
    """Two dimensions are padded to three."""
    prepared = prepare_skeleton(series(50, 3, 2), skeleton(dims=2), 64)
    assert prepared.shape == (3, 64, 3)
    assert not prepared[2].any()
    assert prepared[:2].any()


RULE = ClipRule(longest_s=6.52, median_s=3.6)


@pytest.mark.parametrize("n", [2, 107, 180, 326])
def test_a_training_clip_is_one_window(n: int) -> None:
    """Whatever is no longer than the longest training clip is stretched whole."""
    assert clip_windows(n, 50.0, RULE) == [(0, n)]


def test_a_measured_rate_does_not_cut_the_longest_clip() -> None:
    """A rate off by the rounding of its time stamps leaves the longest training clip whole."""
    assert clip_windows(326, 49.95, RULE) == [(0, 326)]


def test_longer_recordings_are_cut_half_overlapping() -> None:
    """Windows of the median duration start half a window apart; the last one ends with the recording."""
    assert clip_windows(500, 50.0, RULE) == [(0, 180), (90, 270), (180, 360), (270, 450), (320, 500)]


@pytest.mark.parametrize(("n", "rate_hz"), [(334, 50.0), (8_641, 100.0), (40, 2.0), (16, 2.0), (5_000, 505.0)])
def test_windows_cover_every_sample_in_equal_lengths(n: int, rate_hz: float) -> None:
    """No sample is left out, no window leaves the recording, and all have one length."""
    windows = clip_windows(n, rate_hz, RULE)
    covered = np.zeros(n, bool)
    for start, stop in windows:
        covered[start:stop] = True
    assert covered.all()
    assert windows[0][0] == 0
    assert windows[-1][1] == n
    assert {stop - start for start, stop in windows} == {round(3.6 * rate_hz)}
    assert windows == sorted(set(windows))
