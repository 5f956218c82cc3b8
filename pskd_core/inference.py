"""A recording in, a labelled timeline out: an exported bundle on ONNX Runtime, without torch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime
from pydantic import Field, JsonValue

from pskd_core.bundle import MODEL_FILE, BundleInfo, Figures
from pskd_core.data.preprocess import ClipRule, clip_windows, stretch_windows
from pskd_core.data.recordings import SensorRecording
from pskd_core.data.understood import Understood, understood
from pskd_core.errors import DataError
from pskd_core.evaluation.calibration import softmax
from pskd_core.fields import Frozen
from pskd_core.shapes import FloatArray

Probabilities = npt.NDArray[np.floating[Any]]  # (windows, K)

_WINDOWS_AT_ONCE = 256  # keeps a day's recording at the memory of a few minutes
_LABELLED_AT_ONCE = 4096


UNKNOWN = "unknown"


class Judgement(Frozen):
    """A label, and what stands behind it; null of a model that was not calibrated, which knows no `unknown`."""

    label: str = Field(description="a class, or `unknown` where confidence is too low or novelty above 1")
    confidence: float | None = Field(description="calibrated probability that the most probable class is right")
    novelty: float | None = Field(
        description="distance from the training data; 1 is that of the farthest rightly labelled validation recording"
    )


class Window(Judgement):
    """What the model says about one window."""

    start_s: float
    end_s: float
    probabilities: dict[str, float]


class Segment(Judgement):
    """Neighbouring windows of one label; segments touch and cover the recording."""

    start_s: float
    end_s: float
    probability: float = Field(
        description="of the label; where that is `unknown`, of each window's most probable class"
    )


class ModelSummary(Frozen):
    """Where the model comes from, and how good it was there."""

    dataset: str
    protocol: dict[str, JsonValue]
    seed: int
    fold: str
    test: Figures | None


class Overview(Judgement):
    """A recording as a whole; probabilities are the network's for the top k, largest first."""

    probabilities: dict[str, float]
    model: ModelSummary
    input: Understood
    warnings: tuple[str, ...]


class Classification(Overview):
    """The answer to one recording."""

    windows: tuple[Window, ...]
    segments: tuple[Segment, ...]


class Mark(NamedTuple):
    """What a segment needs of a window, and no more: a day has tens of thousands."""

    label: str
    confidence: float | None
    novelty: float | None
    probability: float  # of the most probable class


def mark_of(window: Window) -> Mark:
    """What a segment needs of this window."""
    return Mark(window.label, window.confidence, window.novelty, next(iter(window.probabilities.values())))


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What a model finds in N windows; the last two are null of a model that was not calibrated."""

    probabilities: Probabilities  # (N, K)
    calibrated: Probabilities | None  # (N, K)
    novelties: Probabilities | None  # (N,)

    def mapped(self, change: Callable[[Probabilities], Probabilities]) -> "Findings":
        """The same with every array changed."""
        calibrated, novelties = (None if each is None else change(each) for each in (self.calibrated, self.novelties))
        return Findings(change(self.probabilities), calibrated, novelties)


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

    def judge(self, windows: FloatArray, *, gravity: bool | None = None) -> Findings:
        """All that is found in prepared windows (N, 3·S, T); `gravity`: whether they hold it, if that is known."""
        if (calibration := self.info.calibration) is None:
            return Findings(self.predict(windows), None, None)
        probabilities, logits, distances = self.session.run(
            ["probabilities", "logits", "distance"], {"windows": windows}
        )
        temperature = calibration.temperature
        if gravity is False and calibration.gravity_free_temperature is not None:
            temperature = max(temperature, calibration.gravity_free_temperature)
        return Findings(probabilities, softmax(logits, temperature=temperature), distances / calibration.max_distance)


def classify(
    bundle: Bundle, recording: SensorRecording, *, top_k: int = 5, overlap: float = 0.5, smooth_s: float = 0.0
) -> Classification:
    """Label a recording of one accelerometer.

    It is cut and stretched as training clips are. Where windows overlap, an instant belongs to the window whose
    middle is nearest; the overall probabilities are the mean over windows, each weighted by the time that belongs
    to it, and so is all else of the recording and of a segment. It is `unknown` if most of its time is.

    Args:
        bundle: the model.
        recording: of which a single window is made if it is no longer than a training clip.
        top_k: how many classes are named.
        overlap: part of a window that the next one shares, in [0, 1).
        smooth_s: a window's findings become the mean over the windows whose middles lie at most half of this away.

    Raises:
        DataError: the model needs other sensors, the recording has fewer than two samples, a non-finite one or far too
            many, or the model finds no finite probability for it.
    """
    timeline = Timeline(bundle, recording, top_k=top_k, overlap=overlap, smooth_s=smooth_s)
    windows = tuple(timeline.windows())
    marks = list(map(mark_of, windows))
    return Classification(
        **dict(timeline.overview(marks)), windows=windows, segments=tuple(segments(marks, timeline.bounds))
    )


class Timeline:
    """What a model finds in the windows of a recording; arguments and errors as of `classify`.

    `told` is called with the share of the windows that are looked at, again and again; what it raises ends it.
    """

    def __init__(
        self,
        bundle: Bundle,
        recording: SensorRecording,
        *,
        top_k: int,
        overlap: float,
        smooth_s: float,
        told: Callable[[float], None] = lambda _: None,
    ) -> None:
        _check_recording(bundle.info, recording)
        self._bundle, self._recording, self._top_k = bundle, recording, top_k
        ranges = clip_windows(len(recording.values_g), recording.rate_hz, bundle.clip_rule, overlap=overlap)
        starts, length = [start for start, _ in ranges], ranges[0][1] - ranges[0][0]
        self._ranges = ranges
        self._times = [(start / recording.rate_hz, stop / recording.rate_hz) for start, stop in ranges]
        findings = find(bundle, recording.values_g, starts, length, gravity=recording.gravity, told=told)
        self._findings = smoothed(findings, times=self._times, smooth_s=smooth_s)
        self.bounds = _bounds(self._times)  # where each window's own time begins, and at last ends

    def windows(self) -> Iterator[Window]:
        """All windows, in order."""
        for first in range(0, len(self._times), _LABELLED_AT_ONCE):
            some = slice(first, first + _LABELLED_AT_ONCE)
            findings = self._findings.mapped(itemgetter(some))
            yield from labelled(self._bundle.info, findings, self._times[some], top_k=self._top_k)

    def overview(self, marks: Sequence[Mark]) -> Overview:
        """The whole recording, of whose windows these are the marks."""
        bounds, info = self.bounds, self._bundle.info
        shares = np.array([end_s - start_s for start_s, end_s in pairwise(bounds)]) / (bounds[-1] - bounds[0])
        overall = shares @ self._findings.probabilities
        (top,) = _top(overall[None], info.classes, self._top_k)
        unknown = sum(share for share, mark in zip(shares.tolist(), marks, strict=True) if mark.label == UNKNOWN)
        return Overview(
            label=UNKNOWN if unknown > 0.5 else next(iter(top)),
            confidence=_mean([mark.confidence for mark in marks], shares.tolist()),
            novelty=_mean([mark.novelty for mark in marks], shares.tolist()),
            probabilities=top,
            model=self._bundle.summary,
            input=understood(self._recording),
            warnings=(*self._recording.warnings, *_doubts(info, self._recording, self._ranges)),
        )


def _check_model(session: onnxruntime.InferenceSession, info: BundleInfo, file: Path) -> None:
    inputs = {each.name: each.shape[1:] for each in session.get_inputs()}
    outputs = {each.name: each.shape[1:] for each in session.get_outputs()}
    expected = {"windows": [3 * len(info.inputs), info.frames]}
    promised = {"probabilities": [len(info.classes)]}
    if info.calibration is not None:
        promised |= {"logits": [len(info.classes)], "distance": []}
    if inputs != expected or any(outputs.get(name) != shape for name, shape in promised.items()):
        raise DataError(f"inputs {inputs} and outputs {outputs} do not fit bundle.json", file=file)


def _check_recording(info: BundleInfo, recording: SensorRecording) -> None:
    check_inputs(info)
    if len(recording.values_g) < 2:
        raise DataError("a recording needs two samples at least")
    if not np.isfinite(recording.values_g).all():
        raise DataError("the recording holds values that are not finite")


def check_inputs(info: BundleInfo) -> None:
    """Refuse a model that one accelerometer is not enough for.

    Raises:
        DataError: it needs other streams.
    """
    if len(info.inputs) != 1:
        raise DataError(f"the model needs {' and '.join(info.inputs)}; a recording holds one accelerometer")


def find(
    bundle: Bundle,
    values_g: FloatArray,
    starts: Sequence[int],
    length: int,
    *,
    gravity: bool | None,
    told: Callable[[float], None] = lambda _: None,
) -> Findings:
    """What the model finds in the windows of `length` samples of values (n, 3) in g that begin at `starts`.

    `told` is called with the share that is done.

    Raises:
        DataError: it finds no finite probability.
    """
    parts = []
    for first in range(0, len(starts), _WINDOWS_AT_ONCE):
        some = starts[first : first + _WINDOWS_AT_ONCE]
        windows = stretch_windows(values_g, some, length, bundle.info.frames)  # (N, T, 3)
        parts.append(bundle.judge(np.ascontiguousarray(windows.transpose(0, 2, 1)), gravity=gravity))
        told(min(first + _WINDOWS_AT_ONCE, len(starts)) / len(starts))
    found = joined(parts)
    for each in (found.probabilities, found.calibrated, found.novelties):
        if each is not None and not np.isfinite(each).all():
            raise DataError("the model finds no finite probabilities for these values; check their size and unit")
    return found


def joined(parts: Sequence[Findings]) -> Findings:
    """Findings in neighbouring windows, as one."""
    return Findings(
        np.concatenate([part.probabilities for part in parts]),
        _concatenated([part.calibrated for part in parts]),
        _concatenated([part.novelties for part in parts]),
    )


def _concatenated(parts: list[Probabilities | None]) -> Probabilities | None:
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if present else None


def smoothed(findings: Findings, *, times: list[tuple[float, float]], smooth_s: float) -> Findings:
    """Means over the windows whose middles lie at most half of `smooth_s` away; `times` are the windows'."""
    if not smooth_s or len(times) == 1:
        return findings
    return findings.mapped(partial(_smoothed, times=times, smooth_s=smooth_s))


def _smoothed(values: Probabilities, *, times: list[tuple[float, float]], smooth_s: float) -> Probabilities:
    """Mean (N, …) over the windows whose middles are near."""
    middles, reach = np.array(times).mean(axis=1), smooth_s / 2 + 1e-9
    first, last = np.searchsorted(middles, middles - reach), np.searchsorted(middles, middles + reach, side="right")
    sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0, dtype=np.float64)])
    counts = (last - first).reshape(-1, *[1] * (values.ndim - 1))
    means: Probabilities = ((sums[last] - sums[first]) / counts).clip(min=0)
    return means


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


def labelled(info: BundleInfo, findings: Findings, times: list[tuple[float, float]], *, top_k: int) -> Iterator[Window]:
    """Windows at their times, labelled by what was found in them."""
    tops = _top(findings.probabilities, info.classes, top_k)
    confidences, novelties = _trust(findings)
    for top, (start_s, end_s), confidence, novelty in zip(tops, times, confidences, novelties, strict=True):
        label = UNKNOWN if _is_unknown(info, confidence, novelty) else next(iter(top))
        yield Window(
            start_s=start_s, end_s=end_s, label=label, confidence=confidence, novelty=novelty, probabilities=top
        )


def _trust(findings: Findings) -> tuple[list[float] | list[None], list[float] | list[None]]:
    """Of each window, confidence in its most probable class and novelty."""
    if findings.calibrated is None or findings.novelties is None:
        nothing = [None] * len(findings.probabilities)
        return nothing, nothing
    best = findings.probabilities.argmax(axis=1)
    return findings.calibrated[np.arange(len(best)), best].tolist(), findings.novelties.tolist()


def _is_unknown(info: BundleInfo, confidence: float | None, novelty: float | None) -> bool:
    if info.calibration is None or confidence is None or novelty is None:
        return False
    return confidence < info.calibration.min_confidence or novelty > 1


def segments(marks: Sequence[Mark], bounds: Sequence[float]) -> Iterator[Segment]:
    """Neighbouring windows of one label, joined; `bounds` are where each begins and the last ends."""
    first = 0
    for label, members in groupby(marks, key=attrgetter("label")):
        some = list(members)
        end = first + len(some)
        start_s, end_s = bounds[first], bounds[end]
        shares = [(after - before) / (end_s - start_s) for before, after in pairwise(bounds[first : end + 1])]
        yield Segment(
            start_s=start_s,
            end_s=end_s,
            label=label,
            confidence=_mean([mark.confidence for mark in some], shares),
            novelty=_mean([mark.novelty for mark in some], shares),
            probability=sum(share * mark.probability for share, mark in zip(shares, some, strict=True)),
        )
        first = end


def _mean(values: Sequence[float | None], shares: Sequence[float]) -> float | None:
    known = [share * value for share, value in zip(shares, values, strict=True) if value is not None]
    return sum(known) if known else None


def _doubts(info: BundleInfo, recording: SensorRecording, ranges: list[tuple[int, int]]) -> Iterator[str]:
    """What makes the labels doubtful, as sentences for the user."""
    if recording.gravity is not None and recording.gravity != info.gravity:
        has, trained = ("holds", "without") if recording.gravity else ("does not hold", "with")
        lowered = ", and a lower confidence" if info.calibration is not None and info.gravity else ""
        yield f"the recording {has} gravity, but the model was trained {trained} it; expect wrong labels{lowered}"
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
