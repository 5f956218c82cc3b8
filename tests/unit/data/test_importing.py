"""Importing: recognition by content, the report, and all or nothing."""

from pathlib import Path

import pytest

from pskd_core.config import parse_spec
from pskd_core.data.columnar import Dataset
from pskd_core.data.importing import ImportReport, import_dataset
from pskd_core.data.splits import plan_folds
from pskd_core.data.synthetic import SyntheticSource
from pskd_core.errors import DataError
from tests.unit.data.factories import inertial, write_mat, write_trial, zipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three trials of two subjects and two classes."""
    for number, trial in enumerate(("a1_s1_t1", "a2_s1_t3", "a2_s2_t1")):
        write_trial(tmp_path / "folder", trial, seed=number)
    return tmp_path / "folder"


def test_folder_and_zip_give_the_same_dataset(folder: Path, tmp_path: Path) -> None:
    """The same files give the same digest, from a folder, and from a zip with folders of its own."""
    from_folder = import_dataset(folder, tmp_path / "one")
    archive = zipped(folder, tmp_path / "UTD-MHAD.zip", inside="UTD-MHAD/data/")
    from_zip = import_dataset(archive, tmp_path / "two")
    assert from_zip.digest == from_folder.digest == Dataset.open(tmp_path / "two").digest
    assert from_zip == from_folder


def test_the_report_counts_what_was_found(folder: Path, tmp_path: Path) -> None:
    """Recordings by class, subject and protocol side, lengths and rates, and what each protocol misses."""
    report = import_dataset(folder, tmp_path / "data")
    assert (report.name, report.layout, report.recordings) == ("UTD-MHAD", "utd_mhad", 3)
    assert {name: count for name, count in report.classes.items() if count} == {"swipe_left": 1, "swipe_right": 2}
    assert report.subjects == {"1": 2, "2": 1}
    by_subject, by_trial = report.protocols["cross_subject"], report.protocols["cross_trial"]
    assert (by_subject.train, by_subject.test) == (2, 1)
    assert by_subject.missing == tuple(f"subject {number}" for number in (3, 5, 7, 4, 6, 8))
    assert (by_trial.train, by_trial.test, by_trial.missing) == (2, 1, ("trial 2", "trial 4"))
    assert report.streams["accelerometer"].samples.median == 60
    assert report.streams["skeleton"].rate_hz.max == pytest.approx(20)
    assert report.duration_s.min == 1.2
    assert any("no recording of class wave" in problem.detail for problem in report.problems)
    assert any("thigh" in problem.detail for problem in report.problems)


def test_the_report_survives_json(folder: Path, tmp_path: Path) -> None:
    """What is stored as JSON reads back equal."""
    report = import_dataset(folder, tmp_path / "data")
    assert ImportReport.model_validate_json(report.model_dump_json()) == report


def test_an_unknown_layout_says_what_was_looked_for(tmp_path: Path) -> None:
    """The message names the expected files and some of those that are there."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "holiday.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"looked for UTD-MHAD .*a1_s1_t1_inertial\.mat.* found 1 files: holiday\.jpg"):
        import_dataset(tmp_path / "folder", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_archives_within_a_folder_are_told_to_be_unpacked(tmp_path: Path) -> None:
    """UTD-MHAD is downloaded as one archive for each modality: a folder of these is refused with the remedy."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "Inertial.zip").write_bytes(b"")
    with pytest.raises(DataError, match=r"found 1 files: Inertial\.zip; .*unpack them first"):
        import_dataset(tmp_path / "folder", tmp_path / "data")


def test_a_copy_of_which_nothing_is_usable_is_refused(tmp_path: Path) -> None:
    """If every file is broken there is an error that says why, and no dataset."""
    write_mat(tmp_path / "folder" / "a1_s1_t1_inertial.mat", "d_iner", inertial(5))
    with pytest.raises(DataError, match=r"nothing was imported: the dataset has no recording; .*shape \(5, 6\)"):
        import_dataset(tmp_path / "folder", tmp_path / "data")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_a_dataset_that_is_there_is_kept(folder: Path, tmp_path: Path) -> None:
    """Importing to a taken place changes nothing there."""
    digest = import_dataset(SyntheticSource(subjects=2, trials=2, classes=2), tmp_path / "data").digest
    with pytest.raises(DataError, match="exists there already"):
        import_dataset(folder, tmp_path / "data")
    assert Dataset.open(tmp_path / "data").digest == digest


@pytest.mark.parametrize("name", ["holiday.jpg", "a1_s1_t1_inertial.mat"])
def test_a_label_names_the_upload(tmp_path: Path, name: str) -> None:
    """An upload that holds no dataset, or none that is usable, is named as its owner knows it, without a path."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).write_bytes(b"")
    archive = zipped(tmp_path / "folder", tmp_path / "3f9a")
    with pytest.raises(DataError) as refused:
        import_dataset(archive, tmp_path / "data", label="UTD.zip")
    assert refused.value.file == "UTD.zip"
    assert str(tmp_path) not in str(refused.value)


def test_a_message_names_few_files_and_shortly(tmp_path: Path) -> None:
    """Long names of foreign files do not fill the refusal."""
    (tmp_path / "folder").mkdir()
    for number in range(7):
        (tmp_path / "folder" / f"{number}{'x' * 200}.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"found 7 files: .* and 2 more") as refused:
        import_dataset(tmp_path / "folder", tmp_path / "data", label="UTD.zip")
    assert "x" * 41 not in str(refused.value)


def test_a_partial_copy_can_be_trained_on(tmp_path: Path) -> None:
    """A copy of two classes is a dataset of two classes, so its protocols find every class on both sides."""
    for subject in (1, 2):
        for action in (4, 9):
            write_trial(tmp_path / "folder", f"a{action}_s{subject}_t1")
    report = import_dataset(tmp_path / "folder", tmp_path / "data")
    assert report.classes == {"clap": 2, "draw_circle_cw": 2}
    dataset = Dataset.open(tmp_path / "data")
    protocol = {"kind": "subjects", "train": ["1"], "test": ["2"]}
    spec = parse_spec({"method": {"kind": "none"}, "protocol": protocol, "validation": {"kind": "none"}})
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    assert (len(fold.train), len(fold.test)) == (2, 2)
