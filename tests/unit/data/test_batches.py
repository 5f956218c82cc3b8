"""Prepared clips, their statistics, and the order of an epoch."""

from pathlib import Path

import numpy as np
import pytest

from pskd_core.config import JobSpec, parse_spec
from pskd_core.data.batches import Clips, batch_order, channel_statistics, prepare_clips
from pskd_core.data.columnar import (
    Dataset,
    DatasetInfo,
    Recording,
    SkeletonInfo,
    Stream,
    StreamInfo,
    write_dataset,
)
from pskd_core.data.preprocess import prepare_sensor, prepare_skeleton
from pskd_core.errors import DataError
from pskd_core.shapes import FloatArray

SKELETON = SkeletonInfo(joints=("hip", "head"), bones=((1, 0),), centre=0)
INFO = DatasetInfo(
    name="made",
    layout="made",
    classes=("sit", "stand"),
    streams={
        "accelerometer": StreamInfo(channels=3, unit="g", rate_hz=50),
        "skeleton": StreamInfo(channels=None, unit="m", rate_hz=25),
    },
    skeleton=SKELETON,
)


def recording(number: int, *, with_skeleton: bool = True) -> Recording:
    rng = np.random.default_rng(number)
    n = 2 * (50 + number)
    streams = {"accelerometer": Stream(rng.standard_normal((n, 3), np.float32), 50.0)}
    if with_skeleton:
        streams["skeleton"] = Stream(rng.standard_normal((n // 2, 2, 3), np.float32), 25.0)
    return Recording(id=f"r{number}", subject=str(number % 2), trial="1", label=number % 2, streams=streams)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Five recordings of growing length; the last one has no skeleton."""
    return write_dataset(tmp_path / "made", INFO, [recording(number, with_skeleton=number < 4) for number in range(5)])


def spec(method: str = "distill") -> JobSpec:
    return parse_spec({"method": {"kind": method}, "preprocess": {"skeleton_frames": 32, "sensor_frames": 64}})


def clips(**streams: FloatArray) -> Clips:
    n = len(next(iter(streams.values())))
    names = tuple(map(str, range(n)))
    return Clips(streams, np.zeros(n, np.int64), names, names, np.ones(n, np.float32))


def test_clips_are_the_prepared_recordings(dataset: Dataset) -> None:
    """Every row is its recording's preprocessing, in the order of the indices, with label, id, subject, duration."""
    prepared = prepare_clips(dataset, [3, 0], spec())
    assert prepared.streams["accelerometer"].shape == (2, 3, 64)
    assert prepared.streams["skeleton"].shape == (2, 3, 32, 2)
    for row, index in enumerate((3, 0)):
        sensor, joints = dataset.stream("accelerometer", index), dataset.stream("skeleton", index)
        assert np.array_equal(prepared.streams["accelerometer"][row], prepare_sensor(sensor, 64))
        assert np.array_equal(prepared.streams["skeleton"][row], prepare_skeleton(joints, SKELETON, 32))
    assert (prepared.ids, prepared.subjects) == (("r3", "r0"), ("1", "0"))
    assert prepared.labels.tolist() == [1, 0]
    assert prepared.durations_s == pytest.approx([2.12, 2.0])


def test_only_the_jobs_streams_are_read(dataset: Dataset) -> None:
    """A student alone loads no skeleton, and may use recordings that have none."""
    prepared = prepare_clips(dataset, range(5), spec("none"))
    assert list(prepared.streams) == ["accelerometer"]
    assert len(prepared) == 5


def test_a_teachers_stream_that_one_recording_lacks_is_masked(dataset: Dataset) -> None:
    """Its values are 0 and a mask says so; everything else is what the recording alone would give."""
    prepared, alone = prepare_clips(dataset, [4, 0], spec()), prepare_clips(dataset, [0], spec())
    assert prepared.present.keys() == {"skeleton"}
    assert prepared.present["skeleton"].tolist() == [False, True]
    assert not prepared.streams["skeleton"][0].any()
    assert np.array_equal(prepared.streams["skeleton"][1], alone.streams["skeleton"][0])
    assert prepared.streams["accelerometer"].all()
    assert alone.present == {}


def test_a_stream_that_no_recording_has_is_left_out(dataset: Dataset) -> None:
    """No memory is spent on zeros alone."""
    prepared = prepare_clips(dataset, [4], spec())
    assert list(prepared.streams) == ["accelerometer"]
    assert prepared.present == {}


def test_masks_follow_their_clips(dataset: Dataset) -> None:
    """Which clips hold several streams, also in another order; a stream that is whole needs no mask."""
    taken = prepare_clips(dataset, [4, 0, 1], spec()).take(np.array([2, 0]))
    assert taken.holding(["accelerometer"]).tolist() == [True, True]
    assert taken.holding(["accelerometer", "skeleton"]).tolist() == [True, False]
    assert not np.shares_memory(taken.holding(["skeleton"]), taken.present["skeleton"])


def test_absent_clips_do_not_count_in_statistics(dataset: Dataset) -> None:
    """The zeros of a recording without skeleton move neither mean nor standard deviation."""
    mixed, whole = (channel_statistics(prepare_clips(dataset, rows, spec())) for rows in ([0, 4, 1], [0, 1]))
    assert np.array_equal(mixed["skeleton"].mean, whole["skeleton"].mean)
    assert np.array_equal(mixed["skeleton"].sd, whole["skeleton"].sd)


def test_a_missing_students_stream_is_an_error(dataset: Dataset) -> None:
    """What the student reads must be there; the message names recording and stream."""
    agcn = parse_spec({"method": {"kind": "none"}, "student": {"inputs": ["skeleton"], "backbone": {"kind": "agcn"}}})
    with pytest.raises(DataError, match="r4 has no stream skeleton"):
        prepare_clips(dataset, [0, 4], agcn)


def test_no_recordings_are_an_error(dataset: Dataset) -> None:
    """An empty part is refused with a message rather than by a shape error later."""
    with pytest.raises(DataError, match="no recording"):
        prepare_clips(dataset, [], spec())


def test_take_keeps_everything_aligned(dataset: Dataset) -> None:
    """Rows taken in another order carry their own labels, ids, subjects and durations, and are copies."""
    prepared = prepare_clips(dataset, range(4), spec())
    taken = prepared.take(np.array([2, 0]))
    assert taken.ids == ("r2", "r0")
    assert taken.subjects == ("0", "0")
    assert taken.labels.tolist() == [0, 0]
    assert taken.durations_s.tolist() == prepared.durations_s[[2, 0]].tolist()
    for stream, values in taken.streams.items():
        assert np.array_equal(values, prepared.streams[stream][[2, 0]])
        assert not np.shares_memory(values, prepared.streams[stream])


def test_statistics_are_those_of_all_values_of_a_channel() -> None:
    """Mean and standard deviation run over clips, frames and joints."""
    values = np.random.default_rng(0).standard_normal((7, 3, 16, 5)).astype(np.float32) * 3 + 2
    statistics = channel_statistics(clips(skeleton=values))["skeleton"]
    flat = values.transpose(1, 0, 2, 3).reshape(3, -1)
    assert statistics.mean == pytest.approx(flat.mean(axis=1), rel=1e-5)
    assert statistics.sd == pytest.approx(flat.std(axis=1), rel=1e-5)


def test_a_constant_channel_can_be_divided_by() -> None:
    """A channel without spread gets standard deviation 1, so normalisation gives 0 and never NaN."""
    values = np.random.default_rng(0).standard_normal((7, 3, 16)).astype(np.float32)
    values[:, 2] = 0.1
    statistics = channel_statistics(clips(accelerometer=values))["accelerometer"]
    normalised = (values - statistics.mean[:, None]) / statistics.sd[:, None]
    assert statistics.sd[2] == 1
    assert normalised[:, 2] == pytest.approx(np.zeros((7, 16)), abs=1e-6)
    assert normalised[:, :2].std(axis=(0, 2)) == pytest.approx([1, 1], rel=1e-4)


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [
        (431, 32, [32] * 13 + [15]),
        (64, 32, [32, 32]),
        (71, 32, [32, 39]),  # 7 left over join the batch before
        (72, 32, [32, 32, 8]),
        (35, 32, [35]),
        (5, 32, [5]),
    ],
)
def test_batches_are_never_tiny(n: int, batch_size: int, sizes: list[int]) -> None:
    """A remainder below 8 joins the batch before; every row comes once."""
    batches = batch_order(n, batch_size=batch_size, seed=0, epoch=0)
    assert [len(batch) for batch in batches] == sizes
    assert sorted(np.concatenate(batches)) == list(range(n))


def test_order_follows_seed_and_epoch() -> None:
    """The order repeats for the same seed and epoch and differs for any other."""
    first, again = (np.concatenate(batch_order(100, batch_size=32, seed=0, epoch=0)) for _ in range(2))
    assert np.array_equal(first, again)
    for seed, epoch in ((0, 1), (1, 0)):
        assert not np.array_equal(first, np.concatenate(batch_order(100, batch_size=32, seed=seed, epoch=epoch)))
