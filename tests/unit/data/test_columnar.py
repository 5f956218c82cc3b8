"""The columnar store: what is written is read, whole or not at all."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from pskd_core.data.columnar import (
    Dataset,
    DatasetInfo,
    NamedSplit,
    Recording,
    SkeletonInfo,
    Stream,
    StreamInfo,
    write_dataset,
)
from pskd_core.errors import DataError
from pskd_core.shapes import FloatArray

SKELETON = SkeletonInfo(joints=("hip", "head", "wrist"), bones=((1, 0), (2, 0)), centre=0)
INFO = DatasetInfo(
    name="made",
    layout="made",
    classes=("still", "wave"),
    streams={
        "accelerometer": StreamInfo(channels=3, unit="g", rate_hz=50, worn_at="wrist"),
        "skeleton": StreamInfo(channels=None, unit="m", rate_hz=30),
    },
    skeleton=SKELETON,
    protocols={"cross_subject": NamedSplit(by="subject", train=("1",), test=("2",))},
)


def values(*shape: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def recording(number: int = 1, *, seconds: float = 1.0, paired: bool = True) -> Recording:
    streams = {"accelerometer": Stream(values(round(50 * seconds), 3, seed=number), 50)}
    if paired:
        streams["skeleton"] = Stream(values(round(30 * seconds), 3, 3, seed=number), 30)
    return Recording(id=f"r{number}", subject=str(number), trial="1", label=number % 2, streams=streams)


def test_every_recording_comes_back_bit_by_bit(tmp_path: Path) -> None:
    """Streams of different lengths are told apart, and a missing one is known to be missing."""
    recordings = [recording(1), recording(2, seconds=0.6, paired=False), recording(3, seconds=2.4)]
    dataset = write_dataset(tmp_path / "data", INFO, recordings)
    assert dataset.info == INFO
    assert [meta.id for meta in dataset.recordings] == ["r1", "r2", "r3"]
    assert [meta.duration_s for meta in dataset.recordings] == [1.0, 0.6, 2.4]
    for index, given in enumerate(recordings):
        for name in INFO.streams:
            assert (name in dataset.recordings[index].streams) == (name in given.streams)
            if name in given.streams:
                assert np.array_equal(dataset.stream(name, index), given.streams[name].values)
    assert dataset.recordings[2].rate_hz("skeleton") == pytest.approx(30)


def test_reading_maps_the_files_and_cannot_change_them(tmp_path: Path) -> None:
    """Arrays are read-only views of one memory map a stream, so a dataset may be larger than memory."""
    dataset = write_dataset(tmp_path / "data", INFO, [recording(1), recording(2)])
    first, second = dataset.stream("skeleton", 0), dataset.stream("skeleton", 1)
    assert isinstance(first, np.memmap)
    assert first.base is second.base
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_a_missing_stream_is_named(tmp_path: Path) -> None:
    """Asking for a stream that a recording lacks says which it has."""
    dataset = write_dataset(tmp_path / "data", INFO, [recording(1, paired=False)])
    with pytest.raises(DataError, match="r1 has no stream skeleton; it has accelerometer"):
        dataset.stream("skeleton", 0)


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    """Equal content gives equal digests anywhere; one changed value, order or name gives another."""
    digests = [
        write_dataset(tmp_path / str(number), info, recordings).digest
        for number, (info, recordings) in enumerate(
            [
                (INFO, [recording(1), recording(2)]),
                (INFO, [recording(1), recording(2)]),
                (INFO, [recording(2), recording(1)]),
                (INFO.model_copy(update={"name": "other"}), [recording(1), recording(2)]),
            ]
        )
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """An error in the middle of the recordings leaves neither the dataset nor a part of it."""

    def broken() -> Iterator[Recording]:
        yield recording(1)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_dataset(tmp_path / "data", INFO, broken())
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A dataset that is there stays as it is."""
    before = write_dataset(tmp_path / "data", INFO, [recording(1)]).digest
    with pytest.raises(DataError, match="exists there already"):
        write_dataset(tmp_path / "data", INFO, [recording(2)])
    assert Dataset.open(tmp_path / "data").digest == before


def _replaced(**streams: Stream) -> Recording:
    return Recording(id="r1", subject="1", trial="1", label=0, streams=streams)


UNFIT = {
    "no stream": _replaced(),
    "span different times": _replaced(accelerometer=Stream(values(50, 3), 50), skeleton=Stream(values(31, 3, 3), 30)),
    "does not describe": _replaced(gyroscope=Stream(values(50, 3), 50)),
    r"not \(50, 3\)": _replaced(accelerometer=Stream(values(50, 6), 50)),
    "not finite": _replaced(accelerometer=Stream(values(50, 3) * np.float32(np.nan), 50)),
    "label 2 of 2 classes": Recording("r1", "1", "1", 2, recording(1).streams),
}


@pytest.mark.parametrize("message", UNFIT)
def test_a_recording_that_does_not_fit_is_refused(tmp_path: Path, message: str) -> None:
    """The store's promises (known streams, shapes, one time span, finite values, known labels) hold for all it has."""
    with pytest.raises(DataError, match=message):
        write_dataset(tmp_path / "data", INFO, [UNFIT[message]])


@pytest.mark.parametrize(("recordings", "message"), [([], "no recording"), ([recording(1)] * 2, "the same id")])
def test_a_dataset_without_distinct_recordings_is_refused(
    tmp_path: Path, recordings: list[Recording], message: str
) -> None:
    """There is at least one recording and no two share an id."""
    with pytest.raises(DataError, match=message):
        write_dataset(tmp_path / "data", INFO, recordings)


def test_opening_what_is_no_dataset_says_so(tmp_path: Path) -> None:
    """An empty folder, a foreign file and an unknown format are told apart from a dataset."""
    with pytest.raises(DataError, match="no dataset here"):
        Dataset.open(tmp_path)
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(DataError, match="not a dataset of format 1"):
        Dataset.open(tmp_path)
    write_dataset(tmp_path / "data", INFO, [recording(1)])
    manifest = json.loads((tmp_path / "data" / "dataset.json").read_text())
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(manifest | {"format": 2}))
    with pytest.raises(DataError, match="not a dataset of format 1: format"):
        Dataset.open(tmp_path / "data")


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_opening_notices_a_damaged_stream_file(tmp_path: Path, damage: str) -> None:
    """A stream file that is shorter than the manifest says, or missing, is named before anything is read."""
    write_dataset(tmp_path / "data", INFO, [recording(1)])
    file = tmp_path / "data" / "skeleton.f32"
    file.unlink() if damage == "gone" else file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"skeleton\.f32: 1080 bytes expected"):
        Dataset.open(tmp_path / "data")


def test_a_description_must_hold_together() -> None:
    """A skeleton stream without skeleton, a sensor without channels and a bone without joint are refused."""
    with pytest.raises(ValidationError, match="come together"):
        DatasetInfo.model_validate(INFO.model_dump() | {"skeleton": None})
    streams = {"gyroscope": StreamInfo(channels=None, unit="deg/s", rate_hz=50)}
    with pytest.raises(ValidationError, match="how many channels"):
        DatasetInfo(name="made", layout="made", classes=("still",), streams=streams)
    with pytest.raises(ValidationError, match="joint 3 is named, but there are 3 joints"):
        SkeletonInfo(joints=SKELETON.joints, bones=((3, 0),), centre=0)


def test_what_a_recording_need_not_state_is_kept_where_stated(tmp_path: Path) -> None:
    """They come back as written; where nobody states them `dataset.json` does not mention them, so digests stay."""
    stated = replace(recording(1), session="2", scene="kitchen", camera="3", cut_from="long")
    meta, plain = write_dataset(tmp_path / "data", INFO, [stated, recording(2)]).recordings
    assert (meta.session, meta.scene, meta.camera, meta.cut_from) == ("2", "kitchen", "3", "long")
    assert (plain.session, plain.scene, plain.camera, plain.cut_from) == (None, None, None, None)
    written = (tmp_path / "data" / "dataset.json").read_text()
    assert [written.count(word) for word in ("scene", "cut_from")] == [1, 1]
