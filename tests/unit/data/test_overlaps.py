"""Recordings that share samples are told from those that merely look alike."""

import numpy as np
import pytest

from pskd_core.data.overlaps import Groups, Overlaps
from pskd_core.data.series import Array


def samples(count: int, *, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, 3))


@pytest.mark.parametrize("second", [slice(50, 150), slice(0, 60), slice(None)], ids=["half", "inside", "same"])
def test_windows_of_one_recording_name_one_another(second: slice) -> None:
    """Half overlapping, one inside the other, or equal."""
    long, overlaps = samples(150), Overlaps()
    assert overlaps.sharers("a", long[:100], name="a") == ()
    assert overlaps.sharers("b", long[second], name="b") == ("a",)


def test_a_window_names_all_between_which_it_lies() -> None:
    """The one that comes last may be what two others have to do with each other."""
    long, overlaps = samples(200), Overlaps()
    for name, start in {"a": 0, "c": 100}.items():
        assert overlaps.sharers(name, long[start : start + 100], name=name) == ()
    assert sorted(overlaps.sharers("b", long[50:150], name="b")) == ["a", "c"]


def test_what_one_name_holds_is_no_finding() -> None:
    """Windows that already name their recording need no other origin."""
    long, overlaps = samples(150), Overlaps()
    assert overlaps.sharers("a", long[:100], name="long") == ()
    assert overlaps.sharers("b", long[50:], name="long") == ()


def test_a_file_that_comes_again_shares_nothing() -> None:
    """Two cameras' recordings may name one sensor's file."""
    overlaps = Overlaps()
    assert [overlaps.sharers("a", samples(100), name=name) for name in ("cam1", "cam2")] == [(), ()]


def test_groups_grow_together_through_whom_they_share() -> None:
    """What joins two groups makes them one, with one name that is of the group; a stranger goes by its own."""
    groups = Groups()
    groups.join("b", ["a"])
    groups.join("d", ["c"])
    assert groups.head("a") != groups.head("c")
    groups.join("e", ["d", "b"])
    (head,) = {groups.head(name) for name in "abcde"}
    assert head in set("abcde")
    assert groups.head("f") == "f"


def test_sensors_at_rest_are_not_taken_for_windows() -> None:
    """Recordings of a coarse sensor's noise, of nothing but a constant, or of a few samples share nothing."""
    noise, overlaps = np.random.default_rng(0), Overlaps()
    for number in range(1000):
        coarse = np.round(noise.normal(0, 0.5, (200, 3))) / 64
        assert overlaps.sharers(f"n{number}", coarse, name=f"n{number}") == ()
    for name, still in {"c": np.ones((100, 3)), "d": np.ones((100, 3)), "e": samples(20), "f": samples(20)}.items():
        assert overlaps.sharers(name, still, name=name) == ()
