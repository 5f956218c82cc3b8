"""Prepared clips, in memory or mapped from a file, and the order in which an epoch visits them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pskd_core.config import JobSpec, Preprocess
from pskd_core.data.columnar import SKELETON, Dataset
from pskd_core.data.mapped import release, room
from pskd_core.data.preprocess import prepare_sensor, prepare_skeleton
from pskd_core.errors import DataError
from pskd_core.seed import generator
from pskd_core.shapes import BoolArray, FloatArray, IntArray

# A smaller batch gives batch statistics and pair-wise losses too little to work on.
SMALLEST_BATCH = 8
# How many clips are looked at together where all of them are: what is worked out over a part is freed with it.
_PART = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """N recordings as networks see them; everything is in the same order."""

    streams: Mapping[str, FloatArray]  # sensors (N, 3, T_sensor), `skeleton` (N, 3, T_skeleton, V[, M])
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
        streams = {stream: values[rows] for stream, values in self.streams.items()}
        for values in self.streams.values():
            release(values)
        return Clips(
            streams=streams,
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
    skeleton = dataset.info.skeleton if stream == SKELETON else None
    if skeleton is not None:
        persons = (skeleton.persons,) if skeleton.persons > 1 else ()
        clips = room((len(indices), 3, preprocess.skeleton_frames, len(skeleton.joints), *persons))
    else:
        clips = room((len(indices), *dataset.info.item_shape(stream), preprocess.sensor_frames))
    for count, row in enumerate(np.flatnonzero(present).tolist()):
        values = dataset.stream(stream, indices[row])
        if skeleton is not None:
            clips[row] = prepare_skeleton(values, skeleton, preprocess.skeleton_frames)
        else:
            clips[row] = prepare_sensor(values, preprocess.sensor_frames)
        if count % _PART == 0:
            dataset.release()
            release(clips)
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
    return {stream: _statistics(_parts(values, clips.present.get(stream))) for stream, values in clips.streams.items()}


def _parts(values: FloatArray, present: BoolArray | None) -> Iterator[FloatArray]:
    """The clips that have the stream, some at a time; of several persons those who are there, each by themselves."""
    for start in range(0, len(values), _PART):
        rows = slice(start, start + _PART)
        part = values[rows] if present is None else values[rows][present[rows]]
        if part.ndim == 5:
            bodies = np.moveaxis(part, 4, 1).reshape(-1, *part.shape[1:4])  # (N·M, 3, T, V)
            part = bodies[bodies.any(axis=(1, 2, 3))]
        yield part
        release(values)


def _statistics(parts: Iterable[FloatArray]) -> ChannelStatistics:
    counts, means, variances = [], [], []
    for part in parts:
        others = tuple(axis for axis in range(part.ndim) if axis != 1)
        if len(part):
            counts.append(len(part))
            means.append(part.mean(axis=others, dtype=np.float64))
            variances.append(part.var(axis=others, dtype=np.float64))
    share = np.array(counts)[:, None] / sum(counts)
    mean = (share * means).sum(axis=0)
    sd = np.sqrt((share * (variances + (means - mean) ** 2)).sum(axis=0))
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
