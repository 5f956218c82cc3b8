"""From stamped samples to an even grid: kept where even, resampled where not, refused where it cannot be told."""

import numpy as np
import pytest

from pskd_core.data.series import Array, evenly
from pskd_core.errors import DataError

TIME_S = np.arange(200) / 50


def wave(time_s: Array) -> Array:
    return np.stack([np.sin(time_s), np.cos(time_s), time_s], axis=1)


def test_an_even_clock_leaves_the_samples_alone() -> None:
    """Samples at 50 Hz whose times are rounded to a millisecond come back untouched."""
    even = evenly(wave(TIME_S), np.round(TIME_S + 1e6, 3), file=None)
    assert np.array_equal(even.values, wave(TIME_S))
    assert even.rate_hz == pytest.approx(50)
    assert (even.gaps, even.repairs) == ((), ())


def test_an_uneven_clock_is_resampled() -> None:
    """Samples of a smooth movement at jittery times land where the movement was on an even grid."""
    jitter = TIME_S + np.random.default_rng(0).uniform(-0.008, 0.008, 200)
    even = evenly(wave(jitter), jitter, file=None)
    grid = jitter[0] + np.arange(len(even.values)) / even.rate_hz
    assert even.rate_hz == pytest.approx(50, rel=0.01)
    assert even.values == pytest.approx(wave(grid), abs=1e-3)
    assert even.repairs == ("uneven times were resampled to a constant rate",)


def test_disorder_and_repeats_are_repaired_and_counted() -> None:
    """Swapped samples are sorted, samples that share a time count once, and both are said."""
    order = np.arange(200)
    order[[40, 41]] = order[[41, 40]]
    order = np.insert(order, 100, [99, 99])
    even = evenly(wave(TIME_S)[order], TIME_S[order], file=None)
    assert even.values == pytest.approx(wave(TIME_S))
    assert even.repairs == (
        "times ran backwards 1 times; the samples were sorted",
        "2 samples that repeated another's time were left out",
    )


def test_a_gap_is_bridged_and_told() -> None:
    """A pause of 1.02 s does not change the rate; its place is given and a straight line leads over it."""
    kept = (TIME_S < 1) | (TIME_S > 2)
    even = evenly(wave(TIME_S)[kept], TIME_S[kept], file=None)
    assert even.rate_hz == pytest.approx(50)
    assert even.gaps == ((0.98, 2.02),)
    assert len(even.values) == 200
    assert even.values[75, 2] == pytest.approx(1.5)
    assert "1 gaps were bridged by straight lines, the longest of 1.04 s" in even.repairs


@pytest.mark.parametrize(
    ("time_s", "message"),
    [
        (np.repeat(np.arange(20.0), 10), "180 of 200 samples repeat another's time"),
        (np.zeros(200), "199 of 200 samples repeat"),
        (TIME_S * 1e6, "check their unit"),
        (TIME_S / 1e6, "check their unit"),
        (np.where(TIME_S < 2, TIME_S, TIME_S + 1e9), "lie scattered over 1000000004 s"),
    ],
)
def test_times_that_do_not_place_the_samples_are_refused(time_s: Array, message: str) -> None:
    """Whole seconds, no times at all, a wrong unit and a gap of years are errors with a remedy, not guesses."""
    with pytest.raises(DataError, match=message):
        evenly(wave(TIME_S), time_s, file="made.csv")


def test_a_recording_of_gaps_is_refused() -> None:
    """Every gap is listed in the answer, so a file cannot make more of them than somebody could read."""
    time_s = np.cumsum(np.tile([0.01] * 8 + [0.21], 10_001))
    with pytest.raises(DataError, match="10001 gaps are more than the 10000 that are bridged; cut the recording up"):
        evenly(np.zeros((len(time_s), 3)), time_s, file=None)
