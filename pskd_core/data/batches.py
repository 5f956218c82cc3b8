"""Prepared clips in memory, and the order in which an epoch visits them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pskd_core.config import JobSpec, Preprocess
from pskd_core.data.columnar import SKELETON, Dataset
from pskd_core.data.preprocess import prepare_sensor, prepare_skeleton
from pskd_core.errors import DataError
from pskd_core.seed import generator
from pskd_core.shapes import BoolArray, FloatArray, IntArray

# A smaller batch gives batch statistics and pair-wise losses too little to work on.
SMALLEST_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """N recordings as networks see them; everything is in the same order."""

    streams: Mapping[str, FloatArray]  # sensors (N, 3, T_sensor), `skeleton` (N, 3, T_skeleton, V)
    labels: IntArray  # (N,)
    ids: tuple[str, ...]
    subjects: tuple[str, ...]
    durations_s: FloatArray  # (N,)
    present: Mapping[str, BoolArray] = field(default_factory=dict)  # (N,) of each stream that some clips lack

    def __len__(self) -> int:
        return len(self.ids)

    def holding(self, streams: Iterable[str]) -> BoolArray:
        """Which clips have every one of `streams` (N,)."""
        held = np.ones(len(self), np.bool_)
        for stream in streams:
            if stream in self.present:
                held &= self.present[stream]
        return held

    def take(self, rows: IntArray) -> "Clips":
        """The clips at these rows, copied."""
        return Clips(
            streams={stream: values[rows] for stream, values in self.streams.items()},
            labels=self.labels[rows],
            ids=tuple(self.ids[row] for row in rows),
            subjects=tuple(self.subjects[row] for row in rows),
            durations_s=self.durations_s[rows],
            present={stream: mask[rows] for stream, mask in self.present.items()},
        )


def prepare_clips(dataset: Dataset, indices: Sequence[int], spec: JobSpec) -> Clips:
    """Read and stretch the streams of the recordings at `indices` that the job's networks see.

    Sensors are stretched to `sensor_frames` and the skeleton to `skeleton_frames`: a network that joins both
    resamples the sensors itself, so a sensor is stored once whoever reads it. Where a recording lacks a teacher's
    stream its values are 0, and `present` says so; a stream that none of them has is left out.

    Raises:
        DataError: there is no recording, or one lacks a stream of the student.
    """
    if not indices:
        raise DataError("there is no recording to prepare")
    metas = [dataset.recordings[index] for index in indices]
    masks = {stream: np.array([stream in meta.streams for meta in metas]) for stream in spec.streams}
    masks |= {stream: np.ones(len(metas), np.bool_) for stream in spec.student.inputs}  # or reading it raises
    return Clips(
        streams={
            stream: _prepare_stream(dataset, indices, stream, mask, spec.preprocess)
            for stream, mask in masks.items()
            if mask.any()
        },
        labels=np.array([meta.label for meta in metas], np.int64),
        ids=tuple(meta.id for meta in metas),
        subjects=tuple(meta.subject for meta in metas),
        durations_s=np.array([meta.duration_s for meta in metas], np.float32),
        present={stream: mask for stream, mask in masks.items() if mask.any() and not mask.all()},
    )


def _prepare_stream(
    dataset: Dataset, indices: Sequence[int], stream: str, present: BoolArray, preprocess: Preprocess
) -> FloatArray:
    series = (dataset.stream(stream, index) for index, held in zip(indices, present, strict=True) if held)
    if stream == SKELETON and dataset.info.skeleton is not None:
        info = dataset.info.skeleton
        held = np.stack([prepare_skeleton(values, info, preprocess.skeleton_frames) for values in series])
    else:
        held = np.stack([prepare_sensor(values, preprocess.sensor_frames) for values in series])
    if present.all():
        return held
    clips = np.zeros((len(present), *held.shape[1:]), np.float32)
    clips[present] = held
    return clips


@dataclass(frozen=True, slots=True, eq=False)
class ChannelStatistics:
    """Of one stream, over clips, frames and joints; a constant channel has sd 1, so that it divides to 0."""

    mean: FloatArray  # (3,)
    sd: FloatArray  # (3,)


def channel_statistics(clips: Clips) -> dict[str, ChannelStatistics]:
    """Mean and standard deviation of each stream's channels; to be taken over the training part alone.

    Clips that lack a stream do not count in it.
    """
    held = {
        stream: values[clips.present[stream]] for stream, values in clips.streams.items() if stream in clips.present
    }
    return {stream: _statistics(held.get(stream, values)) for stream, values in clips.streams.items()}


def _statistics(values: FloatArray) -> ChannelStatistics:
    others = tuple(axis for axis in range(values.ndim) if axis != 1)
    mean = values.mean(axis=others, dtype=np.float64)
    sd = values.std(axis=others, dtype=np.float64)
    # Rounding leaves a constant channel with some 1e-8 of spread.
    constant = sd <= 1e-6 * np.maximum(np.abs(mean), 1)
    return ChannelStatistics(mean.astype(np.float32), np.where(constant, 1, sd).astype(np.float32))


def batch_order(n: int, *, batch_size: int, seed: int, epoch: int) -> list[IntArray]:
    """Rows of each training batch: every row once, in an order that (seed, epoch) decides.

    A remainder below 8 joins the batch before it.
    """
    ends = list(range(batch_size, n, batch_size))
    if ends and n - ends[-1] < SMALLEST_BATCH:
        ends.pop()
    return np.split(generator(seed, "order", epoch).permutation(n), ends)
