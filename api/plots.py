"""Recordings of a dataset as series that a plot can show."""

from math import ceil

from api.schemas.datasets import RecordingSeries, RecordingSummary, Series, Skeleton, StreamSummary
from pskd_core.data.columnar import SKELETON, Dataset, RecordingMeta

_AXES = ("x", "y", "z")
_DECIMALS = 5


def summary(dataset: Dataset, meta: RecordingMeta) -> RecordingSummary:
    """What is known of a recording without its samples."""
    return RecordingSummary(
        id=meta.id,
        subject=meta.subject,
        trial=meta.trial,
        label=dataset.info.classes[meta.label],
        duration_s=meta.duration_s,
        streams={
            name: StreamSummary(samples=length, rate_hz=meta.rate_hz(name))
            for name, (_, length) in meta.streams.items()
        },
    )


def recording_series(dataset: Dataset, index: int, *, most_points: int) -> RecordingSeries:
    """Every stream of one recording, each with at most `most_points` samples."""
    meta = dataset.recordings[index]
    skeleton = dataset.info.skeleton if SKELETON in meta.streams else None
    return RecordingSeries(
        recording=summary(dataset, meta),
        series={name: _series(dataset, index, name, most_points) for name in meta.streams},
        skeleton=skeleton and Skeleton(joints=skeleton.joints, bones=skeleton.bones),
    )


def _series(dataset: Dataset, index: int, name: str, most_points: int) -> Series:
    values = dataset.stream(name, index)
    rate_hz = dataset.recordings[index].rate_hz(name)
    # Every k-th sample, which keeps the rate even; peaks between are lost, as on any plot of fewer points.
    step = ceil(len(values) / most_points)
    return Series(
        unit=dataset.info.streams[name].unit,
        rate_hz=rate_hz / step,
        axes=_AXES[: values.shape[-1]],
        t_s=tuple(round(place / rate_hz, _DECIMALS) for place in range(0, len(values), step)),
        values=values[::step].astype(float).round(_DECIMALS).tolist(),
    )
