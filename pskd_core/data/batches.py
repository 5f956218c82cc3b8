"""Prepared clips in memory, and the order in which an epoch visits them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pskd_core.config import JobSpec, Preprocess
from pskd_core.data.columnar import SKELETON, Dataset
from pskd_core.data.preprocess import prepare_sensor, prepare_skeleton
from pskd_core.errors import DataError
from pskd_core.seed import generator
from pskd_core.shapes import FloatArray, IntArray

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

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: IntArray) -> "Clips":
        """The clips at these rows, copied."""
        return Clips(
            streams={stream: values[rows] for stream, values in self.streams.items()},
            labels=self.labels[rows],
            ids=tuple(self.ids[row] for row in rows),
            subjects=tuple(self.subjects[row] for row in rows),
            durations_s=self.durations_s[rows],
        )


def prepare_clips(dataset: Dataset, indices: Sequence[int], spec: JobSpec) -> Clips:
    """Read and stretch the streams of the recordings at `indices` that the job's networks see.

    Sensors are stretched to `sensor_frames` and the skeleton to `skeleton_frames`: a network that joins both
    resamples the sensors itself, so a sensor is stored once whoever reads it. A teacher's stream that any of the
    recordings lacks is left out whole, which happens in test parts alone: that teacher cannot be judged there.

    Raises:
        DataError: there is no recording, or one lacks a stream of the student.
    """
    if not indices:
        raise DataError("there is no recording to prepare")
    metas = [dataset.recordings[index] for index in indices]
    carried = [stream for stream in spec.streams if all(stream in meta.streams for meta in metas)]
    streams = dict.fromkeys([*carried, *spec.student.inputs])
    return Clips(
        streams={stream: _prepare_stream(dataset, indices, stream, spec.preprocess) for stream in streams},
        labels=np.array([meta.label for meta in metas], np.int64),
        ids=tuple(meta.id for meta in metas),
        subjects=tuple(meta.subject for meta in metas),
        durations_s=np.array([meta.duration_s for meta in metas], np.float32),
    )


def _prepare_stream(dataset: Dataset, indices: Sequence[int], stream: str, preprocess: Preprocess) -> FloatArray:
    series = (dataset.stream(stream, index) for index in indices)
    if stream == SKELETON and dataset.info.skeleton is not None:
        info = dataset.info.skeleton
        return np.stack([prepare_skeleton(values, info, preprocess.skeleton_frames) for values in series])
    return np.stack([prepare_sensor(values, preprocess.sensor_frames) for values in series])


@dataclass(frozen=True, slots=True, eq=False)
class ChannelStatistics:
    """Of one stream, over clips, frames and joints; a constant channel has sd 1, so that it divides to 0."""

    mean: FloatArray  # (3,)
    sd: FloatArray  # (3,)


def channel_statistics(clips: Clips) -> dict[str, ChannelStatistics]:
    """Mean and standard deviation of each stream's channels; to be taken over the training part alone."""
    return {stream: _statistics(values) for stream, values in clips.streams.items()}


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
