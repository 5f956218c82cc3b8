"""MMAct's layout, in made files: clocks that jump, two spellings of everything, two persons, four protocols."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pskd_core.data.body_graphs import COCO_17, COCO_18
from pskd_core.data.columnar import DatasetInfo, Recording
from pskd_core.data.importing import import_dataset
from pskd_core.data.mmact import CLASSES, read_mmact
from pskd_core.data.problems import Problem
from pskd_core.data.source import open_source
from tests.unit.data.factories import about, zipped

START = datetime(2019, 3, 7, 14, 59, 58)  # noqa: DTZ001 (files have no zone)


def rows(samples: int = 200, *, rate_hz: float = 100, late_s: float = 0.0) -> list[str]:
    """Lines at even times; x is the sample's number, z is gravity."""
    times = [START + timedelta(seconds=late_s + sample / rate_hz) for sample in range(samples)]
    return [f"{time:%Y%m%d_%H:%M:%S.%f},{sample},0.5,9.80665" for sample, time in enumerate(times)]


def write_sensor(root: Path, kind: str, clip: str, lines: list[str] | None = None) -> Path:
    """`clip` is such as `subject1/scene1/session1/walking`."""
    path = root / kind / f"{clip}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows() if lines is None else lines) + "\n")
    return path


def body(x: float, *, confidence: float = 0.9) -> list[float]:
    return [number for joint in range(17) for number in (x + joint, 500 + joint, confidence)]


def write_pose(root: Path, clip: str, frames: dict[str, dict[str, list[float]]] | None = None) -> Path:
    """`clip` is such as `subject1/cam1/scene1/session1/walking`."""
    path = root / "trimmed" / "pose" / "openpose" / f"{clip}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(frames or {str(frame): {"person1": body(100 + frame)} for frame in range(60)}))
    return path


def read(root: Path) -> tuple[DatasetInfo, dict[str, Recording], list[Problem]]:
    with open_source(root) as files:
        info, recordings, problems = read_mmact(files)
        by_id = {recording.id: recording for recording in recordings}
    return info, by_id, problems


WALK, SEEN = "subject1/scene2/session3/walking", "subject1/cam{}/scene2/session3/walking"
ID = "subject1_scene2_session3_walking"


def test_watch_and_phone_are_read_in_g(tmp_path: Path) -> None:
    """The watch is `accelerometer`; m/s² become g, and the label comes from the file's name."""
    for kind in ("acc_watch_clip", "acc_phone_clip"):
        write_sensor(tmp_path, kind, WALK)
    for kind in ("gyro_clip", "orientation_clip"):
        write_sensor(tmp_path, kind, WALK, rows(100, rate_hz=50))
    info, recordings, _ = read(tmp_path)
    recording = recordings[ID]
    assert (recording.subject, recording.scene, recording.session, recording.camera) == ("1", "2", "3", None)
    assert info.classes[recording.label] == "walking"
    assert list(recording.streams) == ["accelerometer", "accelerometer_phone", "gyroscope", "orientation"]
    assert recording.streams["accelerometer"].values[:, 2] == pytest.approx(1)
    assert recording.streams["gyroscope"].values[:, 2] == pytest.approx(9.80665)
    assert [info.streams[name].unit for name in recording.streams] == ["g", "g", "rad/s", "deg"]
    assert [stream.rate_hz for stream in recording.streams.values()] == pytest.approx([100, 100, 50, 50], rel=0.01)
    assert info.skeleton is None
    assert "cross_view" not in info.protocols


@pytest.mark.parametrize(
    "path",
    [
        "trimmed/sensor/acc_watch_clip/subject01/scene2/session3/walking.csv",
        "MMAct/trimmed/sensors/acc_watch_clip/subject1/scene2/session3/Walking.csv",
        "acc_watch_clip/subject1/scene02/session03/WALKING.csv",
    ],
)
def test_spellings_of_one_place(tmp_path: Path, path: str) -> None:
    """Extra folders, padded numbers and capitals change nothing."""
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("\n".join(rows()))
    assert list(read(tmp_path)[1]) == [ID]


def test_class_names(tmp_path: Path) -> None:
    """35 of them; capitals and blanks do not matter, and what is none of them is named."""
    assert len(set(CLASSES)) == 35
    write_sensor(tmp_path, "acc_watch_clip", "subject1/scene1/session1/Talking on phone")
    write_sensor(tmp_path, "acc_watch_clip", "subject1/scene1/session1/dancing")
    info, recordings, problems = read(tmp_path)
    assert [info.classes[recording.label] for recording in recordings.values()] == ["talking_on_phone"]
    assert about(problems, "'dancing' is none of the 35 actions").file is not None


def test_headers_missing_fractions_and_disorder(tmp_path: Path) -> None:
    """With a header, without a fraction, 45 ms backwards and repeated: the samples come out in time order."""
    lines = rows()
    lines[0] = lines[0].replace("58.000000", "58")
    lines[50], lines[54] = lines[54], lines[50]
    lines.insert(101, lines[100])
    write_sensor(tmp_path, "acc_watch_clip", WALK, ["time,x,y,z", *lines])
    _, recordings, problems = read(tmp_path)
    assert recordings[ID].streams["accelerometer"].values[:, 0] == pytest.approx(np.arange(200) / 9.80665, abs=1e-3)
    assert about(problems, "times run backwards").column == "time"
    assert about(problems, "1 samples that repeated").severity == "warning"


def test_lines_that_are_no_rows_are_left_out_with_their_number(tmp_path: Path) -> None:
    lines = rows()
    lines[20], lines[30] = "20190307_15:00:", lines[30] + ",7"
    write_sensor(tmp_path, "acc_watch_clip", WALK, lines)
    _, recordings, problems = read(tmp_path)
    assert list(recordings) == [ID]
    assert about(problems, "2 lines are no rows").row == 21


def test_values_that_are_not_finite_are_bridged(tmp_path: Path) -> None:
    lines = rows()
    lines[7] = lines[7].replace(",7,", ",nan,")
    lines[9] = lines[9].replace(",9,", ",1e300,")
    write_sensor(tmp_path, "acc_watch_clip", WALK, lines)
    _, recordings, problems = read(tmp_path)
    assert recordings[ID].streams["accelerometer"].values[7:10, 0] == pytest.approx(np.arange(7, 10) / 9.80665)
    assert (about(problems, "2 values").row, about(problems, "2 values").column) == (8, "x")


@pytest.mark.parametrize(
    ("lines", "said", "row"),
    [
        ([], "the file is empty", None),
        (["time,x,y,z"], "no row `YYYYMMDD", 1),
        (rows(10), "10 samples at different times; at least 16", None),
        ([*rows(20), "20190307_15:00:01.5,one,2,3"], "'one' is not a number", 21),
        ([*rows(20), "20191307_15:00:01.5,1,2,3"], "there is no such time", 21),
    ],
)
def test_unusable_sensor_files_are_errors(tmp_path: Path, lines: list[str], said: str, row: int | None) -> None:
    """Its clip stays if another sensor recorded it."""
    write_sensor(tmp_path, "acc_watch_clip", WALK, lines)
    write_sensor(tmp_path, "acc_phone_clip", WALK)
    _, recordings, problems = read(tmp_path)
    assert list(recordings[ID].streams) == ["accelerometer_phone"]
    found = about(problems, said)
    assert (found.severity, found.row) == ("error", row)


def test_clocks_that_disagree(tmp_path: Path) -> None:
    """A phone that is an hour late is left out; the watch, which the student reads, is kept whole."""
    write_sensor(tmp_path, "acc_watch_clip", WALK)
    write_sensor(tmp_path, "acc_phone_clip", WALK, rows(late_s=3600))
    _, recordings, problems = read(tmp_path)
    assert list(recordings[ID].streams) == ["accelerometer"]
    assert about(problems, "accelerometer_phone of subject1_scene2_session3_walking covers 0%").severity == "warning"


def test_an_orientation_that_passes_north_takes_the_short_way(tmp_path: Path) -> None:
    """Between 359° and 1° lies 0°, not 180°."""
    lines = [line.replace(f",{n},", f",{(358 + n / 10) % 360},") for n, line in enumerate(rows(100, rate_hz=50))]
    write_sensor(tmp_path, "orientation_clip", WALK, lines)
    azimuth = read(tmp_path)[1][ID].streams["orientation"].values[:, 0]
    assert np.abs(np.diff(azimuth)).max() < 0.2


def test_a_recording_a_camera(tmp_path: Path) -> None:
    """Poses of two cameras make two recordings of the same samples, and the report says what that means."""
    write_sensor(tmp_path, "acc_watch_clip", WALK)
    for camera in (1, 4):
        write_pose(tmp_path, SEEN.format(camera))
    info, recordings, problems = read(tmp_path)
    assert {name: recording.camera for name, recording in recordings.items()} == {f"{ID}_cam1": "1", f"{ID}_cam4": "4"}
    one, two = (recordings[f"{ID}_cam{camera}"].streams for camera in (1, 4))
    assert np.array_equal(one["accelerometer"].values, two["accelerometer"].values)
    assert info.skeleton == COCO_17
    assert one["skeleton"].values.shape[1:] == (17, 2)
    assert one["skeleton"].duration_s == pytest.approx(one["accelerometer"].duration_s)
    assert "tested on what it was trained on" in about(problems, "whichever camera saw it").detail


def test_of_two_persons_the_main_one_is_kept(tmp_path: Path) -> None:
    """`person2` is seen throughout and `person1` at the start: the first is the passer-by."""
    write_sensor(tmp_path, "acc_watch_clip", WALK)
    frames = {str(f): {"person2": body(900)} | ({"person1": body(100)} if f < 20 else {}) for f in range(60)}
    write_pose(tmp_path, SEEN.format(1), frames)
    _, recordings, problems = read(tmp_path)
    (recording,) = recordings.values()
    assert recording.streams["skeleton"].values[:, 0, 0] == pytest.approx(900)
    assert about(problems, "it shows 2 persons").severity == "info"


def test_actions_of_two_keep_both(tmp_path: Path) -> None:
    """Who is seen longest comes first, a third one passes by, and where one person acts the second place stays 0."""
    write_sensor(tmp_path, "acc_watch_clip", WALK)
    write_sensor(tmp_path, "acc_watch_clip", "subject1/scene1/session1/talking")
    three = {f"person{number}": body(100 * number) for number in (1, 2, 3)}
    frames = {
        str(f): {name: joints for name, joints in three.items() if name == "person2" or f < 50} for f in range(60)
    }
    write_pose(tmp_path, SEEN.format(1))
    write_pose(tmp_path, "subject1/cam1/scene1/session1/talking", frames)
    info, recordings, problems = read(tmp_path)
    assert info.skeleton is not None
    assert info.skeleton.persons == 2
    talking = recordings["subject1_scene1_session1_talking_cam1"].streams["skeleton"].values
    walking = recordings[f"{ID}_cam1"].streams["skeleton"].values
    assert talking.shape[1:] == walking.shape[1:] == (2, 17, 2)
    assert talking[:, :, 0, 0] == pytest.approx(np.tile([200, 100], (len(talking), 1)))
    assert walking[:, 0].all()
    assert not walking[:, 1].any()
    assert about(problems, "it shows 3 persons; the 2 seen longest were kept").severity == "info"


def test_frames_and_points_that_are_missing_are_bridged(tmp_path: Path) -> None:
    """Frames 20 to 29 are absent, the nose has no confidence in 5 more: straight lines, reported with the joint."""
    frames = {str(f): {"person1": body(100 + f)} for f in range(60) if not 20 <= f < 30}
    for frame in range(40, 45):
        frames[str(frame)]["person1"][:3] = [0, 0, 0]
    write_sensor(tmp_path, "acc_watch_clip", WALK)
    write_pose(tmp_path, SEEN.format(1), frames)
    _, recordings, problems = read(tmp_path)
    nose = recordings[f"{ID}_cam1"].streams["skeleton"].values[2:-2, 0, 0]
    assert np.diff(nose) == pytest.approx(np.full(len(nose) - 1, 1.0), abs=0.05)
    assert about(problems, "of the points were not seen").column == "nose"


def test_openpose_arrays_become_the_same_skeleton(tmp_path: Path) -> None:
    """COCO-18 of two bodies, (frames, 18, 2, 2): the neck goes, and every joint finds its place."""
    array = np.zeros((60, 18, 2, 2))
    array[:, :, 0, 0] = np.arange(1, 19)
    array[:, :, 1, 0] = 5
    write_sensor(tmp_path, "acc_watch_clip", WALK)
    path = tmp_path / "pose" / f"{SEEN.format(2)}.npy"
    path.parent.mkdir(parents=True)
    np.save(path, array)
    _, recordings, _ = read(tmp_path)
    x = recordings[f"{ID}_cam2"].streams["skeleton"].values[0, :, 0]
    assert [COCO_18.joints[int(value) - 1] for value in x] == list(COCO_17.joints)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "not a JSON object of frames"),
        ("[" * 100_000, "not a JSON object of frames"),
        ('{"1": ["person1"]}', "not a JSON object of frames"),
        ("{}", "it shows nobody"),
        ('{"1": null, "2": []}', "it shows nobody"),
        ('{"1": {"a": [], "b": []}, "100001": {}}', "2 persons over 100001 frames; at most 200000 bodies"),
        ('{"1": {"person1": [1, 2, 0.5]}}', "51 numbers"),
        ('{"1": {"person1": [' + "9" * 400 + "]}}", "51 numbers"),
        ('{"1": {"person1": [1, 2]}}', "51 numbers"),
        ('{"1": {"person1": ' + str(body(1)) + "}}", "seen in fewer than 16 frames"),
    ],
)
def test_unusable_poses_leave_the_sensors(tmp_path: Path, text: str, said: str) -> None:
    write_sensor(tmp_path, "acc_watch_clip", WALK)
    write_pose(tmp_path, SEEN.format(1)).write_text(text)
    _, recordings, problems = read(tmp_path)
    assert [list(recording.streams) for recording in recordings.values()] == [["accelerometer"]]
    assert about(problems, said).severity == "error"


def test_what_is_missing_is_described(tmp_path: Path) -> None:
    write_sensor(tmp_path, "acc_watch_clip", WALK)
    write_sensor(tmp_path, "acc_watch_clip", "subject2/scene1/session1/fall")
    write_sensor(tmp_path, "acc_phone_clip", WALK)
    write_pose(tmp_path, SEEN.format(1))
    write_pose(tmp_path, "subject5/cam1/scene1/session1/fall")
    _, _, problems = read(tmp_path)
    assert about(problems, "no clip of subjects 3, 4, 5").severity == "warning"
    assert about(problems, "without accelerometer_phone: subject2_scene1_session1_fall").severity == "warning"
    assert about(problems, "without pose, kept for the sensors alone: subject2").severity == "warning"
    assert about(problems, "poses without any sensor, left out: subject5").severity == "error"


def test_findings_that_repeat_are_counted(tmp_path: Path) -> None:
    """Of 30 clips whose times run backwards 20 are named and the others counted."""
    lines = rows(40)
    lines[10], lines[12] = lines[12], lines[10]
    for subject in range(1, 16):
        for session in (1, 2):
            write_sensor(tmp_path, "acc_watch_clip", f"subject{subject}/scene1/session{session}/fall", lines)
    _, _, problems = read(tmp_path)
    assert sum("run backwards" in problem.detail for problem in problems) == 20
    assert about(problems, "times out of order: 10 more, of 30").severity == "warning"


def test_all_four_protocols_split(tmp_path: Path) -> None:
    """Subjects 16 and 17, scenes 1 and 2, sessions 4 and 5, cameras 3 and 4: one recording on either side of each."""
    for subject, scene, session, camera in ((16, 1, 4, 3), (17, 2, 5, 4)):
        write_sensor(tmp_path / "in", "acc_watch_clip", f"subject{subject}/scene{scene}/session{session}/fall")
        write_pose(tmp_path / "in", f"subject{subject}/cam{camera}/scene{scene}/session{session}/fall")
    report = import_dataset(tmp_path / "in", tmp_path / "data")
    assert {name: (split.train, split.test) for name, split in report.protocols.items()} == dict.fromkeys(
        ("cross_subject", "cross_view", "cross_scene", "cross_session"), (1, 1)
    )
    assert "camera 1" in report.protocols["cross_view"].missing
    archive = zipped(tmp_path / "in", tmp_path / "mmact.zip", inside="MMAct/")
    assert import_dataset(archive, tmp_path / "zipped").digest == report.digest
