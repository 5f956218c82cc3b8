"""One's own data: every form of file, and every mistake with its place."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml

from pskd_core.config import parse_spec
from pskd_core.data.columnar import Dataset, DatasetInfo, Recording, write_dataset
from pskd_core.data.importing import import_dataset
from pskd_core.data.manifest import read_manifest
from pskd_core.data.problems import Problem
from pskd_core.data.source import open_source
from pskd_core.data.splits import plan_folds
from pskd_core.errors import DataError, ProtocolError
from tests.unit.data.factories import about, zipped

Array = npt.NDArray[np.float64]
JOINTS = ("hip", "chest", "wrist")
SPEC: dict[str, Any] = {
    "name": "mine",
    "classes": ["wave", "lift"],
    "sensors": {"accelerometer": {"worn_at": "wrist", "unit": "g", "rate_hz": 50}},
}
SKELETON = {
    "joints": list(JOINTS), "bones": [["chest", "hip"], ["wrist", "chest"]], "centre": "hip", "unit": "cm",
    "rate_hz": 30,
}  # fmt: skip


def values(samples: int = 100, columns: int = 3, *, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(samples, columns))


def write_csv(path: Path, rows: Array, header: str = "x,y,z") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, rows, delimiter=",", header=header, comments="", fmt="%.9g")


def write(
    root: Path, rows: list[str], spec: dict[str, Any] | None = None, *, header: str = "id,subject,label,accelerometer"
) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.yaml").write_text(yaml.safe_dump(spec or SPEC))
    (root / "recordings.csv").write_text("\n".join([header, *rows]) + "\n")


def read(root: Path) -> tuple[DatasetInfo, dict[str, Recording], list[Problem]]:
    with open_source(root) as files:
        info, recordings, problems = read_manifest(files)
        by_id = {recording.id: recording for recording in recordings}
    return info, by_id, problems


def with_sensor(**fields: Any) -> dict[str, Any]:
    return SPEC | {"sensors": {"accelerometer": {"unit": "g", "rate_hz": 50} | fields}}


def one(root: Path, name: str = "a.csv", **fields: Any) -> tuple[Array, list[Problem]]:
    """The accelerometer of the one recording of a dataset whose sensor has these fields."""
    write(root, [f"r1,s1,wave,{name}"], with_sensor(**fields))
    _, recordings, problems = read(root)
    assert list(recordings) == ["r1"], problems
    return recordings["r1"].streams["accelerometer"].values.astype(np.float64), problems


def test_a_whole_dataset(tmp_path: Path) -> None:
    """Two sensors, a skeleton, sessions and a protocol of one's own, from a folder and from a zip inside a folder."""
    spec = SPEC | {
        "sensors": SPEC["sensors"] | {"ankle": {"unit": "m/s^2", "rate_hz": 100}},
        "skeleton": SKELETON,
        "protocols": {"by_session": {"by": "session", "train": ["1"], "test": [2]}},
    }
    rows = []
    for number in (1, 2):
        write_csv(tmp_path / "in" / f"w{number}.csv", values(seed=number))
        write_csv(tmp_path / "in" / f"a{number}.csv", values(200, seed=number))
        np.save(tmp_path / "in" / f"s{number}.npy", values(60, 9, seed=number).reshape(60, 3, 3))
        rows.append(
            f"r{number},anna,{'wave' if number == 1 else 'lift'},{number},w{number}.csv,a{number}.csv,s{number}.npy"
        )
    write(tmp_path / "in", rows, spec, header="id,subject,label,session,accelerometer,ankle,skeleton")
    report = import_dataset(tmp_path / "in", tmp_path / "data")
    assert (report.name, report.layout, report.recordings) == ("mine", "manifest", 2)
    assert (report.protocols["by_session"].train, report.protocols["by_session"].test) == (1, 1)
    assert report.duration_s.max == pytest.approx(2)
    assert report.problems == ()
    dataset = Dataset.open(tmp_path / "data")
    assert dataset.stream("accelerometer", 0) == pytest.approx(values(seed=1), rel=1e-6)
    assert dataset.stream("ankle", 0) == pytest.approx(values(200, seed=1) / 9.80665, rel=1e-6)
    assert dataset.stream("skeleton", 1) == pytest.approx(values(60, 9, seed=2).reshape(60, 3, 3) / 100, rel=1e-6)
    assert dataset.info.skeleton is not None
    assert dataset.info.skeleton.bones == ((1, 0), (2, 1))
    archive = zipped(tmp_path / "in", tmp_path / "mine.zip", inside="some/folder/")
    assert import_dataset(archive, tmp_path / "zipped").digest == report.digest


@pytest.mark.parametrize(
    ("fields", "factor"),
    [
        ({"unit": "g"}, 1),
        ({"unit": "m/s^2"}, 1 / 9.80665),
        ({"unit": "counts", "scale": 1 / 64}, 1 / 64),
        ({"unit": "deg/s"}, 1),
        ({"unit": "rad/s"}, 180 / np.pi),
    ],
)
def test_units_and_scales(tmp_path: Path, fields: dict[str, Any], factor: float) -> None:
    """Accelerations end in g, turning in deg/s."""
    write_csv(tmp_path / "a.csv", values())
    assert one(tmp_path, **fields)[0] == pytest.approx(values() * factor, rel=1e-6)


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    """In any order and case, among others, with `;` between them; without a header they are x, y, z."""
    write_csv(tmp_path / "a.csv", values(columns=5)[:, [3, 2, 1, 0, 4]], "note;AZ;ay;Ax;more".replace(";", ","))
    assert one(tmp_path, columns=["ax", "ay", "az"])[0] == pytest.approx(values(columns=5)[:, :3], rel=1e-6)
    np.savetxt(tmp_path / "a.csv", values(), delimiter=";", fmt="%.9g")
    assert one(tmp_path)[0] == pytest.approx(values(), rel=1e-6)


def test_every_kind_of_file_holds_the_same(tmp_path: Path) -> None:
    """CSV, .npy, .npz (with a time beside) and Parquet; the content tells, not the name."""
    parquet, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    times = np.arange(100) / 50
    rows = np.column_stack([times, values()])
    write_csv(tmp_path / "a.csv", rows, "time,x,y,z")
    np.save(tmp_path / "b.npy", rows)
    np.savez(tmp_path / "c.npz", values=values(), time=times)
    np.savez(tmp_path / "d.npz", rows)
    table = dict(zip(("z", "y", "x", "time"), rows.T[::-1], strict=True))
    parquet.write_table(arrow.table(table), tmp_path / "e.parquet")
    (tmp_path / "f.dat").write_bytes((tmp_path / "e.parquet").read_bytes())
    parquet.write_table(
        arrow.table(table | {"time": arrow.array((times * 1e6).astype(int), arrow.timestamp("us"))}),
        tmp_path / "g.parquet",
    )
    for name in ("a.csv", "b.npy", "c.npz", "d.npz", "e.parquet", "f.dat", "g.parquet"):
        assert one(tmp_path, name, rate_hz="from timestamps")[0] == pytest.approx(values(), abs=1e-6), name


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and more")
    write(tmp_path, ["r1,s1,wave,a.parquet"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    _, recordings, problems = read(tmp_path)
    assert recordings == {}
    assert "pip install 'pskd[parquet]'" in about(problems, "Parquet needs pyarrow").detail


@pytest.mark.parametrize(
    ("unit", "first", "step"), [("s", 0.0, 0.02), ("ms", 5000.0, 20.0), ("us", 0.0, 2e4), ("ns", 1e9, 2e7)]
)
def test_time_units(tmp_path: Path, unit: str, first: float, step: float) -> None:
    write_csv(tmp_path / "a.csv", np.column_stack([first + step * np.arange(100), values()]), "t,x,y,z")
    write(tmp_path, ["r1,s1,wave,a.csv"], with_sensor(rate_hz="from timestamps", time_column="t", time_unit=unit))
    info, recordings, _ = read(tmp_path)
    assert recordings["r1"].streams["accelerometer"].rate_hz == pytest.approx(50)
    assert info.streams["accelerometer"].rate_hz == 50


def test_iso_times_with_and_without_offset(tmp_path: Path) -> None:
    start = datetime(2024, 5, 1, 12, tzinfo=UTC)
    for zone in ("+00:00", ""):
        stamps = [(start + timedelta(milliseconds=20 * n)).isoformat()[:-6] + zone for n in range(100)]
        lines = [f"{stamp},{x},{y},{z}" for stamp, (x, y, z) in zip(stamps, values().tolist(), strict=True)]
        (tmp_path / "a.csv").write_text("\n".join(["time,x,y,z", *lines]))
        assert one(tmp_path, rate_hz="from timestamps", time_unit="iso")[0] == pytest.approx(values(), abs=1e-3)


def test_uneven_times_are_repaired_and_reported(tmp_path: Path) -> None:
    """Backwards, repeated and with a pause of half a second: each is said with the row where it begins."""
    times = np.arange(100) / 50
    times[10], times[12] = times[12], times[10]
    times[21] = times[20]
    times[50:] += 0.5
    write_csv(tmp_path / "a.csv", np.column_stack([times, values()]), "time,x,y,z")
    found, problems = one(tmp_path, rate_hz="from timestamps")
    assert len(found) == pytest.approx(125, abs=2)
    assert about(problems, "times run backwards").row == 13
    assert about(problems, "1 samples that repeated").severity == "warning"
    assert about(problems, "1 gaps, the longest of 0.52 s").row is not None


def test_holes_are_bridged_and_reported(tmp_path: Path) -> None:
    lines = [f"{n},{n},{n}" for n in range(40)]
    lines[5], lines[8], lines[11] = "5,,5", "8,8,inf", "1e300,11,11"
    (tmp_path / "a.csv").write_text("\n".join(["x,y,z", *lines]))
    found, problems = one(tmp_path)
    assert np.array_equal(found, np.repeat(np.arange(40.0)[:, None], 3, axis=1))
    holes = [problem for problem in problems if "missing or not finite" in problem.detail]
    assert [(problem.row, problem.column) for problem in holes] == [(13, "x"), (7, "y"), (10, "z")]


@pytest.mark.parametrize(
    ("text", "said", "row", "column"),
    [
        ("x,y,z\n1,2,3\n1,two,3\n", "'two' cannot be read", 3, "y"),
        ("x,y,z\n1,2,3\n1,2\n", "2 fields; a value is missing", 3, "z"),
        ("x,y\n1,2\n", "column z is not there; it has x, y", 1, "z"),
        ("x,X,y,z\n1,2,3,4\n", "column x stands there twice", 1, "x"),
        ("1,2\n3,4\n", "2 columns without a header; x, y, z were expected", 1, None),
        ("x,y,z\n" + "1,2,3\n" * 10, "10 samples; at least 16", None, None),
        ("x,y,z\n" + "1,,3\n" * 20, "no value of this column is usable", None, "y"),
        ("x,y,z\n", "a header and no row", None, None),
        ("", "the file is empty", None, None),
        ("\0\1\2", "neither CSV nor", None, None),
    ],
)
def test_unusable_files_are_errors_with_their_place(
    tmp_path: Path, text: str, said: str, row: int | None, column: str | None
) -> None:
    """The recording is left out, and both the file and the row of the list are named."""
    (tmp_path / "a.csv").write_text(text)
    write(tmp_path, ["r1,s1,wave,a.csv"])
    _, recordings, problems = read(tmp_path)
    assert recordings == {}
    found = about(problems, said)
    assert (found.severity, found.file, found.row, found.column) == ("error", "a.csv", row, column)
    assert (about(problems, "none of its files can be used").row) == 2


@pytest.mark.parametrize(
    ("save", "said"),
    [
        (lambda path: np.save(path, values(columns=4)), r"shape (100, 4); 3 columns"),
        (
            lambda path: np.save(path, np.array([{"x": 1}], object), allow_pickle=True),
            "pickled objects are never loaded",
        ),
        (lambda path: path.write_bytes(b"PAR1 cut off"), "damaged Parquet"),
        (lambda path: path.write_bytes(b"PK\x03\x04 cut off"), "damaged .npz"),
    ],
)
def test_unusable_arrays(tmp_path: Path, save: Any, said: str) -> None:
    write(tmp_path, ["r1,s1,wave,a.npy"])
    save(tmp_path / "a.npy")
    assert about(read(tmp_path)[2], said).file == "a.npy"


def test_mistakes_in_the_list_are_named_by_row_and_column(tmp_path: Path) -> None:
    """Good rows are imported beside them."""
    write_csv(tmp_path / "a.csv", values())
    rows = [
        "r1,s1,wave,a.csv", "r2,,wave,a.csv", "r3,s1,jump,a.csv", "r1,s1,wave,a.csv", "r4,s1,wave,b.csv", "r5,s1,wave,",
        "r6,s1,wave,a.csv,more", "", "r7,s1,wave,sub\\..\\a.csv",
    ]  # fmt: skip
    write(tmp_path, rows)
    (tmp_path / "notes.txt").write_text("not in the list")
    _, recordings, problems = read(tmp_path)
    assert list(recordings) == ["r1", "r7"]
    said = {(problem.row, problem.column): problem.detail for problem in problems if problem.severity == "error"}
    assert said.keys() == {
        (3, "subject"),
        (4, "label"),
        (5, "id"),
        (6, "accelerometer"),
        (6, None),
        (7, None),
        (8, None),
    }
    assert "'jump' is none of the classes" in said[4, "label"]
    assert "there is no file b.csv" in said[6, "accelerometer"]
    assert {problem.file for problem in problems if problem.severity == "error"} == {"recordings.csv"}
    assert "notes.txt" in about(problems, "in no usable row").detail


@pytest.mark.parametrize("column", ["id", "subject", "label", "trial", "session", "scene", "camera", "cut_from"])
def test_control_characters_in_the_list_cost_the_row(tmp_path: Path, column: str) -> None:
    """They would come out again in reports and terminals; letters of any script are welcome."""
    write_csv(tmp_path / "a.csv", values())
    words = dict.fromkeys(("trial", "session", "scene", "camera", "cut_from"), "é 1")
    words |= {"id": "r1", "subject": "Анна", "label": "wave", "accelerometer": "a.csv"}
    rows = [words, words | {"id": "r2"} | {column: "wa\x1b[2Jve"}]
    write(tmp_path, [",".join(row.values()) for row in rows], header=",".join(words))
    _, recordings, problems = read(tmp_path)
    assert list(recordings) == ["r1"]
    (found,) = problems
    assert (found.severity, found.file, found.row, found.column) == ("error", "recordings.csv", 3, column)
    assert found.detail.endswith("the control character U+001B stands in it; remove it; the row was left out")


def test_paths_cannot_leave_the_dataset(tmp_path: Path) -> None:
    write_csv(tmp_path / "secret.csv", values())
    write(tmp_path / "in", ["r1,s1,wave,../secret.csv", f"r2,s1,wave,{tmp_path}/secret.csv"])
    assert read(tmp_path / "in")[1] == {}


def test_unknown_and_missing_columns_of_the_list(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", values())
    write(tmp_path, ["r1,s1,wave,a.csv,7"], header="id,subject,label,accelerometer,age")
    found = about(read(tmp_path)[2], "it was not looked at")
    assert (found.severity, found.row, found.column) == ("warning", 1, "age")
    for header, said in {
        "id,label,accelerometer": "no column subject",
        "id,subject,label": "no column of a sensor's files",
        "id,id,subject,label,accelerometer": "twice",
    }.items():
        write(tmp_path, [], header=header)
        with pytest.raises(DataError, match=said):
            read(tmp_path)


def test_recordings_without_skeleton_are_kept(tmp_path: Path) -> None:
    """Students train on them, teachers skip them; with none at all the dataset has no skeleton."""
    spec = SPEC | {"skeleton": SKELETON}
    write_csv(tmp_path / "a.csv", values())
    write_csv(tmp_path / "b.csv", values(seed=1))
    joints = ",".join(f"{joint}_{axis}" for joint in JOINTS for axis in "XYZ")
    write_csv(tmp_path / "s.csv", values(60, 9), joints)
    write(
        tmp_path,
        ["r1,s1,wave,a.csv,s.csv", "r2,s1,lift,b.csv,"],
        spec,
        header="id,subject,label,accelerometer,skeleton",
    )
    info, recordings, problems = read(tmp_path)
    assert [list(recording.streams) for recording in recordings.values()] == [
        ["accelerometer", "skeleton"],
        ["accelerometer"],
    ]
    assert recordings["r1"].streams["skeleton"].values == pytest.approx(values(60, 9).reshape(60, 3, 3) / 100, rel=1e-6)
    assert "teachers skip them" in about(problems, "1 recordings without skeleton: r2").detail
    write(tmp_path, ["r2,s1,lift,b.csv,"], spec, header="id,subject,label,accelerometer,skeleton")
    info, _, problems = read(tmp_path)
    assert info.skeleton is None
    assert about(problems, "no recording has a skeleton").severity == "warning"


def test_a_skeleton_without_a_clock_spans_its_sensor(tmp_path: Path) -> None:
    """Unlike one of another length at a stated rate, which covers too little and is left out."""
    write_csv(tmp_path / "a.csv", values())
    np.save(tmp_path / "s.npy", values(40, 6).reshape(40, 3, 2))
    for rate_hz, streams in (("same span", ["accelerometer", "skeleton"]), (30, ["accelerometer"])):
        spec = SPEC | {"skeleton": SKELETON | {"dims": 2, "unit": "px", "rate_hz": rate_hz}}
        write(tmp_path, ["r1,s1,wave,a.csv,s.npy"], spec, header="id,subject,label,accelerometer,skeleton")
        _, recordings, problems = read(tmp_path)
        assert list(recordings["r1"].streams) == streams
    found = about(problems, "covers 67% of the time of accelerometer")
    assert (found.row, found.column) == (2, "skeleton")


def test_streams_of_one_clock_are_cut_to_their_overlap(tmp_path: Path) -> None:
    """What more than a tenth of a recording loses by it is said."""
    spec = SPEC | {
        "sensors": {name: {"unit": "g", "rate_hz": "from timestamps"} for name in ("accelerometer", "ankle")}
    }
    for name, late in (("a", 0.0), ("b", 0.3)):
        write_csv(tmp_path / f"{name}.csv", np.column_stack([late + np.arange(100) / 50, values()]), "time,x,y,z")
    write(tmp_path, ["r1,s1,wave,a.csv,b.csv"], spec, header="id,subject,label,accelerometer,ankle")
    _, recordings, problems = read(tmp_path)
    one, other = recordings["r1"].streams.values()
    assert one.duration_s == other.duration_s == pytest.approx(1.7, abs=0.03)
    assert np.allclose(one.values, values()[15:], atol=1e-5)
    assert about(problems, "are shared by all streams").column == "accelerometer"


def test_duplicates_are_found(tmp_path: Path) -> None:
    """The same samples under two labels, and twice under one; two cameras' rows may share a sensor's file."""
    for name in ("a", "b", "c"):
        write_csv(tmp_path / f"{name}.csv", values())
    rows = ["r1,s1,wave,a.csv,1", "r2,s1,lift,b.csv,1", "r3,s2,wave,c.csv,1", "r4,s1,wave,a.csv,2"]
    write(tmp_path, rows, header="id,subject,label,accelerometer,camera")
    _, recordings, problems = read(tmp_path)
    assert len(recordings) == 4
    two = about(problems, "which is labelled wave and this one lift")
    assert (two.severity, two.row, two.column) == ("warning", 3, "accelerometer")
    assert about(problems, "the same samples as a.csv (subject s1)").row == 4
    assert sum("the same samples" in problem.detail for problem in problems) == 2


def test_windows_that_were_cut_before_the_split_are_known(tmp_path: Path) -> None:
    """By what the list says or else by the samples they share, and a job that would part them is refused."""
    long, other = values(300), values(300, seed=1)
    for name, samples in {"w1": long[:100], "w2": long[50:150], "w3": long[200:], "o1": other[:150]}.items():
        write_csv(tmp_path / f"{name}.csv", samples)
    rows = ["w1,anna,1,wave,w1.csv,", "w2,anna,2,wave,w2.csv,", "w3,anna,2,wave,w3.csv,w1", "o1,anna,1,lift,o1.csv,o"]
    spec = SPEC | {"protocols": {"cross_trial": {"by": "trial", "train": ["1"], "test": ["2"]}}}
    write(tmp_path, rows, spec, header="id,subject,trial,label,accelerometer,cut_from")
    info, recordings, problems = read(tmp_path)
    metas = write_dataset(tmp_path / "data", info, recordings.values()).recordings
    assert {meta.id: meta.cut_from for meta in metas} == {"w1": None, "w2": "w1", "w3": "w1", "o1": "o"}
    (found,) = [problem for problem in problems if "windows" in problem.detail]
    assert (found.row, found.column) == (3, "cut_from")
    assert found.detail.startswith("shares samples with w1")
    job = parse_spec({"protocol": {"kind": "named", "name": "cross_trial"}, "method": {"kind": "none"}})
    with pytest.raises(ProtocolError, match=r"w1 \(train\) and w2 \(test\) are windows of one recording, w1"):
        plan_folds(job, info, metas)


def test_windows_are_known_in_any_order_of_rows(tmp_path: Path) -> None:
    """The window listed last joins two that share nothing, one of them named; all get one origin."""
    long = values(200)
    for name, start in {"w0": 0, "w1": 50, "w2": 100}.items():
        write_csv(tmp_path / f"{name}.csv", long[start : start + 100])
    rows = ["w0,anna,wave,w0.csv,long", "w2,anna,wave,w2.csv,", "w1,anna,wave,w1.csv,"]
    write(tmp_path, rows, header="id,subject,label,accelerometer,cut_from")
    info, recordings, problems = read(tmp_path)
    metas = write_dataset(tmp_path / "data", info, recordings.values()).recordings
    assert len({meta.cut_from or meta.id for meta in metas}) == 1
    (found,) = problems
    assert (found.row, found.column) == (4, "cut_from")
    assert all(name in found.detail for name in ("long", "w2"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": ["wave", "wave"]}, "two classes have the same name"),
        ({"sensors": {"accelerometer": {"unit": "g"}}}, r"sensors\.accelerometer\.rate_hz: Field required"),
        ({"sensors": {"accelerometer": {"unit": "lb", "rate_hz": 50}}}, r"sensors\.accelerometer\.unit"),
        ({"sensors": {"accelerometer": {"unit": "counts", "rate_hz": 50}}}, "`scale` .* belongs to unit `counts`"),
        ({"sensors": {"label": {"unit": "g", "rate_hz": 50}}}, "no sensor may be called label"),
        ({"skeleton": SKELETON | {"centre": "head"}}, "head is named, but is none of the joints"),
        ({"skeleton": SKELETON | {"bones": [["chest", "hip"]]}}, "no bones lead from hip to wrist"),
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"name": "mi\tne"}, r"dataset\.yaml: name: the control character U\+0009 stands in it; remove it"),
        ({"classes": ["wave", "li\x9bft"]}, r"classes\.1: the control character U\+009B"),
        ({"sensors": {"ankle": {"unit": "g", "rate_hz": 50, "worn_at": "a\x7f"}}}, r"worn_at: the control character"),
        ({"skeleton": SKELETON | {"joints": [*JOINTS, "he\nad"]}}, r"skeleton\.joints\.3: the control character"),
        ({"protocols": {"p": {"by": "moon", "train": ["1"], "test": ["2"]}}}, r"protocols\.p\.by"),
    ],
)
def test_mistakes_in_the_description_name_the_field(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    write(tmp_path, [], SPEC | changes)
    with pytest.raises(DataError, match=said):
        read(tmp_path)


def test_what_is_not_yaml_is_named_by_row(tmp_path: Path) -> None:
    write(tmp_path, [])
    (tmp_path / "dataset.yaml").write_text("name: mine\nclasses: [wave\nsensors: 1\n")
    with pytest.raises(DataError, match=r"row 3, .*not YAML"):
        read(tmp_path)
