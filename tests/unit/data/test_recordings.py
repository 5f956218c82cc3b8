"""Uploaded recordings: units, doubts, and refusals that say where and what to do."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from pskd_core.data.recordings import read_recording
from pskd_core.data.series import STANDARD_GRAVITY, Unit
from pskd_core.errors import DataError
from pskd_core.shapes import FloatArray
from tests.data_paths import real_data
from tests.unit.data.uploads import VALUES, assert_read, axes, mat, npy, npz, samples, table, times

# --- Units --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["(m/s^2)", "(m/s²)", "[m/s2]", "(m/s/s)", "_ms2"])
def test_metres_from_the_header_become_g(unit: str) -> None:
    """The usual spellings of m/s² are divided by standard gravity."""
    names = (f"x {unit}", f"y {unit}", f"z {unit}")
    scaled = (VALUES * STANDARD_GRAVITY).astype(np.float32)
    recording = read_recording(table({"time": times(), **axes(scaled, names)}))
    assert recording.values_g == pytest.approx(VALUES, abs=1e-4)
    assert (recording.unit, recording.warnings) == ("m/s^2", ())


@pytest.mark.parametrize(("factor", "unit"), [(1.0, "g"), (STANDARD_GRAVITY, "m/s^2")])
def test_a_unit_that_is_not_given_is_told_by_size_with_a_warning(factor: float, unit: Unit) -> None:
    """At rest an accelerometer reads 1 g or 9.8 m/s²; the guess is told, and a stated unit needs none."""
    data = table({"time": times(), **axes((VALUES * factor).astype(np.float32))})
    recording = read_recording(data)
    assert recording.unit == unit
    assert any(f"were taken as {unit}" in warning for warning in recording.warnings)
    assert read_recording(data, unit=unit).warnings == ()


def test_a_stated_unit_stands_above_the_header() -> None:
    """A caller who knows that a header lies is believed."""
    data = table({"time": times(), **axes((VALUES * STANDARD_GRAVITY).astype(np.float32), ("x (g)", "y (g)", "z (g)"))})
    assert read_recording(data, unit="m/s^2").values_g == pytest.approx(VALUES, abs=1e-4)


def test_missing_gravity_is_noticed() -> None:
    """Samples around zero are free of gravity, samples around 2.5 g cannot tell."""
    data = table({"time": times(), **axes(VALUES - np.array([0, 1, 0], np.float32))})
    assert read_recording(data, unit="g").gravity is False
    assert read_recording(table({"time": times(), **axes(VALUES * np.float32(2.5))}), unit="g").gravity is None


def test_odd_values_and_rates_are_doubted() -> None:
    """A spike of 60 g and a rate of 5 Hz are read, and warned of."""
    spiked = VALUES.copy()
    spiked[50, 1] = 60
    recording = read_recording(table({"time": times(10), **axes(spiked)}), unit="g")
    assert recording.warnings == (
        "5 samples a second are few for a movement of the arm",
        "values reach 60 g, more than such sensors measure",
    )


# --- Content, not names -------------------------------------------------------------------------------------------


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    """A table called .npy is a table, an array called .csv is an array; bytes and file read alike."""
    (tmp_path / "table.npy").write_bytes(table({"time": times(), **axes()}))
    (tmp_path / "array.csv").write_bytes(npy(VALUES))
    assert_read(read_recording(tmp_path / "table.npy"))
    assert_read(read_recording(tmp_path / "array.csv"))


def test_reading_a_utd_file_equals_importing_it() -> None:
    """A real trial read as an upload has the samples that training reads."""
    file = min((real_data("utd-mhad") / "Inertial").glob("*.mat"))
    recording = read_recording(file)
    assert np.array_equal(recording.values_g, loadmat(str(file))["d_iner"][:, :3].astype(np.float32))
    assert recording.gravity is True


@pytest.mark.parametrize(
    ("name", "rate_hz"),
    [("androsensor_100hz.csv", 100), ("oxford_phone_in_hand.csv", 100), ("physics_toolbox_g_force.csv", 505)],
)
def test_real_tables_are_read(name: str, rate_hz: float) -> None:
    """Files of real loggers: gravity is there, and the rate is the device's."""
    recording = read_recording(real_data(f"recordings/{name}"))
    assert recording.gravity is True
    assert recording.rate_hz == pytest.approx(rate_hz, rel=0.01)


# --- Refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["nan", "inf", "-∞", "", "abc", "1e999"])
@pytest.mark.parametrize("end", ["\n", "\n\n"])
def test_a_bad_value_is_refused_with_its_line_and_column(bad: str, end: str) -> None:
    """NaN, infinities, gaps and words name the line of the file (from 1) and the column."""
    columns: dict[str, list[str]] = {"time": times(), **axes()}
    columns["y"][40] = bad
    with pytest.raises(DataError) as refused:
        read_recording(table(columns, end=end), filename="run.csv")
    line = 42 if end == "\n" else 83
    assert (refused.value.file, refused.value.row, refused.value.column) == ("run.csv", line, "y")
    assert str(refused.value).startswith(f"run.csv, row {line}, column y: ")


def test_a_short_row_is_refused_with_its_line() -> None:
    """A row that ends early names the line and the first column it lacks."""
    lines = table({"time": times(), **axes()}).splitlines()
    lines[7] = b"0.12,0.1"
    with pytest.raises(DataError, match="row 8, column y: a value is missing"):
        read_recording(b"\n".join(lines))


def test_a_bad_value_in_an_array_is_refused_with_row_and_column() -> None:
    """Array files count rows and columns from 1."""
    values = VALUES.copy()
    values[40, 1] = np.nan
    with pytest.raises(DataError, match=r"a\.npy, row 41, column 2: nan is not a finite number"):
        read_recording(npy(values), filename="a.npy")


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "the file is empty"),
    "blank": (b"\n\n \n", "the file is empty"),
    "header only": (b"time,x,y,z\n", "one line only"),
    "too short": (table({"time": times()[:15], **axes(samples(15))}), "15 samples are too few"),
    "two axes": (table({"time": times(), "x": times(), "y": times()}), "no accelerometer x, y and z among the columns"),
    "prose": (b"Dear all,\nplease find attached\n", "no accelerometer x, y and z"),
    "twice": (table({"time": times(), **axes(), "X": times()}), "'x' and 'X' could both be the same axis"),
    "four columns": (table({**axes(), "w": axes()["y"]}, header=False), "add a header `time,x,y,z`"),
    "date": (
        table({"time": ["1 May 2024 10:00"] * 100, **axes()}),
        "row 2, column time: .* convert it, or state the rate",
    ),
    "zeros": (table({"time": times(), **axes(0 * VALUES)}), "every value is 0"),
    "counts": (table({"time": times(), **axes(VALUES * np.float32(64))}), "neither g nor m/s²"),
    "whole seconds": (table({"time": [f"{index // 50}" for index in range(100)], **axes()}), "give finer times"),
    "binary": (bytes(range(256)) * 4, "not a recording: neither text"),
    "transposed": (npy(VALUES.T), r"it holds the array \(3, 100\); store one array of shape \(samples, 3\)"),
    "two arrays": (npz(a=VALUES, b=VALUES), "2 arrays of shape"),
    "one column": (npy(VALUES[:, 0]), r"it holds the array \(100,\)"),
    "complex": (npy(VALUES + 1j), "not one plain array of numbers"),
    "cut": (npy(VALUES)[:500], "damaged"),
    "cut zip": (npz(acc=VALUES)[:200], "damaged"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "save it again"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_remedy(case: str) -> None:
    """Each refusal names the file and says what is wrong with it."""
    data, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as refused:
        read_recording(data, filename="upload")
    assert refused.value.file == "upload"


def test_a_zip_without_arrays_is_refused() -> None:
    """A zip of something else says what is expected."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("holiday.jpg", b"image")
    with pytest.raises(DataError, match="it holds nothing numeric; store one array"):
        read_recording(stream.getvalue())


@pytest.mark.parametrize("rate_hz", [0.0, -50.0, 1e9, float("nan")])
def test_an_impossible_rate_is_refused(rate_hz: float) -> None:
    """A stated rate must be one that a sensor can have."""
    with pytest.raises(DataError, match="state 1 to 10000"):
        read_recording(npy(VALUES), rate_hz=rate_hz)


@pytest.mark.parametrize("name", ["actigraph_counts_not_raw.csv"])
def test_real_files_that_are_not_read_are_refused(name: str) -> None:
    """Activity counts are no acceleration, and the reason is said with the line that tells it."""
    with pytest.raises(DataError, match="row 5: activity counts an epoch of 00:00:15, no raw acceleration"):
        read_recording(real_data(f"recordings/{name}"))


def _far(value: float) -> FloatArray:
    values = VALUES.copy()
    values[40, 1] = value
    return values


@pytest.mark.parametrize("value", [3e38, -3e38, 1.1e4])
@pytest.mark.parametrize("form", ["npy", "npz", "mat", "csv", "gaps"])
def test_a_value_that_no_sensor_measures_is_refused_with_its_place(tmp_path: Path, value: float, form: str) -> None:
    """Finite numbers beyond 10,000 g, in which a network would overflow, name row and column in every format."""
    lines = table({"time": times(), **axes(VALUES)}).splitlines()
    lines[41] = lines[41].replace(b",%.4f," % VALUES[40, 1], b",%.0f," % min(max(value, -9e29), 9e29))
    data = {
        "npy": npy(_far(value)),
        "npz": npz(acc=_far(value)),
        "mat": mat(tmp_path, a=_far(value)),
        "csv": b"\n".join(lines),
        "gaps": b"\n\n\n".join(lines),
    }[form]
    with pytest.raises(DataError, match="is more than 10000 g; correct it") as refused:
        read_recording(data, filename="run", unit="g")
    row = {"csv": 42, "gaps": 124}.get(form, 41)
    assert (refused.value.file, refused.value.row) == ("run", row)
    assert refused.value.column == ("y" if form in {"csv", "gaps"} else "2")


def test_the_limit_is_in_g() -> None:
    """In m/s² the same limit lies at a number 9.8 times as large."""
    assert read_recording(npy(_far(9e4)), unit="m/s^2").values_g.max() == pytest.approx(9e4 / STANDARD_GRAVITY)
    with pytest.raises(DataError, match=r"9e\+04 g is more"):
        read_recording(npy(_far(9e4)), unit="g")
