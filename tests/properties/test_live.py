"""A stream's labels are those of the whole recording, however it is cut into messages."""

import pickle
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pskd_core.bundle import Calibration, Reliability
from pskd_core.data.incremental import Resampler
from pskd_core.data.series import Array
from pskd_core.inference import Bundle, Window, classify
from pskd_core.live import Gap, LiveClassifier
from tests.bundles import RATE_HZ, made_bundle, recording

HALF = Reliability(n=10, ece_before=0.2, ece_after=0.1)
CALIBRATION = Calibration(
    temperature=2.0, gravity_free_temperature=None, min_confidence=0.6, max_distance=1.5, rule="made", validation=HALF,
    test=None,
)  # fmt: skip
CUTS = st.lists(st.integers(0, 1000), max_size=12)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return made_bundle(tmp_path_factory.mktemp("bundle"), calibration=CALIBRATION)


def wandering(samples: int, seed: int) -> Array:
    walk: Array = np.random.default_rng(seed).normal(size=(samples, 3)).cumsum(axis=0)
    return np.abs(walk) / 10


def parts(samples: int, cuts: list[int]) -> Iterator[slice]:
    for start, stop in pairwise(sorted({0, samples, *(cut % samples for cut in cuts)})):
        yield slice(start, stop)


def streamed(live: LiveClassifier, values: Array, cuts: list[int], time_s: Array | None = None) -> list[Window | Gap]:
    told: list[Window | Gap] = []
    for part in parts(len(values), cuts):
        told += live.push(values[part], None if time_s is None else time_s[part])
    return told + list(live.finish())


def check_same(told: list[Window | Gap], expected: list[Window]) -> None:
    windows = [each for each in told if isinstance(each, Window)]
    assert len(windows) == len(told) == len(expected)
    for window, same in zip(windows, expected, strict=True):
        assert (window.start_s, window.end_s) == pytest.approx((same.start_s, same.end_s), abs=1e-9)
        assert window.probabilities == pytest.approx(same.probabilities, abs=1e-6)
        assert (window.confidence, window.novelty) == pytest.approx((same.confidence, same.novelty), abs=1e-6)
        assert window.label == same.label


@settings(deadline=None, max_examples=60)
@given(
    samples=st.integers(330, 1000),
    seed=st.integers(0, 99),
    cuts=CUTS,
    overlap=st.sampled_from([0.0, 0.5, 0.75, 0.9]),
    smooth_s=st.sampled_from([0.0, 1.0, 3.6, 9.0]),
)
def test_any_chunking_gives_the_timeline(
    bundle: Bundle, samples: int, seed: int, cuts: list[int], overlap: float, smooth_s: float
) -> None:
    """Windows, probabilities, confidence and novelty are the offline ones, where the recording ends with a window."""
    length = round(3.6 * RATE_HZ)
    hop = int(length * (1 - overlap) + 1e-9)
    whole = length + max((samples - length) // hop, 1 + 147 // hop) * hop  # longer than a training clip, 327 samples
    values = wandering(whole, seed)
    live = LiveClassifier(bundle, rate_hz=RATE_HZ, unit="g", top_k=3, overlap=overlap, smooth_s=smooth_s)
    offline = classify(bundle, recording(values.astype(np.float32)), top_k=3, overlap=overlap, smooth_s=smooth_s)
    check_same(streamed(live, values, cuts), list(offline.windows))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 99), cuts=CUTS, gap_s=st.floats(0.25, 5000) | st.floats(-5000, -0.25))
def test_a_gap_begins_the_timeline_anew(bundle: Bundle, seed: int, cuts: list[int], gap_s: float) -> None:
    """Before and after a jump of the clock, each part is labelled as a recording of its own, at its place in time."""
    values, time_s = wandering(1080, seed), 1.7e9 + np.arange(1080) / RATE_HZ
    time_s[540:] += gap_s
    live = LiveClassifier(bundle, rate_hz=RATE_HZ, unit="g", top_k=3, smooth_s=3.6)
    told = streamed(live, values, cuts, time_s)
    (at,) = [place for place, each in enumerate(told) if isinstance(each, Gap)]
    gap = told[at]
    assert isinstance(gap, Gap)
    assert (gap.start_s, gap.end_s) == pytest.approx((539 / RATE_HZ, 540 / RATE_HZ + gap_s), abs=1e-5)
    for place, (windows, begin_s) in enumerate([(told[:at], 0.0), (told[at + 1 :], gap.end_s)]):
        part = recording(values[540 * place : 540 * (place + 1)].astype(np.float32))
        offline = classify(bundle, part, top_k=3, smooth_s=3.6)
        moved = [
            each.model_copy(update={"start_s": each.start_s + begin_s, "end_s": each.end_s + begin_s})
            for each in offline.windows
        ]
        for window, same in zip(windows, moved, strict=True):
            assert isinstance(window, Window)
            assert window.start_s == pytest.approx(same.start_s, abs=1e-5)
            assert window.probabilities == pytest.approx(same.probabilities, abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 99), cuts=CUTS, late=st.lists(st.integers(1, 399), max_size=5, unique=True))
def test_uneven_times_are_resampled_as_a_whole(seed: int, cuts: list[int], late: list[int]) -> None:
    """Jittering samples become what interpolation over all of them gives; those that came late are left out."""
    random = np.random.default_rng(seed)
    time_s, values = np.cumsum(random.uniform(0.01, 0.03, 400)), random.normal(size=(400, 3))
    time_s[late] = time_s[np.array(late, int) - 1] - 0.001
    resampler = Resampler(RATE_HZ)
    stretches = [each for part in parts(400, cuts) for each in resampler.push(values[part], time_s[part])]
    assert all(each.gap_s is None for each in stretches)
    places = [
        float(round(place)) if abs(place - round(place)) < 0.1 else place for place in (time_s - time_s[0]) * RATE_HZ
    ]
    kept = [at for at in range(400) if at == 0 or places[at] > max(places[:at])]
    on_grid = np.arange(int(places[kept[-1]]) + 1)
    expected = np.stack([np.interp(on_grid, np.array(places)[kept], column[kept]) for column in values.T], axis=1)
    np.testing.assert_allclose(np.concatenate([each.values for each in stretches]), expected, atol=1e-12)


def test_an_endless_stream_keeps_the_memory_of_a_short_one(bundle: Bundle) -> None:
    """After an hour as much is held as after a minute."""
    live = LiveClassifier(bundle, rate_hz=RATE_HZ, unit="g", smooth_s=10.0)
    held = []
    for minute in range(60):
        for _ in live.push(wandering(3000, minute)):
            pass
        state = {name: value for name, value in vars(live).items() if name != "bundle"}
        held.append(len(pickle.dumps(state)))
    assert max(held[2:]) < 1.2 * held[1]
