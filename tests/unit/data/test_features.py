"""Hand features of the classical baseline."""

import numpy as np
import pytest

from pskd_core.data.features import FEATURES_A_SENSOR, hand_features

FRAMES = 64
MEAN, SD, MIN, MAX, MEDIAN, RANGE, SKEW, KURTOSIS, STEP, CROSSINGS = range(10)
DOMINANT, CENTROID, ENTROPY, BANDS = 14, 15, 16, 17
A_CHANNEL = 22


def clip(x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """One clip (1, 3, T) with z of zero."""
    return np.stack([x, np.zeros_like(x) if y is None else y, np.zeros_like(x)])[None].astype(np.float32)


def test_a_sine_by_hand() -> None:
    """Four cycles about 2: the moments of a sine, power at four cycles alone, and eight crossings of the mean."""
    phase = 2 * np.pi * 4 * (np.arange(FRAMES) + 0.25) / FRAMES
    x = hand_features(clip(2 + np.sin(phase)))[0, :A_CHANNEL]

    assert x[[MEAN, SD, MEDIAN]] == pytest.approx([2, np.sqrt(0.5), 2], abs=0.1)
    assert x[[SKEW, KURTOSIS]] == pytest.approx([0, -1.5], abs=1e-3)
    assert x[CROSSINGS] == pytest.approx(7 / 63, abs=1 / 63)
    assert x[[DOMINANT, CENTROID, ENTROPY]] == pytest.approx([4, 4, 0], abs=1e-3)
    assert x[BANDS:] == pytest.approx([0, 1, 0, 0, 0], abs=1e-5)


def test_a_ramp_by_hand() -> None:
    """From 0 to 63 in steps of 1, in four quarters of 16."""
    x = hand_features(clip(np.arange(FRAMES, dtype=float)))[0, :A_CHANNEL]

    assert x[[MEAN, MIN, MAX, MEDIAN, RANGE, STEP]] == pytest.approx([31.5, 0, 63, 31.5, 31.5, 1])
    assert x[10:14] == pytest.approx([7.5, 23.5, 39.5, 55.5])


def test_the_fourth_channel_is_the_length() -> None:
    """A vector (3, 4, 0) has length 5, and axes in step correlate fully."""
    wave = np.sin(np.arange(FRAMES))
    row = hand_features(clip(3 * wave, -4 * wave))[0]

    assert row[3 * A_CHANNEL + MAX] == pytest.approx(5 * np.abs(wave).max(), rel=1e-5)
    assert row[-3:] == pytest.approx([-1, 0, 0], abs=1e-5)


def test_rows_are_finite_and_their_own() -> None:
    """Still clips and short ones have features too, and a row does not depend on the clips beside it."""
    clips = np.random.default_rng(0).normal(size=(5, 3, 16)).astype(np.float32)
    clips[0] = 0
    clips[1] = 1.1
    rows = hand_features(clips)

    assert rows.shape == (5, FEATURES_A_SENSOR)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert np.array_equal(hand_features(clips[2:3]), rows[2:3])
