"""Recordings that share samples are told from those that merely look alike."""

import numpy as np
import pytest

from pskd_core.data.overlaps import Overlaps
from pskd_core.data.series import Array


def samples(count: int, *, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, 3))


@pytest.mark.parametrize("second", [slice(50, 150), slice(0, 60), slice(None)], ids=["half", "inside", "same"])
def test_windows_of_one_recording_share_an_origin(second: slice) -> None:
    """Half overlapping, one inside the other, or equal; the next window in line is traced to the first one."""
    long, overlaps = samples(250), Overlaps()
    assert overlaps.origin("a", long[:100], name="a") is None
    assert overlaps.origin("b", long[second], name="b") == "a"
    assert overlaps.origin("c", long[100:200] if second == slice(50, 150) else long[50:120], name="c") == "a"


def test_what_one_name_holds_is_no_finding() -> None:
    """Windows that already name their recording need no other origin."""
    long, overlaps = samples(150), Overlaps()
    assert overlaps.origin("a", long[:100], name="long") is None
    assert overlaps.origin("b", long[50:], name="long") is None


def test_a_file_that_comes_again_shares_nothing() -> None:
    """Two cameras' recordings may name one sensor's file."""
    overlaps = Overlaps()
    assert [overlaps.origin("a", samples(100), name=name) for name in ("cam1", "cam2")] == [None, None]


def test_sensors_at_rest_are_not_taken_for_windows() -> None:
    """Recordings of a coarse sensor's noise, of nothing but a constant, or of a few samples share nothing."""
    noise, overlaps = np.random.default_rng(0), Overlaps()
    for number in range(1000):
        coarse = np.round(noise.normal(0, 0.5, (200, 3))) / 64
        assert overlaps.origin(f"n{number}", coarse, name=f"n{number}") is None
    for name, still in {"c": np.ones((100, 3)), "d": np.ones((100, 3)), "e": samples(20), "f": samples(20)}.items():
        assert overlaps.origin(name, still, name=name) is None
