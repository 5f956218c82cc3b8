"""A recording in, a labelled timeline out: an exported bundle on ONNX Runtime, without torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from pydantic import JsonValue

from pskd_core.bundle import MODEL_FILE, BundleInfo, Figures
from pskd_core.data.preprocess import ClipRule, clip_windows, stretch_windows
from pskd_core.data.recordings import SensorRecording
from pskd_core.data.understood import Understood, understood
from pskd_core.errors import DataError
from pskd_core.fields import Frozen
from pskd_core.shapes import FloatArray

Probabilities = npt.NDArray[np.floating[Any]]  # (windows, K)

_WINDOWS_AT_ONCE = 256  # keeps a day's recording at the memory of a few minutes


class Window(Frozen):
    """What the model says about one window."""

    start_s: float
    end_s: float
    label: str
    probabilities: dict[str, float]


class Segment(Frozen):
    """Neighbouring windows of one label; segments touch and cover the recording."""

    start_s: float
    end_s: float
    label: str
    probability: float


class ModelSummary(Frozen):
    """Where the model comes from, and how good it was there."""

    dataset: str
    protocol: dict[str, JsonValue]
    seed: int
    fold: str
    test: Figures | None


class Classification(Frozen):
    """The answer to one recording; probabilities are the top k, largest first."""

    label: str
    probabilities: dict[str, float]
    windows: tuple[Window, ...]
    segments: tuple[Segment, ...]
    model: ModelSummary
    input: Understood
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """An exported model, ready to run; safe to share between threads."""

    info: BundleInfo
    session: onnxruntime.InferenceSession
    summary: ModelSummary

    @classmethod
    def load(cls, directory: Path) -> "Bundle":
        """Open a bundle's folder on one thread, since many small requests run side by side.

        Raises:
            DataError: a file is missing or damaged, or the model does not fit its description.
        """
        info, file = BundleInfo.read(directory), directory / MODEL_FILE
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
        except Exception as damaged:  # the runtime's own errors share no base class
            raise DataError(f"the model cannot be loaded: {damaged}", file=file) from damaged
        _check_model(session, info, file)
        return cls(info, session, ModelSummary.model_validate(info.model_dump(include=set(ModelSummary.model_fields))))

    @property
    def clip_rule(self) -> ClipRule:
        """How a recording is cut into windows."""
        return ClipRule(longest_s=self.info.durations_s.max, median_s=self.info.durations_s.median)

    def predict(self, windows: FloatArray) -> Probabilities:
        """Probabilities (N, K) of prepared windows (N, 3·S, T)."""
        found: Probabilities = self.session.run(["probabilities"], {"windows": windows})[0]
        return found


def classify(bundle: Bundle, recording: SensorRecording, *, top_k: int = 5) -> Classification:
    """Label a recording of one accelerometer.

    It is cut and stretched as training clips are. Where windows overlap, an instant belongs to the window whose
    middle is nearest; the overall probabilities are the mean over windows, each weighted by the time that belongs
    to it, and so are those of a segment.

    Raises:
        DataError: the model needs other sensors, the recording has fewer than two samples, a non-finite one or far too
            many, or the model finds no finite probability for it.
    """
    _check_recording(bundle.info, recording)
    ranges = clip_windows(len(recording.values_g), recording.rate_hz, bundle.clip_rule)
    probabilities = np.concatenate(list(_predictions(bundle, recording.values_g, ranges)))
    if not np.isfinite(probabilities).all():
        raise DataError("the model finds no finite probabilities for these values; check their size and unit")
    times = [(start / recording.rate_hz, stop / recording.rate_hz) for start, stop in ranges]
    bounds = _bounds(times)
    shares = np.array([end_s - start_s for start_s, end_s in pairwise(bounds)]) / (bounds[-1] - bounds[0])
    overall = shares @ probabilities
    *tops, top = _top(np.concatenate([probabilities, overall[None]]), bundle.info.classes, top_k)
    return Classification(
        label=next(iter(top)),
        probabilities=top,
        windows=tuple(_window(each, time) for each, time in zip(tops, times, strict=True)),
        segments=tuple(_segments(tops, bounds)),
        model=bundle.summary,
        input=understood(recording),
        warnings=(*recording.warnings, *_doubts(bundle.info, recording, ranges)),
    )


def _check_model(session: onnxruntime.InferenceSession, info: BundleInfo, file: Path) -> None:
    inputs = {each.name: each.shape[1:] for each in session.get_inputs()}
    outputs = {each.name: each.shape[1:] for each in session.get_outputs()}
    expected = {"windows": [3 * len(info.inputs), info.frames]}
    if inputs != expected or outputs.get("probabilities") != [len(info.classes)]:
        raise DataError(f"inputs {inputs} and outputs {outputs} do not fit bundle.json", file=file)


def _check_recording(info: BundleInfo, recording: SensorRecording) -> None:
    if len(info.inputs) != 1:
        raise DataError(f"the model needs {' and '.join(info.inputs)}; a recording holds one accelerometer")
    if len(recording.values_g) < 2:
        raise DataError("a recording needs two samples at least")
    if not np.isfinite(recording.values_g).all():
        raise DataError("the recording holds values that are not finite")


def _predictions(bundle: Bundle, values_g: FloatArray, ranges: list[tuple[int, int]]) -> Iterator[Probabilities]:
    starts, length = [start for start, _ in ranges], ranges[0][1] - ranges[0][0]
    for first in range(0, len(starts), _WINDOWS_AT_ONCE):
        some = starts[first : first + _WINDOWS_AT_ONCE]
        windows = stretch_windows(values_g, some, length, bundle.info.frames)  # (N, T, 3)
        yield bundle.predict(np.ascontiguousarray(windows.transpose(0, 2, 1)))


# The timeline is plain Python: a request mostly has one window, for which arrays would cost more than the model.


def _bounds(times: list[tuple[float, float]]) -> list[float]:
    """Where each window's own time begins, and at last ends."""
    middles = [(start_s + end_s) / 2 for start_s, end_s in times]
    return [times[0][0], *((before + after) / 2 for before, after in pairwise(middles)), times[-1][1]]


def _top(probabilities: Probabilities, classes: tuple[str, ...], top_k: int) -> list[dict[str, float]]:
    """The k most probable classes of each row (N, K), largest first."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    values = probabilities[np.arange(len(best))[:, None], best]
    return [
        {classes[index]: value for index, value in zip(row, row_values, strict=True)}
        for row, row_values in zip(best.tolist(), values.tolist(), strict=True)
    ]


def _window(top: dict[str, float], time: tuple[float, float]) -> Window:
    return Window(start_s=time[0], end_s=time[1], label=next(iter(top)), probabilities=top)


def _segments(tops: list[dict[str, float]], bounds: list[float]) -> Iterator[Segment]:
    labels = [next(iter(top)) for top in tops]
    for label, members in groupby(range(len(labels)), key=labels.__getitem__):
        rows = list(members)
        start_s, end_s = bounds[rows[0]], bounds[rows[-1] + 1]
        weighted = sum((bounds[row + 1] - bounds[row]) * tops[row][label] for row in rows)
        yield Segment(start_s=start_s, end_s=end_s, label=label, probability=weighted / (end_s - start_s))


def _doubts(info: BundleInfo, recording: SensorRecording, ranges: list[tuple[int, int]]) -> Iterator[str]:
    """What makes the labels doubtful, as sentences for the user."""
    if recording.gravity is not None and recording.gravity != info.gravity:
        has, trained = ("holds", "without") if recording.gravity else ("does not hold", "with")
        yield f"the recording {has} gravity, but the model was trained {trained} it; expect wrong labels"
    duration_s, shortest_s = len(recording.values_g) / recording.rate_hz, info.durations_s.min
    if duration_s < shortest_s / 2:
        yield f"the recording lasts {duration_s:.2f} s, less than half the shortest training clip ({shortest_s:.2f} s)"
    if len(ranges) > 1:
        yield (
            f"the recording lasts {duration_s:.1f} s, longer than any training clip ({info.durations_s.max:.2f} s): it "
            f"was cut into {len(ranges)} windows, and each is labelled as if one action filled it"
        )
    length = ranges[0][1] - ranges[0][0]
    if length < info.frames / 8:
        yield f"a window holds {length} samples only, stretched to {info.frames}; record at a higher rate"
