"""Streams with clocks of their own, cut to the time they share and resampled."""

import numpy as np
import pytest

from pskd_core.data.timing import Timed, align, bridge, bridge_unseen, in_order
from pskd_core.errors import DataError


def ramp(start_s: float, end_s: float, rate_hz: float, *, wanted_hz: float | None = None) -> Timed:
    """A stream (n, 1) whose value is its time."""
    time_s = np.arange(start_s, end_s, 1 / rate_hz)
    return Timed(time_s[:, None], time_s, wanted_hz or rate_hz)


def test_streams_keep_the_time_that_all_of_them_cover() -> None:
    """Both span exactly the same, at their rates, and a sample is what the stream was at its time."""
    even, left_out = align({"a": ramp(100, 110, 31, wanted_hz=30), "b": ramp(100.5, 112, 480, wanted_hz=30)}, fewest=16)
    assert left_out == {}
    a, b = even["a"], even["b"]
    assert a.duration_s == b.duration_s == pytest.approx(9.5, abs=1 / 20)
    assert [a.rate_hz, b.rate_hz] == pytest.approx([30, 30])
    assert a.values == pytest.approx(b.values, abs=1e-3)
    assert a.values[0, 0] == pytest.approx(100.5 + 0.5 / 30, abs=0.02)


def test_even_samples_of_one_span_are_not_touched() -> None:
    """Nothing is resampled that already lies on its grid: the values come back bit for bit."""
    values = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    streams = {"a": Timed(values.astype(np.float64), (np.arange(80) + 0.5) / 50, 50.0)}
    even, _ = align(streams, fewest=16)
    assert np.array_equal(even["a"].values, values)
    assert even["a"].rate_hz == pytest.approx(50)


def test_a_stream_that_covers_too_little_is_left_out() -> None:
    """One that would cost the first stream half its time goes, and what it covered is told."""
    even, left_out = align({"a": ramp(0, 10, 50), "late": ramp(5, 12, 50), "b": ramp(0.1, 10, 50)}, fewest=16)
    assert list(even) == ["a", "b"]
    assert left_out == {"late": pytest.approx(0.5, abs=0.01)}
    assert even["a"].duration_s == pytest.approx(9.9, abs=0.05)


def test_too_little_in_common_is_an_error() -> None:
    with pytest.raises(DataError, match=r"10 samples in common; at least 16"):
        align({"a": ramp(0, 0.2, 50)}, fewest=16)


def test_a_time_far_from_all_others_is_an_error_and_no_endless_grid() -> None:
    """One sample of 500 is stamped 40 years early: the grid would have 60 thousand million places."""
    stream = ramp(1.3e9, 1.3e9 + 10, 50)
    stream.time_s[0] = 0
    with pytest.raises(DataError, match=r"500 samples of wrist lie scattered over 1300000010 s"):
        align({"wrist": stream, "hip": ramp(1.3e9, 1.3e9 + 10, 50)}, fewest=16)


def test_times_are_sorted_and_the_first_of_equals_kept() -> None:
    values, time_s = in_order(np.array([[1.0], [3.0], [2.0], [9.0]]), np.array([0.0, 2.0, 1.0, 1.0]))
    assert (values[:, 0].tolist(), time_s.tolist()) == ([1, 2, 3], [0, 1, 2])


def test_bad_values_become_straight_lines() -> None:
    """Within: between the neighbours; at an end: the nearest good value; a column of none: an error."""
    values = np.array([[9.0, 1], [1, 2], [9, 3], [3, 9]])
    bad = np.array([[True, False], [False, False], [True, False], [False, True]])
    assert bridge(values, bad).tolist() == [[1, 1], [1, 2], [2, 3], [3, 3]]
    with pytest.raises(DataError, match="column 1"):
        bridge(values, np.array([[True, False]] * 4))


def test_a_point_never_seen_goes_along_with_the_others() -> None:
    positions = np.array([[[0.0, 0], [2, 4], [4, 8]], [[0, 0], [3, 5], [5, 9]]])
    whole = bridge_unseen(positions, np.array([[True, False, False], [True, False, False]]))
    assert whole[:, 0].tolist() == [[3, 6], [4, 7]]
    assert np.array_equal(whole[:, 1:], positions[:, 1:])
