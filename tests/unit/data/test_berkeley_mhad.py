"""Berkeley-MHAD: six jittered sensors, the forms of its skeleton, and one clock."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pskd_core.data.berkeley_mhad import read_berkeley_mhad
from pskd_core.data.berkeley_skeletons import MARKERS, POSES
from pskd_core.data.body_graphs import COCO_17, COCO_18, spanning_bones
from pskd_core.data.columnar import DatasetInfo, Recording, SkeletonInfo
from pskd_core.data.importing import import_dataset
from pskd_core.data.problems import Problem
from pskd_core.data.source import open_source
from tests.data_paths import real_data
from tests.unit.data.factories import about, zipped

Array = npt.NDArray[np.float64]
START = 1309539264.0  # Unix time


def sensor(seconds: float = 4.0, *, late: float = 0.0) -> Array:
    """Rows x, y, z, time at 31 Hz with jitter; x is the time since START."""
    draw = np.random.default_rng(0)
    time_s = np.sort(np.arange(0, seconds, 1 / 31) + late + draw.uniform(-0.01, 0.01, int(np.ceil(seconds * 31))))
    return np.column_stack([time_s / 10, np.full_like(time_s, -1.0), np.zeros_like(time_s), START + time_s])


def write(path: Path, rows: Array, *, delimiter: str = " ") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, rows, fmt="%.6f", delimiter=delimiter)


def write_sensor(root: Path, trial: str, number: int = 1, rows: Array | None = None) -> Path:
    path = root / "Accelerometer" / f"Shimmer0{number}" / f"acc_h0{number}_{trial}.txt"
    write(path, sensor() if rows is None else rows)
    return path


def write_optical(root: Path, trial: str, *, seconds: float = 4.0, markers: Array | None = None) -> None:
    """43 markers in mm at 480 Hz, frame number and time."""
    frames = int(seconds * 480)
    spots = np.random.default_rng(1).uniform(100, 1800, (43, 3)) if markers is None else markers
    positions = np.broadcast_to(spots.reshape(-1), (frames, 129)) if spots.ndim == 2 else spots.reshape(frames, 129)
    time_s = START + np.arange(frames) / 480
    write(root / "Mocap" / "OpticalData" / f"moc_{trial}.txt", np.column_stack([positions, np.arange(frames), time_s]))


def write_pose(root: Path, trial: str, *, frames: int = 85, poses: Array | None = None, stamps: bool = True) -> None:
    subject, action, repetition = trial.split("_")
    rows = np.random.default_rng(2).uniform(100, 400, (frames, 34)) if poses is None else poses
    write(root / "pose2d" / subject / action / repetition / "x.csv", rows, delimiter=",")
    if stamps:
        times = np.column_stack([np.arange(frames + 1), START + 0.05 + np.arange(frames + 1) / 21.3])
        write(root / "Time_stamps" / f"time_stamps_img_{trial}.txt", times)


BVH = """HIERARCHY
ROOT Hips
{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
 JOINT Spine
 {
  OFFSET 0 50 0
  CHANNELS 3 Zrotation Xrotation Yrotation
  End Site
  {
   OFFSET 0 20 0
  }
 }
}
MOTION
"""


def write_bvh(root: Path, trial: str, *, seconds: float = 4.0, text: str = BVH) -> None:
    frames = int(seconds * 480)
    rows = "\n".join(f"{100 * frame / 480} 100 0 0 0 0 0 0 0" for frame in range(frames))
    path = root / "Mocap" / "SkeletalData" / f"skl_{trial}.bvh"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}Frames: {frames}\nFrame Time: 0.00208333\n{rows}\n")


def read(root: Path) -> tuple[DatasetInfo, dict[str, Recording], list[Problem]]:
    """Everything, with the findings that are more than notes."""
    with open_source(root) as files:
        info, recordings, problems = read_berkeley_mhad(files)
        by_id = {recording.id: recording for recording in recordings}
    return info, by_id, [problem for problem in problems if problem.severity != "info"]


def described(problems: list[Problem]) -> str:
    return "\n".join(f"{problem.severity}: {problem.detail}" for problem in problems)


def test_sensors_are_named_by_place_and_resampled_on_their_times(tmp_path: Path) -> None:
    """The left wrist is `accelerometer`; a jittered ramp comes out straight, at 30 Hz, all of one span."""
    for number in range(1, 7):
        write_sensor(tmp_path, "s02_a05_r03", number, sensor(late=0.1 * (number == 4)))
    info, recordings, _ = read(tmp_path)
    recording = recordings["s02_a05_r03"]
    assert (recording.subject, recording.trial, info.classes[recording.label]) == ("2", "3", "waving_two_hands")
    assert info.streams["accelerometer"].worn_at == "left_wrist"
    assert sorted(recording.streams) == sorted(
        ["accelerometer"] + [f"accelerometer_{place}" for place in
         ("right_wrist", "left_hip", "right_hip", "left_ankle", "right_ankle")]
    )  # fmt: skip
    assert len({round(stream.duration_s, 9) for stream in recording.streams.values()}) == 1
    ramp = recording.streams["accelerometer"]
    assert ramp.rate_hz == pytest.approx(30)
    assert ramp.duration_s == pytest.approx(3.9, abs=0.1)
    assert np.diff(ramp.values[2:-2, 0]) == pytest.approx(np.full(len(ramp.values) - 5, 1 / 300), abs=1e-4)
    # Of one movement at one time, two sensors say the same.
    assert recording.streams["accelerometer_right_hip"].values[5:-5, 0] == pytest.approx(
        ramp.values[5:-5, 0], abs=0.003
    )


def test_corrupt_values_are_mended_and_reported(tmp_path: Path) -> None:
    """60 g and `nan` are no readings of a ±2 g sensor; 2 g is."""
    rows = sensor()
    rows[10, 1], rows[20, 1], rows[30, 2], rows[5, 0] = 60.5, np.nan, -9, 2.0
    write_sensor(tmp_path, "s01_a01_r01", rows=rows)
    _, recordings, problems = read(tmp_path)
    values = recordings["s01_a01_r01"].streams["accelerometer"].values
    assert np.abs(values[:, 1] + 1).max() < 1e-5
    assert np.abs(values[:, 2]).max() < 1e-5
    assert values[:, 0].max() > 1
    found = about(problems, "2 values outside ±2 g (up to 60.5 g)")
    assert (found.severity, found.row, found.column) == ("warning", 11, "y")
    assert found.file is not None
    assert found.file.endswith("acc_h01_s01_a01_r01.txt")


def test_an_odd_rate_is_reported_and_a_short_sensor_left_out(tmp_path: Path) -> None:
    """A hip that delivered late and in bursts must not cost the wrist half its time."""
    write_sensor(tmp_path, "s01_a01_r01")
    fast = sensor()
    fast[:, 3] = START + 2 + (fast[:, 3] - START) / 2.2
    write_sensor(tmp_path, "s01_a01_r01", 3, fast)
    _, recordings, problems = read(tmp_path)
    assert list(recordings["s01_a01_r01"].streams) == ["accelerometer"]
    assert recordings["s01_a01_r01"].streams["accelerometer"].duration_s > 3.9
    assert about(problems, "samples a second, where 31 are usual").column == "time"
    assert "accelerometer_left_hip of s01_a01_r01 covers" in described(problems)


def test_broken_sensor_files_are_left_out_by_name(tmp_path: Path) -> None:
    """A word, a missing field, too few rows and an empty file are errors with row and column; the rest is read."""
    write_sensor(tmp_path, "s01_a01_r01")
    for trial, text in {
        "s01_a02_r01": "0 0 1 1.0\n0 x 1 2.0\n",
        "s01_a03_r01": "0 0 1 1.0\n0 0 1\n",
        "s01_a04_r01": "0 0 1 1.0\n",
        "s01_a05_r01": "",
        "s01_a06_r01": "0 0 1\n",
    }.items():
        write_sensor(tmp_path, trial).write_text(text)
    _, recordings, problems = read(tmp_path)
    assert list(recordings) == ["s01_a01_r01"]
    word = about(problems, "'x' is not a number")
    assert (word.severity, word.row, word.column) == ("error", 2, "y")
    assert about(problems, "3 values; 4 were expected").row == 2
    for said in ("1 samples; at least 16", "it holds no row", "3 columns; 4 were expected"):
        assert about(problems, said).severity == "error"


def test_bvh_is_preferred_and_placed_by_the_optical_clock(tmp_path: Path) -> None:
    """Of all forms the BVH is taken, in metres and at 30 a second; its joints follow the file."""
    write_sensor(tmp_path, "s01_a01_r01")
    write_bvh(tmp_path, "s01_a01_r01")
    write_optical(tmp_path, "s01_a01_r01")
    write_pose(tmp_path, "s01_a01_r01")
    info, recordings, problems = read(tmp_path)
    skeleton = recordings["s01_a01_r01"].streams["skeleton"]
    assert info.skeleton is not None
    assert info.skeleton.joints == ("Hips", "Spine")
    assert info.skeleton.bones == ((1, 0),)
    assert skeleton.rate_hz == pytest.approx(30)
    # x of the hips is the time since START in metres, and ten times the sensor's x: the clocks agree.
    wrist = recordings["s01_a01_r01"].streams["accelerometer"]
    assert skeleton.values[5:-5, 0, 0] == pytest.approx(10 * wrist.values[5:-5, 0], abs=0.03)
    assert skeleton.values[:, 1, 1] == pytest.approx(np.full(len(skeleton.values), 1.5))
    assert "SUBSTITUTE" not in described(problems)


def test_a_skeleton_without_any_clock_is_centred_on_the_sensors(tmp_path: Path) -> None:
    write_sensor(tmp_path, "s01_a01_r01")
    write_bvh(tmp_path, "s01_a01_r01")
    _, recordings, problems = read(tmp_path)
    assert "skeleton" in recordings["s01_a01_r01"].streams
    assert "1 trials have neither optical text file nor time stamps" in described(problems)


def test_a_bvh_of_another_length_than_its_trial_is_reported(tmp_path: Path) -> None:
    write_sensor(tmp_path, "s01_a01_r01")
    write_bvh(tmp_path, "s01_a01_r01", seconds=6)
    _, _, problems = read(tmp_path)
    assert about(problems, "6.0 s long, while its trial lasted 4.0 s").severity == "warning"


def test_a_wrong_time_costs_its_trial_alone(tmp_path: Path) -> None:
    """A sample stamped 1970 is an error that names the trial, and not a grid of 40 years."""
    rows = sensor()
    rows[20, 3] = 0
    write_sensor(tmp_path, "s01_a01_r01", rows=rows)
    write_sensor(tmp_path, "s01_a01_r02")
    _, recordings, problems = read(tmp_path)
    assert list(recordings) == ["s01_a01_r02"]
    assert about(problems, "s01_a01_r01 was left out: 124 samples of accelerometer lie scattered").severity == "error"


def test_a_bvh_with_other_joints_than_the_first_is_left_out(tmp_path: Path) -> None:
    for number in (1, 2):
        write_sensor(tmp_path, f"s01_a01_r0{number}")
        write_bvh(tmp_path, f"s01_a01_r0{number}", text=BVH.replace("Spine", "Spine" * number))
    _, recordings, problems = read(tmp_path)
    assert ["skeleton" in recording.streams for recording in recordings.values()] == [True, False]
    assert about(problems, "its 2 joints are not the 2 of the first file").severity == "error"


def test_the_csv_conversion_is_read(tmp_path: Path) -> None:
    """Header, time, positions in cm; the bones are the pairs whose distance is steady."""
    write_sensor(tmp_path, "s01_a01_r01")
    path = tmp_path / "csv" / "skl_s01_a01_r01_pos.csv"
    path.parent.mkdir()
    lines = ["Time,Hips.x,Hips.y,Hips.z,Hand.x,Hand.y,Hand.z,Elbow.x,Elbow.y,Elbow.z"]
    for frame in range(1920):
        angle = 3 * np.sin(frame / 100)
        elbow = 30 * np.cos(angle), 30 * np.sin(angle)
        lines.append(f"{frame / 480},0,0,0,{elbow[0]},{elbow[1] - 25},0,{elbow[0]},{elbow[1]},0")
    path.write_text("\n".join(lines))
    info, recordings, problems = read(tmp_path)
    assert info.skeleton is not None
    assert info.skeleton.joints == ("Hips", "Hand", "Elbow")
    assert sorted(info.skeleton.bones) == [(1, 2), (2, 0)]
    elbow_m = recordings["s01_a01_r01"].streams["skeleton"].values[:, 2]
    assert np.linalg.norm(elbow_m, axis=1) == pytest.approx(np.full(len(elbow_m), 0.3), abs=0.01)
    assert "bones are the steadiest" in described(problems)


def test_occluded_markers_are_bridged_and_reported(tmp_path: Path) -> None:
    """Exactly 0 0 0 is no place: a marker is bridged, and one that is never seen is named."""
    frames = np.tile(np.random.default_rng(1).uniform(100, 1800, (43, 3)), (1920, 1, 1))
    frames[100:500, 7] = 0
    frames[:, 9] = 0
    write_sensor(tmp_path, "s01_a01_r01")
    write_optical(tmp_path, "s01_a01_r01", markers=frames)
    info, recordings, problems = read(tmp_path)
    assert info.skeleton == MARKERS
    skeleton = recordings["s01_a01_r01"].streams["skeleton"]
    assert skeleton.values[:, 7] == pytest.approx(np.tile(frames[0, 7] / 1000, (len(skeleton.values), 1)), abs=1e-5)
    others = np.delete(np.arange(43), [7, 9])
    assert skeleton.values[0, 9] == pytest.approx(frames[0, [*others, 7]].mean(axis=0) / 1000, abs=1e-4)
    assert about(problems, "not seen in 100% of the frames").column == "marker_10"
    assert "positions that were not seen (0 0 0) in 1 files" in described(problems)


def test_estimated_poses_are_a_labelled_substitute(tmp_path: Path) -> None:
    """COCO-17 in pixels at the camera's times, one row fewer than stamps; frames with nobody are bridged."""
    poses = np.random.default_rng(2).uniform(100, 400, (85, 34))
    poses[40:45] = 0
    write_sensor(tmp_path, "s01_a01_r01")
    write_pose(tmp_path, "s01_a01_r01", poses=poses)
    write_sensor(tmp_path, "s01_a01_r02")
    write_pose(tmp_path, "s01_a01_r02", stamps=False)
    info, recordings, problems = read(tmp_path)
    assert info.skeleton == POSES
    assert POSES.substitute
    assert info.streams["skeleton"].unit == "px"
    skeleton = recordings["s01_a01_r01"].streams["skeleton"]
    assert skeleton.values.shape[1:] == (17, 2)
    assert skeleton.values.min() > 99
    assert "no benchmark number of the dataset may be claimed" in about(problems, "SUBSTITUTE").detail
    assert about(problems, "its time stamps are missing").severity == "error"
    assert list(recordings["s01_a01_r02"].streams) == ["accelerometer"]


def test_one_form_is_taken_throughout(tmp_path: Path) -> None:
    """One optical file among four poses would leave three trials without; the note says what was passed over."""
    for number in range(1, 5):
        write_sensor(tmp_path, f"s01_a01_r0{number}")
        write_pose(tmp_path, f"s01_a01_r0{number}")
    write_optical(tmp_path, "s01_a01_r01")
    report = import_dataset(tmp_path, tmp_path.with_name("out"))
    notes = "\n".join(problem.detail for problem in report.problems)
    assert "the skeleton is that of estimated 2-D poses of 4 trials; not taken: 43 optical markers of 1" in notes
    assert report.streams["skeleton"].recordings == 4
    assert report.skeleton_substitute == "2-D poses estimated from the dataset's video"


def test_partial_copies_are_accepted_and_described(tmp_path: Path) -> None:
    """Absent subjects, sensors and skeletons are named; a skeleton without any sensor is left out."""
    write_sensor(tmp_path, "s01_a01_r01")
    write_sensor(tmp_path, "s01_a01_r02", 2)
    write_optical(tmp_path, "s01_a01_r02")
    write_optical(tmp_path, "s03_a01_r01")
    info, recordings, problems = read(tmp_path)
    assert {name: list(recording.streams) for name, recording in recordings.items()} == {
        "s01_a01_r01": ["accelerometer"],
        "s01_a01_r02": ["accelerometer_right_wrist", "skeleton"],
    }
    text = described(problems)
    assert "no trial of subjects 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12" in text
    assert "without accelerometer: s01_a01_r02" in text
    assert "without skeleton, kept for the sensors alone: s01_a01_r01" in text
    assert "error: without any accelerometer, left out: s03_a01_r01" in text
    assert (info.protocols["cross_subject"].train[-1], info.protocols["cross_subject"].test[0]) == ("7", "8")


def test_folder_and_zip_give_the_same_dataset(tmp_path: Path) -> None:
    for trial in ("s01_a01_r01", "s08_a11_r05"):
        write_sensor(tmp_path / "folder", trial)
        write_pose(tmp_path / "folder", trial)
    archive = zipped(tmp_path / "folder", tmp_path / "all.zip", inside="Berkeley/MHAD/")
    one, two = import_dataset(tmp_path / "folder", tmp_path / "one"), import_dataset(archive, tmp_path / "two")
    assert one.digest == two.digest
    assert (one.layout, one.recordings, one.protocols["cross_subject"].test) == ("berkeley_mhad", 2, 1)


@pytest.mark.parametrize("info", [MARKERS, COCO_17, COCO_18])
def test_skeletons_are_trees(info: SkeletonInfo) -> None:
    """Every point but the centre hangs on one parent, and all lead to the centre."""
    parents = dict(info.bones)
    assert sorted([*parents, info.centre]) == list(range(len(info.joints)))
    for joint in range(len(info.joints)):
        steps = 0
        while joint != info.centre:
            joint, steps = parents[joint], steps + 1  # noqa: PLW2901
            assert steps < len(info.joints)


def test_a_spanning_tree_prefers_steady_distances() -> None:
    """A hand that passes close by the head still hangs on the elbow."""
    turn = np.linspace(0, 3, 50)
    chest, elbow = np.zeros((50, 2)), np.column_stack([np.cos(turn), np.sin(turn)])
    hand, head = elbow * [1, 2], np.tile([0.0, 0.9], (50, 1))
    hand = elbow + 0.9 * np.column_stack([np.cos(2 * turn), np.sin(2 * turn)])
    assert sorted(spanning_bones(np.stack([chest, elbow, hand, head], axis=1), 0)) == [(1, 0), (2, 1), (3, 0)]


def test_the_real_copy(tmp_path: Path) -> None:
    """383 trials of subjects 1 to 7, eight corrupt values, poses of three subjects as a labelled substitute."""
    report = import_dataset(real_data("berkeley-mhad"), tmp_path / "data")
    assert report.recordings == report.streams["accelerometer"].recordings == 383
    assert sum(report.classes.values()) == 383
    assert report.streams["skeleton"].recordings == 164
    assert report.streams["accelerometer_left_hip"].recordings == 377
    assert sum("outside ±2 g" in problem.detail for problem in report.problems) == 8
    assert sum("where 31 are usual" in problem.detail for problem in report.problems) == 23
    assert any("SUBSTITUTE" in problem.detail for problem in report.problems)


def test_the_real_optical_file(tmp_path: Path) -> None:
    """An original trial alone gives 43 markers in metres: head above feet, at 30 a second."""
    source = real_data("berkeley-mhad")
    for name in ("Accelerometer/Shimmer01/acc_h01_s01_a01_r01.txt", "Mocap/OpticalData/moc_s01_a01_r01.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes((source / name).read_bytes())
    info, recordings, problems = read(tmp_path)
    skeleton = recordings["s01_a01_r01"].streams["skeleton"].values
    assert info.skeleton == MARKERS
    assert 1.3 < np.median(skeleton[:, 0, 1] - skeleton[:, 33, 1]) < 1.8
    assert np.median(skeleton[:, 1, 1]) > np.median(skeleton[:, MARKERS.centre, 1]) > np.median(skeleton[:, 31, 1])
    assert "not seen" in described(problems)
