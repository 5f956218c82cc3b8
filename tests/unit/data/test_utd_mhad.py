"""UTD-MHAD: what a copy holds, what it lacks, and what in it is broken."""

from pathlib import Path

import numpy as np
import pytest

from pskd_core.data.columnar import Dataset, DatasetInfo, Recording
from pskd_core.data.importing import import_dataset
from pskd_core.data.problems import Problem
from pskd_core.data.source import open_source
from pskd_core.data.utd_mhad import CLASSES, KINECT_SKELETON, read_utd_mhad
from pskd_core.errors import DataError
from tests.data_paths import real_data
from tests.unit.data.factories import inertial, skeleton, write_mat, write_trial


def read(root: Path) -> tuple[DatasetInfo, dict[str, Recording], list[Problem]]:
    """Everything, with the findings that concern this copy (all have the note on the sensor's place)."""
    with open_source(root) as files:
        info, recordings, problems = read_utd_mhad(files)
        by_id = {recording.id: recording for recording in recordings}
    return info, by_id, [problem for problem in problems if problem.severity != "info"]


def described(problems: list[Problem]) -> str:
    return "\n".join(f"{problem.severity}: {problem.detail}" for problem in problems)


def test_a_trial_is_read_with_its_units_and_axes(tmp_path: Path) -> None:
    """d_iner splits into g and deg/s, d_skel turns to (F, V, 3), and both span the sensor's time."""
    write_trial(tmp_path, "a3_s2_t4", seed=5)
    info, recordings, _ = read(tmp_path)
    recording = recordings["a3_s2_t4"]
    assert (recording.subject, recording.trial, info.classes[recording.label]) == ("2", "4", "wave")
    streams = recording.streams
    assert np.array_equal(streams["accelerometer"].values, inertial(seed=5)[:, :3].astype(np.float32))
    assert np.array_equal(streams["gyroscope"].values, inertial(seed=5)[:, 3:].astype(np.float32))
    assert np.array_equal(streams["skeleton"].values, skeleton(seed=5).transpose(2, 0, 1).astype(np.float32))
    assert [stream.duration_s for stream in streams.values()] == pytest.approx([60 / 50] * 3)
    assert [info.streams[name].unit for name in ("accelerometer", "gyroscope", "skeleton")] == ["g", "deg/s", "m"]


def test_the_description_is_that_of_the_dataset() -> None:
    """27 classes, and a skeleton in which every joint but the centre hangs on one parent, without loops."""
    assert len(set(CLASSES)) == 27
    parents = dict(KINECT_SKELETON.bones)
    assert KINECT_SKELETON.joints[KINECT_SKELETON.centre] == "hip_center"
    assert sorted([*parents, KINECT_SKELETON.centre]) == list(range(20))
    reached = {KINECT_SKELETON.centre}
    while step := {joint for joint, parent in parents.items() if parent in reached} - reached:
        reached |= step
    assert reached == set(range(20))


def test_files_are_found_in_any_folder_and_others_ignored(tmp_path: Path) -> None:
    """Extra folders, Depth and RGB files, hidden copies and capital letters do not matter."""
    write_trial(tmp_path / "UTD-MHAD" / "data", "a1_s1_t1")
    upper = tmp_path / "UTD-MHAD" / "data" / "Inertial" / "a1_s1_t2_inertial.mat"
    write_mat(upper, "d_iner", inertial())
    upper.rename(upper.with_name("A1_S1_T2_Inertial.MAT"))
    write_mat(tmp_path / "Depth" / "a1_s1_t1_depth.mat", "d_depth", inertial())
    (tmp_path / "RGB").mkdir()
    (tmp_path / "RGB" / "a1_s1_t1_color.avi").write_bytes(b"video")
    (tmp_path / "._a1_s1_t3_inertial.mat").write_bytes(b"resource fork")
    _, recordings, _ = read(tmp_path)
    assert list(recordings) == ["a1_s1_t1", "a1_s1_t2"]


def test_missing_trials_are_listed_compactly(tmp_path: Path) -> None:
    """Whole subjects are named once, single trials one by one, and the three that never existed not at all."""
    for action in range(1, 28):
        for trial in range(1, 5):
            if (action, trial) not in {(8, 4), (5, 2)}:
                write_mat(tmp_path / f"a{action}_s1_t{trial}_inertial.mat", "d_iner", inertial(20))
                write_mat(tmp_path / f"a{action}_s1_t{trial}_skeleton.mat", "d_skel", skeleton(20))
    _, recordings, problems = read(tmp_path)
    assert len(recordings) == 106
    assert described(problems) == ("warning: no trial of subjects 2, 3, 4, 5, 6, 7, 8\nwarning: missing: a5_s1_t2")


def test_a_long_list_of_missing_trials_is_cut(tmp_path: Path) -> None:
    """Of 107 missing trials of a subject twelve are named and the others counted."""
    write_trial(tmp_path, "a1_s2_t1")
    _, _, problems = read(tmp_path)
    assert "missing: a1_s2_t2, a1_s2_t3" in described(problems)
    assert "a4_s2_t1 and 95 more" in described(problems)


def test_a_trial_without_skeleton_keeps_its_sensors(tmp_path: Path) -> None:
    """The partner that is missing is reported; a skeleton without sensors is left out."""
    for trial in ("a1_s1_t1", "a1_s1_t2", "a1_s1_t3"):
        write_trial(tmp_path, trial)
    (tmp_path / "Skeleton" / "a1_s1_t2_skeleton.mat").unlink()
    (tmp_path / "Inertial" / "a1_s1_t3_inertial.mat").unlink()
    _, recordings, problems = read(tmp_path)
    assert {name: sorted(recording.streams) for name, recording in recordings.items()} == {
        "a1_s1_t1": ["accelerometer", "gyroscope", "skeleton"],
        "a1_s1_t2": ["accelerometer", "gyroscope"],
    }
    assert "warning: without skeleton, kept for the sensors alone: a1_s1_t2" in described(problems)
    assert "error: without inertial file, left out: a1_s1_t3" in described(problems)


def test_a_copy_without_skeletons_describes_none(tmp_path: Path) -> None:
    """With the Inertial folder alone there is no skeleton stream, so no job can ask for it."""
    write_mat(tmp_path / "a1_s1_t1_inertial.mat", "d_iner", inertial())
    info, recordings, _ = read(tmp_path)
    assert info.skeleton is None
    assert sorted(info.streams) == ["accelerometer", "gyroscope"]
    assert list(recordings) == ["a1_s1_t1"]


def test_broken_files_are_reported_by_name_and_left_out(tmp_path: Path) -> None:
    """Damage, another variable, a wrong shape and too few samples each name the file, and the rest is read."""
    for trial in range(1, 5):
        write_trial(tmp_path, f"a1_s1_t{trial}")
    write_trial(tmp_path, "a2_s1_t1")
    folder = tmp_path / "Inertial"
    (folder / "a1_s1_t1_inertial.mat").write_bytes((folder / "a1_s1_t1_inertial.mat").read_bytes()[:300])
    write_mat(folder / "a1_s1_t2_inertial.mat", "other", inertial())
    write_mat(folder / "a1_s1_t3_inertial.mat", "d_iner", inertial()[:, :5])
    write_mat(folder / "a1_s1_t4_inertial.mat", "d_iner", inertial(15))
    write_mat(tmp_path / "Skeleton" / "a2_s1_t1_skeleton.mat", "d_skel", skeleton()[:19])
    _, recordings, problems = read(tmp_path)
    assert {name: "skeleton" in recording.streams for name, recording in recordings.items()} == {"a2_s1_t1": False}
    errors = {problem.file: problem.detail for problem in problems if problem.severity == "error"}
    assert "ends too early" in errors["Inertial/a1_s1_t1_inertial.mat"] or "damaged" in str(errors)
    assert "no numeric variable d_iner; it has other" in errors["Inertial/a1_s1_t2_inertial.mat"]
    assert "shape (60, 5); (n, 6) with n ≥ 16 was expected" in errors["Inertial/a1_s1_t3_inertial.mat"]
    assert "shape (15, 6)" in errors["Inertial/a1_s1_t4_inertial.mat"]
    assert "shape (19, 3, 24); (20, 3, F)" in errors["Skeleton/a2_s1_t1_skeleton.mat"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_a_value_that_is_not_finite_is_reported_with_its_place(tmp_path: Path, bad: float) -> None:
    """File, row (sample or frame, from 1) and column stand in the report."""
    write_trial(tmp_path, "a1_s1_t1")
    sensor, joints = inertial(), skeleton()
    sensor[41, 4] = joints[10, 2, 6] = bad
    write_mat(tmp_path / "Inertial" / "a1_s1_t2_inertial.mat", "d_iner", sensor)
    write_mat(tmp_path / "Skeleton" / "a1_s1_t1_skeleton.mat", "d_skel", joints)
    _, recordings, problems = read(tmp_path)
    places = [(problem.file, problem.row, problem.column) for problem in problems if problem.severity == "error"]
    assert places == [
        ("Skeleton/a1_s1_t1_skeleton.mat", 7, "right_wrist z"),
        ("Inertial/a1_s1_t2_inertial.mat", 42, "gyroscope y"),
    ]
    assert list(recordings) == ["a1_s1_t1"]


def test_doubtful_files_are_reported(tmp_path: Path) -> None:
    """A second file of a trial and a number beyond the dataset's are named and left out."""
    write_trial(tmp_path / "one", "a1_s1_t1", seed=1)
    write_trial(tmp_path / "two", "a1_s1_t1", seed=2)
    write_trial(tmp_path, "a28_s1_t1")
    _, recordings, problems = read(tmp_path)
    assert np.array_equal(
        recordings["a1_s1_t1"].streams["accelerometer"].values, inertial(seed=1)[:, :3].astype(np.float32)
    )
    assert "a second inertial file of a1_s1_t1; one/Inertial/a1_s1_t1_inertial.mat was taken" in described(problems)
    assert "no trial of UTD-MHAD; left out" in described(problems)


def test_real_data_read_whole(tmp_path: Path) -> None:
    """The four subjects at hand: 431 trials with both modalities, in physical ranges, and only subjects missing."""
    report = import_dataset(real_data("utd-mhad"), tmp_path / "data")
    assert report.recordings == 431
    assert tuple(report.classes) == CLASSES
    assert report.digest == "62665af178cbcb3535eba9cbebe83341c3bd5ac39acdd8b0d55658016e734d41"
    assert report.subjects == {"1": 107, "3": 108, "5": 108, "7": 108}
    assert {report.streams[name].recordings for name in report.streams} == {431}
    findings = [problem.detail for problem in report.problems if problem.severity != "info"]
    assert findings == ["no trial of subjects 2, 4, 6, 8"]
    dataset = Dataset.open(tmp_path / "data")
    accelerometer = np.concatenate([dataset.stream("accelerometer", index) for index in range(431)])
    joints = np.concatenate([dataset.stream("skeleton", index) for index in range(431)])
    assert np.median(np.linalg.norm(accelerometer, axis=1)) == pytest.approx(1, abs=0.1)
    assert np.abs(accelerometer).max() <= 8.01
    head, feet = joints[:, 0, 1], joints[:, [15, 19], 1].mean(axis=1)
    assert 1.2 < np.median(head - feet) < 2.0


def test_any_number_of_foreign_files_is_one_finding(tmp_path: Path) -> None:
    """Files with numbers beyond the dataset's are counted and the first named; second copies are named up to twelve."""
    for number in range(100, 140):
        write_mat(tmp_path / f"a{number}_s1_t1_inertial.mat", "d_iner", inertial(20))
    for number in range(20):
        write_mat(tmp_path / f"{number:02}" / "a1_s1_t1_inertial.mat", "d_iner", inertial(20))
    _, recordings, problems = read(tmp_path)
    assert list(recordings) == ["a1_s1_t1"]
    foreign = [problem.detail for problem in problems if "no trial of UTD-MHAD" in problem.detail]
    named = ", ".join(f"a{number}_s1_t1_inertial.mat" for number in range(100, 105))
    assert foreign == [f"40 files are no trial of UTD-MHAD; left out: {named} and 35 more"]
    second = [problem.detail for problem in problems if "second" in problem.detail]
    assert len(second) == 13
    assert second[-1] == "7 more second files of a trial; not taken"


def test_classes_without_any_inertial_file_are_left_out(tmp_path: Path) -> None:
    """Labels count the classes that are there, in the dataset's order; a class of skeletons alone is not there."""
    for trial in ("a27_s1_t1", "a3_s1_t1", "a10_s1_t1"):
        write_trial(tmp_path, trial)
    write_mat(tmp_path / "Skeleton" / "a5_s1_t1_skeleton.mat", "d_skel", skeleton())
    info, recordings, problems = read(tmp_path)
    assert info.classes == ("wave", "draw_circle_ccw", "squat")
    labels = {name: info.classes[recording.label] for name, recording in recordings.items()}
    assert labels == {"a3_s1_t1": "wave", "a10_s1_t1": "draw_circle_ccw", "a27_s1_t1": "squat"}
    (left_out,) = [problem for problem in problems if "no recording of class" in problem.detail]
    assert left_out.severity == "warning"
    assert "swipe_left, swipe_right, clap, throw, arm_cross" in left_out.detail
    assert "wave" not in left_out.detail


def test_a_class_whose_only_file_is_broken_stays_and_is_told(tmp_path: Path) -> None:
    """Which classes there are follows from the files' names alone, so one bad file renumbers nothing."""
    for trial in ("a1_s1_t1", "a2_s1_t1"):
        write_trial(tmp_path / "folder", trial)
    (tmp_path / "folder" / "Inertial" / "a1_s1_t1_inertial.mat").write_bytes(b"")
    report = import_dataset(tmp_path / "folder", tmp_path / "data")
    assert report.classes == {"swipe_left": 0, "swipe_right": 1}
    assert "no recording of class swipe_left" in [problem.detail for problem in report.problems]


def test_skeletons_alone_are_no_dataset(tmp_path: Path) -> None:
    """A copy without a single inertial file is refused with the reason."""
    write_mat(tmp_path / "folder" / "a1_s1_t1_skeleton.mat", "d_skel", skeleton())
    with pytest.raises(DataError, match=r"nothing was imported: .* without inertial file"):
        import_dataset(tmp_path / "folder", tmp_path / "data")
