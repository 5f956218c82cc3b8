"""Classification with a real ONNX model: the bundle, the timeline, and what is doubted or refused."""

import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from pskd_core.bundle import INFO_FILE, MODEL_FILE, BundleInfo
from pskd_core.data.preprocess import clip_windows, prepare_sensor
from pskd_core.errors import DataError
from pskd_core.inference import Bundle, Classification, Probabilities, classify
from pskd_core.latency import latency_ms
from pskd_core.shapes import FloatArray
from tests.bundles import (
    FRAMES,
    RATE_HZ,
    SHARPNESS,
    bundle_info,
    made_bundle,
    noise,
    recording,
    softmax,
    still,
    write_model,
)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return made_bundle(tmp_path)


def test_a_training_clip_gives_the_offline_probabilities(bundle: Bundle) -> None:
    """A recording as long as a training clip is one window, prepared bit for bit as training prepares it."""
    values = noise(181)
    answer = classify(bundle, recording(values), top_k=3)
    offline = bundle.predict(prepare_sensor(values, FRAMES)[None])[0]
    assert answer.probabilities == {name: offline[index] for index, name in enumerate(bundle.info.classes)}
    expected = softmax(SHARPNESS * prepare_sensor(values, FRAMES).mean(axis=1))
    assert [answer.probabilities[name] for name in bundle.info.classes] == pytest.approx(expected, abs=1e-5)
    assert len(answer.windows) == len(answer.segments) == 1
    assert (answer.windows[0].start_s, answer.windows[0].end_s) == (0, 3.62)
    assert answer.warnings == ()


def test_a_long_recording_becomes_a_timeline(bundle: Bundle) -> None:
    """Ten seconds along x, then ten along z, give two segments that meet near the change and cover the whole."""
    answer = classify(bundle, recording(np.concatenate([still(0, 10), still(2, 10)])))
    first, second = answer.segments
    assert (first.label, second.label) == ("x", "z")
    assert (first.start_s, second.end_s) == (0, 20)
    assert first.end_s == second.start_s
    assert first.end_s == pytest.approx(10, abs=0.9)  # half a hop
    assert [window.label for window in answer.windows] == sorted(window.label for window in answer.windows)
    assert any("cut into" in warning for warning in answer.warnings)


def test_windows_are_those_of_the_clip_rule(bundle: Bundle) -> None:
    """Windows last the median training duration, overlap by half, and each has the probabilities of its own samples."""
    values = noise(500)
    answer = classify(bundle, recording(values), top_k=3)
    starts = [0, 90, 180, 270, 320]
    assert [window.start_s for window in answer.windows] == pytest.approx([start / RATE_HZ for start in starts])
    assert [window.end_s - window.start_s for window in answer.windows] == pytest.approx([3.6] * 5)
    for start, window in zip(starts, answer.windows, strict=True):
        alone = classify(bundle, recording(values[start : start + 180]), top_k=3)
        assert window.label == alone.label
        assert [window.probabilities[name] for name in "xyz"] == pytest.approx(
            [alone.probabilities[name] for name in "xyz"]
        )


def test_overall_probabilities_weigh_windows_by_their_own_time(bundle: Bundle) -> None:
    """Each instant counts once, for the window whose middle is nearest; overlaps do not count double."""
    answer = classify(bundle, recording(noise(500)), top_k=3)
    middles = np.array([(window.start_s + window.end_s) / 2 for window in answer.windows])
    instants = np.linspace(0, 10, 200_001)
    owners = np.abs(instants[:, None] - middles).argmin(axis=1)
    shares = np.bincount(owners) / len(instants)
    for name in "xyz":
        expected = shares @ [window.probabilities[name] for window in answer.windows]
        assert answer.probabilities[name] == pytest.approx(expected, abs=1e-4)


def test_segments_average_their_windows(bundle: Bundle) -> None:
    """A recording with one label throughout is one segment, as probable as the overall answer."""
    values = still(1, 30) + 0.1 * noise(1500)
    answer = classify(bundle, recording(values))
    (segment,) = answer.segments
    assert segment.label == answer.label == "y"
    assert segment.probability == pytest.approx(answer.probabilities["y"])


def test_many_windows_give_what_few_give(bundle: Bundle) -> None:
    """More windows than run at once agree with the model on each window alone."""
    values = noise(180 * 200)
    answer = classify(bundle, recording(values), top_k=3)
    assert len(answer.windows) == 399
    for number in (0, 255, 256, 398):
        offline = bundle.predict(prepare_sensor(values[90 * number : 90 * number + 180], FRAMES)[None])[0]
        found = answer.windows[number].probabilities
        assert [found[name] for name in bundle.info.classes] == pytest.approx(offline.tolist(), abs=1e-6)


def test_top_k_is_sorted_and_capped(bundle: Bundle) -> None:
    """The most probable classes come first; more than there are is all of them."""
    values = recording(still(0, 3) + 0.5 * still(2, 3))
    assert list(classify(bundle, values, top_k=2).probabilities) == ["x", "z"]
    assert list(classify(bundle, values, top_k=99).probabilities) == ["x", "z", "y"]
    assert sum(classify(bundle, values, top_k=99).probabilities.values()) == pytest.approx(1)


def test_the_answer_says_what_was_understood(bundle: Bundle) -> None:
    """Columns, unit, rate, gaps, repairs and the reader's warnings come back, and so does the model's record."""
    understood: dict[str, Any] = {
        "rate_found": "timestamps",
        "unit": "m/s^2",
        "columns": ("ax", "ay", "az"),
        "time_column": "t",
        "gaps": ((1.0, 1.5),),
        "repairs": ("2 duplicated times dropped",),
        "warnings": ("rate is doubtful",),
    }
    answer = classify(bundle, recording(still(0, 3), **understood))
    given = answer.input.model_dump()
    assert {name: given[name] for name in understood if name != "warnings"} == {
        name: value for name, value in understood.items() if name != "warnings"
    }
    assert (answer.input.samples, answer.input.duration_s, answer.input.rate_hz) == (150, 3.0, 50.0)
    assert answer.warnings == ("rate is doubtful",)
    assert answer.model.test == bundle.info.test
    assert answer.model.protocol == {"kind": "named", "name": "cross_subject"}


def test_the_answer_survives_json(bundle: Bundle) -> None:
    """The answer is plain JSON without NaN and reads back equal."""
    answer = classify(bundle, recording(noise(500)))
    assert Classification.model_validate_json(answer.model_dump_json()) == answer


@pytest.mark.parametrize(
    ("values", "fields", "warning"),
    [
        (still(0, 3), {"gravity": False}, "does not hold gravity"),
        (still(0, 1), {}, "less than half the shortest training clip"),
        (still(0, 7), {}, "longer than any training clip"),
        (still(0, 3)[::25], {"rate_hz": 2.0}, "6 samples only"),
    ],
)
def test_doubt_is_a_warning(bundle: Bundle, values: FloatArray, fields: dict[str, Any], warning: str) -> None:
    """Each doubtful circumstance is one sentence in the answer, which is given all the same."""
    answer = classify(bundle, recording(values, **fields))
    assert answer.label == "x"
    assert [warning in sentence for sentence in answer.warnings] == [True]


def test_gravity_where_none_was_trained_is_doubted(tmp_path: Path) -> None:
    """A model of gravity-free data warns of recordings that hold gravity, and of none where that is unknown."""
    free = made_bundle(tmp_path, gravity=False)
    (warning,) = classify(free, recording(still(0, 3))).warnings
    assert "holds gravity, but the model was trained without it" in warning
    assert classify(free, recording(still(0, 3), gravity=None)).warnings == ()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((1, 3), np.float32), "two samples"),
        (np.full((50, 3), np.nan, np.float32), "not finite"),
    ],
)
def test_what_cannot_be_classified_is_refused(bundle: Bundle, values: FloatArray, reason: str) -> None:
    """Too few samples and non-finite ones are errors of the data."""
    with pytest.raises(DataError, match=reason):
        classify(bundle, recording(values))


def test_a_model_of_two_sensors_is_refused(tmp_path: Path) -> None:
    """A recording of one accelerometer cannot feed a model of two; the message names what it needs."""
    two = made_bundle(tmp_path, inputs=("accelerometer", "gyroscope"))
    with pytest.raises(DataError, match="needs accelerometer and gyroscope"):
        classify(two, recording(still(0, 3)))


def test_a_bundle_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Writing and reading `bundle.json` gives the same description."""
    bundle_info().write(tmp_path)
    assert BundleInfo.read(tmp_path) == bundle_info()


def test_a_folder_without_bundle_is_refused(tmp_path: Path) -> None:
    """The error names the file that is missing."""
    with pytest.raises(DataError, match=INFO_FILE):
        Bundle.load(tmp_path)


def test_a_bundle_of_another_format_is_refused(tmp_path: Path) -> None:
    """A later format is not guessed at."""
    text = bundle_info().model_dump_json().replace('"format":2', '"format":3')
    (tmp_path / INFO_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="format"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_a_missing_or_damaged_model_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """The error names `model.onnx`, whatever the runtime raised."""
    bundle_info().write(tmp_path)
    if content is not None:
        (tmp_path / MODEL_FILE).write_bytes(content)
    with pytest.raises(DataError, match="cannot be loaded") as refused:
        Bundle.load(tmp_path)
    assert refused.value.file == str(tmp_path / MODEL_FILE)


@pytest.mark.parametrize("shape", [{"frames": 64}, {"channels": 6}])
def test_a_model_that_does_not_fit_is_refused(tmp_path: Path, shape: dict[str, Any]) -> None:
    """A model of other shapes than the description's is found when it is opened, not at the first request."""
    bundle_info().write(tmp_path)
    write_model(tmp_path / MODEL_FILE, **shape)
    with pytest.raises(DataError, match="do not fit"):
        Bundle.load(tmp_path)


def test_more_windows_than_can_be_answered_are_refused(bundle: Bundle) -> None:
    """A rate that is stated far too low makes windows of two samples; beyond 100,000 of them the remedy is named."""
    assert len(clip_windows(100_001, 0.6, bundle.clip_rule)) == 100_000
    values = np.broadcast_to(still(0, 0.02), (100_002, 3))
    with pytest.raises(DataError, match=r"make 100001 windows, more than the 100000 .*, or state the right rate_hz"):
        classify(bundle, recording(values, rate_hz=0.6))


def test_answers_that_are_not_finite_are_refused(bundle: Bundle) -> None:
    """Values in which the network overflows are the recording's fault, not one of the answer's form."""
    with pytest.raises(DataError, match="no finite probabilities"):
        classify(bundle, recording(np.full((150, 3), 3e38, np.float32)))


class Slow(Bundle):
    """Takes its time, and counts."""

    asked: ClassVar[list[int]] = []

    def predict(self, windows: FloatArray) -> Probabilities:
        self.asked.append(len(windows))
        time.sleep(0.05)
        return super().predict(windows)


def test_a_slow_students_latency_is_soon_known(bundle: Bundle) -> None:
    """The median of few windows, one at a time, but never less than what one takes."""
    assert latency_ms(Slow(bundle.info, bundle.session, bundle.summary)) >= 50
    assert Slow.asked == [1] * len(Slow.asked)
    assert len(Slow.asked) <= 12  # five to warm up; then for a third of a second
    assert latency_ms(bundle) > 0
