"""Series that a plot can show."""

from pathlib import Path

import numpy as np
import pytest

from api.plots import recording_series
from pskd_core.data.columnar import (
    Dataset,
    DatasetInfo,
    Recording,
    SkeletonInfo,
    Stream,
    StreamInfo,
    write_dataset,
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """One recording of ten seconds: 1,001 samples of an accelerometer, 300 frames of a skeleton of two joints."""
    info = DatasetInfo(
        name="d",
        layout="made",
        classes=("walk",),
        streams={
            "accelerometer": StreamInfo(channels=3, unit="g", rate_hz=100.0),
            "skeleton": StreamInfo(channels=None, unit="m", rate_hz=30.0),
        },
        skeleton=SkeletonInfo(joints=("hip", "head"), bones=((1, 0),), centre=0),
    )
    samples = (np.arange(3003).reshape(1001, 3) / 3).astype(np.float32)
    streams = {
        "accelerometer": Stream(samples, 100.1),
        "skeleton": Stream(np.ones((300, 2, 3), np.float32), 30.0),
    }
    return write_dataset(tmp_path / "d", info, [Recording("r1", "1", "1", 0, streams)])


def test_a_long_series_is_thinned_evenly(dataset: Dataset) -> None:
    """Every k-th sample is kept, with its own time, so that at most so many points come and the rate fits them."""
    series = recording_series(dataset, 0, most_points=300).series["accelerometer"]
    assert len(series.t_s) == len(series.values) == 251
    assert series.rate_hz == pytest.approx(100.1 / 4)
    assert series.values[2] == [8.0, 8.33333, 8.66667]
    assert series.t_s[2] == pytest.approx(8 / 100.1, abs=1e-5)
    assert series.axes == ("x", "y", "z")


def test_a_short_series_stays_whole(dataset: Dataset) -> None:
    """Nothing is left out that fits."""
    series = recording_series(dataset, 0, most_points=300).series["skeleton"]
    assert np.shape(series.values) == (300, 2, 3)
    assert series.rate_hz == pytest.approx(30.0)


def test_several_persons_come_one_by_one(tmp_path: Path) -> None:
    """The innermost numbers stay x, y and z."""
    skeleton = SkeletonInfo(joints=("hip", "head"), bones=((1, 0),), centre=0, persons=2)
    streams = {"skeleton": StreamInfo(channels=None, unit="m", rate_hz=30.0)}
    info = DatasetInfo(name="d", layout="made", classes=("talk",), streams=streams, skeleton=skeleton)
    held = {"skeleton": Stream(np.ones((30, 2, 2, 3), np.float32), 30.0)}
    dataset = write_dataset(tmp_path / "d", info, [Recording("r1", "1", "1", 0, held)])
    series = recording_series(dataset, 0, most_points=300).series["skeleton"]
    assert (np.shape(series.values), series.axes) == ((30, 2, 2, 3), ("x", "y", "z"))


def test_the_skeleton_comes_with_its_graph(dataset: Dataset) -> None:
    """A plot can join the points without knowing the dataset."""
    skeleton = recording_series(dataset, 0, most_points=2).skeleton
    assert skeleton is not None
    assert (skeleton.joints, skeleton.bones) == (("hip", "head"), ((1, 0),))
