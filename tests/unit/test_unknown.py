"""How long recordings are cut and smoothed, and what a calibrated model says of what it does not know."""

from pathlib import Path

import numpy as np
import pytest

from pskd_core.bundle import INFO_FILE, MODEL_FILE, Calibration, Reliability
from pskd_core.errors import DataError
from pskd_core.inference import Bundle, classify
from pskd_core.shapes import FloatArray
from tests.bundles import RATE_HZ, bundle_info, made_bundle, noise, recording, softmax, still, write_model


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return made_bundle(tmp_path)


# --- Overlap and smoothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("overlap", "hop"), [(0.0, 180), (0.5, 90), (0.75, 45), (0.95, 9)])
def test_windows_overlap_as_asked(bundle: Bundle, overlap: float, hop: int) -> None:
    """Windows begin a hop apart, whatever overlap is asked for, and each is found what it is found alone."""
    values = noise(900)
    answer = classify(bundle, recording(values), top_k=3, overlap=overlap)
    starts = [round(window.start_s * RATE_HZ) for window in answer.windows]
    assert starts == list(range(0, 721, hop))
    for start, window in zip(starts, answer.windows, strict=True):
        alone = classify(bundle, recording(values[start : start + 180]), top_k=3)
        assert window.probabilities == pytest.approx(alone.probabilities, abs=1e-6)


def test_smoothing_averages_near_windows(bundle: Bundle) -> None:
    """A window's probabilities become the plain mean over the windows whose middles lie within half of `smooth_s`."""
    values = recording(noise(900))
    plain = classify(bundle, values, top_k=3).windows
    smooth = classify(bundle, values, top_k=3, smooth_s=4.0).windows  # one neighbour at each side: middles 1.8 s apart
    for place, window in enumerate(smooth):
        near = plain[max(place - 1, 0) : place + 2]
        for name in "xyz":
            expected = np.mean([each.probabilities[name] for each in near])
            assert window.probabilities[name] == pytest.approx(expected, abs=1e-6)


def test_smoothing_removes_a_blip(bundle: Bundle) -> None:
    """A second of something else within half a minute makes a segment of its own, and none if it is smoothed away."""
    values = recording(np.concatenate([still(0, 15), 3 * still(1, 3), still(0, 15)]))
    assert [segment.label for segment in classify(bundle, values, smooth_s=0).segments] == ["x", "y", "x"]
    assert [segment.label for segment in classify(bundle, values, smooth_s=12).segments] == ["x"]


# --- What the model does not know ---------------------------------------------------------------------------------

HALF = Reliability(n=10, ece_before=0.2, ece_after=0.1)
CALIBRATION = Calibration(
    temperature=2.0,
    gravity_free_temperature=8.0,
    min_confidence=0.6,
    max_distance=1.5,
    rule="made",
    validation=HALF,
    test=None,
)


@pytest.fixture
def calibrated(tmp_path: Path) -> Bundle:
    return made_bundle(tmp_path, calibration=CALIBRATION)


def test_confidence_is_the_calibrated_probability(calibrated: Bundle) -> None:
    """Probabilities stay the network's; confidence is that of the logits at the bundle's temperature."""
    answer = classify(calibrated, recording(still(0, 3)), top_k=3)
    assert list(answer.probabilities.values()) == pytest.approx(softmax(np.array([4.0, 0, 0])), abs=1e-6)
    assert answer.confidence == answer.windows[0].confidence == answer.segments[0].confidence
    assert answer.confidence == pytest.approx(softmax(np.array([2.0, 0, 0]))[0], abs=1e-6)
    assert answer.novelty == pytest.approx(1 / 1.5)
    assert answer.label == "x"


@pytest.mark.parametrize("values", [0.3 * still(0, 3), 1.6 * still(0, 3)], ids=["unsure", "novel"])
def test_what_is_unsure_or_novel_is_unknown(calibrated: Bundle, values: FloatArray) -> None:
    """Too little confidence, or too far from the training data: either is `unknown`, the likeliest is still told."""
    answer = classify(calibrated, recording(values))
    assert answer.label == answer.windows[0].label == answer.segments[0].label == "unknown"
    assert next(iter(answer.probabilities)) == "x"
    assert answer.segments[0].probability == pytest.approx(next(iter(answer.probabilities.values())))


def test_unknown_stretches_are_segments(calibrated: Bundle) -> None:
    """Windows that are not known make segments of their own; the whole is unknown if most of its time is."""
    known, unknown = still(2, 12), 0.2 * still(0, 12)
    answer = classify(calibrated, recording(np.concatenate([known, unknown, known])))
    assert [segment.label for segment in answer.segments] == ["z", "unknown", "z"]
    assert answer.label == "z"
    assert classify(calibrated, recording(np.concatenate([unknown, known, unknown]))).label == "unknown"


def test_missing_gravity_lowers_confidence(calibrated: Bundle) -> None:
    """The same samples are believed less once they are known to lack the gravity that the model was trained with."""
    values = still(0, 3)
    sure = classify(calibrated, recording(values, gravity=True)).confidence
    doubtful = classify(calibrated, recording(values, gravity=False))
    assert sure is not None
    assert doubtful.confidence == pytest.approx(softmax(np.array([0.5, 0, 0]))[0], abs=1e-6)
    assert doubtful.confidence is not None
    assert doubtful.confidence < sure
    assert any("lower confidence" in warning for warning in doubtful.warnings)


def test_an_old_bundle_is_not_calibrated(tmp_path: Path) -> None:
    """A bundle of format 1 still answers: with its classes alone, and no confidence."""
    write_model(tmp_path / MODEL_FILE)
    text = bundle_info().model_dump_json(exclude={"calibration"}).replace('"format":2', '"format":1')
    (tmp_path / INFO_FILE).write_text(text, encoding="utf-8")
    answer = classify(Bundle.load(tmp_path), recording(0.01 * still(0, 3)))
    assert (answer.label, answer.confidence, answer.novelty) == ("x", None, None)


def test_a_calibrated_bundle_needs_its_distance(tmp_path: Path) -> None:
    """A model without the output that its calibration speaks of is refused when it is opened."""
    bundle_info(calibration=CALIBRATION).write(tmp_path)
    write_model(tmp_path / MODEL_FILE)
    with pytest.raises(DataError, match="do not fit"):
        Bundle.load(tmp_path)
