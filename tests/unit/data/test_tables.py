"""Recordings in text tables: the same samples from every way to write them."""

import pytest

from pskd_core.data.recordings import read_recording
from pskd_core.errors import DataError
from tests.unit.data.uploads import RATE_HZ, VALUES, assert_read, axes, table, times

# --- Tables: columns ----------------------------------------------------------------------------------------------


def test_a_plain_table_is_understood_without_a_doubt() -> None:
    """Times in s and axes in g, all named with units: nothing is guessed, repaired or doubted."""
    recording = read_recording(table({"time (s)": times(), **axes(names=("x (g)", "y (g)", "z (g)"))}))
    assert_read(recording)
    assert (recording.rate_found, recording.unit) == ("timestamps", "g")
    assert (recording.columns, recording.time_column) == (("x (g)", "y (g)", "z (g)"), "time (s)")
    assert (recording.gaps, recording.repairs, recording.warnings) == ((), (), ())


@pytest.mark.parametrize(
    "names",
    [
        ("x", "y", "z"),
        ("X", "Y", "Z"),
        ("acc_x", "acc_y", "acc_z"),
        ("AccX", "AccY", "AccZ"),
        ("x_acc", "y_acc", "z_acc"),
        ("ax", "ay", "az"),
        ("Acceleration x (g)", "Acceleration y (g)", "Acceleration z (g)"),
        ("accelerometerAccelerationX(G)", "accelerometerAccelerationY(G)", "accelerometerAccelerationZ(G)"),
        ("gFx", "gFy", "gFz"),
        ("X-Axis", "Y-Axis", "Z-Axis"),
        ('"x"', '"y"', '"z"'),
    ],
)
def test_axes_are_found_by_many_names(names: tuple[str, str, str]) -> None:
    """The ways in which loggers name three axes, in any case."""
    assert_read(read_recording(table({"time (s)": times(), **axes(names=names)})))


def test_axes_are_found_in_any_order_among_others() -> None:
    """Order does not matter, and gyroscope, gravity, text and unreadable columns beside the axes do not disturb."""
    named = axes()
    columns = {
        "z": named["z"],
        "gyro_x": ["-∞"] * 100,
        "time": times(),
        "y": named["y"],
        "label": ["walking"] * 100,
        "gravity x": [""] * 100,
        "x": named["x"],
    }
    assert_read(read_recording(table(columns)))


def test_raw_acceleration_is_preferred_to_what_is_free_of_gravity() -> None:
    """Of two sets of axes the one that holds gravity is taken."""
    zeros = ["0"] * 100
    linear = {f"{kind}{axis}": zeros for kind in ("a", "linear acceleration ") for axis in "xyz"}
    for names in (("gFx", "gFy", "gFz"), ("acc x", "acc y", "acc z"), ("x", "y", "z")):
        assert_read(read_recording(table({"time": times(), **linear, **axes(names=names)})))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " ", "  "])
@pytest.mark.parametrize("header", [True, False])
def test_delimiters_and_headers_are_recognised(delimiter: str, *, header: bool) -> None:
    """Commas, semicolons, tabs and blanks, with and without a header, give the same samples."""
    assert_read(read_recording(table({"time": times(), **axes()}, delimiter=delimiter, header=header)))


@pytest.mark.parametrize(
    "data",
    [
        table({"time": times(), **axes()}, end="\r\n"),
        table({"time": times(), **axes()}, end="\r"),
        table({"time": times(), **axes()}, end="\n\n"),
        table({"time": times(), **axes()}, before="\n\n"),
        table({"time": times(), **axes()}, before="\ufeff"),
        table({"time": times(), **axes()}, delimiter=";", before="sep=;\n"),
        table({"# time": times(), **axes()}),
        table({"time": times(), **axes(), "": [""] * 100}),
        table({"time": times(), **axes()}).decode().encode("utf-16"),
        table({"time": times(), **axes(), "Temperature (°C)": ["20"] * 100}).decode().encode("latin-1"),
        table({"time": times(), **axes()}, delimiter=";").replace(b".", b","),
        table({name: [f'"{value}"' for value in column] for name, column in {"time": times(), **axes()}.items()}),
    ],
    ids=[
        "crlf",
        "cr",
        "blank-lines",
        "blank-start",
        "bom",
        "sep",
        "hash",
        "trailing",
        "utf-16",
        "latin-1",
        "comma",
        "quoted",
    ],
)
def test_traps_of_real_files_are_survived(data: bytes) -> None:
    """Line ends, blank lines, byte order marks, `sep=` lines, loose delimiters, encodings, decimal commas, quotes."""
    assert_read(read_recording(data))


def test_without_a_header_the_growing_column_is_time() -> None:
    """Wherever it stands; constant flags and row numbers beside it are not axes; the guess is told."""
    named = axes()
    columns = {
        "row": list(range(100)),
        "x": named["x"],
        "y": named["y"],
        "z": named["z"],
        "time": times(start=1e6),
        "flag": ["3"] * 100,
    }
    recording = read_recording(table(columns, header=False))
    assert_read(recording)
    assert (recording.columns, recording.time_column) == (("2", "3", "4"), "5")
    assert "without a header, columns 2, 3 and 4 of 6 were taken as x, y and z" in recording.warnings


def test_six_columns_without_a_header_are_accelerometer_first() -> None:
    """Six sensor columns are read in the usual order, and the choice is told."""
    gyroscope = axes(VALUES * 50, ("u", "v", "w"))
    recording = read_recording(table({**axes(), **gyroscope}, header=False), rate_hz=RATE_HZ)
    assert_read(recording)
    assert any("columns 1, 2 and 3 of 6" in warning for warning in recording.warnings)


# --- Tables: time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1e3), ("us", 1e6), ("µs", 1e6), ("ns", 1e9)])
@pytest.mark.parametrize("name", ["time ({})", "Timestamp [{}]", "t_{}"])
def test_time_units_are_read_from_the_header(name: str, unit: str, scale: float) -> None:
    """Seconds to nanoseconds, in brackets or behind an underscore, even where the numbers look like another unit."""
    data = table({name.format(unit): times(scale, decimals=6), **axes()})
    assert_read(read_recording(data))


@pytest.mark.parametrize("scale", [1, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("start", [0, 1.6e9])
def test_time_units_are_told_from_the_step(scale: float, start: float) -> None:
    """Without a unit the usual step decides, from zero as from 1970."""
    assert_read(read_recording(table({"timestamp": times(scale, start * scale, decimals=2), **axes()})))


def test_the_time_that_names_its_unit_is_preferred() -> None:
    """Of an ISO time, a time without unit and a time in ms, the last is read."""
    columns = {
        "loggingTime(txt)": ["2024-05-01T10:00:00.000+02:00"] * 100,
        "time": ["7"] * 100,
        "Time since start in ms ": times(1e3),
        **axes(),
    }
    recording = read_recording(table(columns))
    assert_read(recording)
    assert recording.time_column == "Time since start in ms"


def test_a_stated_rate_stands_above_the_times() -> None:
    """A caller who knows the rate is believed, and an unreadable time column is then no matter."""
    for column in (times(), ["2024-05-01T10:00:00Z"] * 100):
        recording = read_recording(table({"time": column, **axes()}), rate_hz=25)
        assert_read(recording, rate_hz=25)
        assert (recording.rate_found, recording.time_column) == ("stated", None)


def test_without_times_50_hz_are_assumed_and_told() -> None:
    """Three columns alone are read, with the assumption as a warning."""
    recording = read_recording(table(axes(), header=False))
    assert_read(recording)
    assert recording.rate_found == "assumed"
    assert "no times and no rate are given; 50 Hz was assumed" in recording.warnings


def test_gaps_and_repairs_come_from_the_times() -> None:
    """What was done to the time axis is part of the answer."""
    clock = times()
    clock[60:] = [f"{float(time) + 3:.3f}" for time in clock[60:]]
    recording = read_recording(table({"time": clock, **axes()}))
    assert recording.gaps == ((1.18, 4.2),)
    assert any("1 gaps were bridged" in repair for repair in recording.repairs)
    assert len(recording.values_g) == 250


# --- Tables: hostile headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["(", "[", "( ", "m/s", "x" * 9])
def test_a_long_name_costs_no_more_than_its_length(sign: str) -> None:
    """A header of 200,000 brackets beside three good columns is read at once: no pattern walks it again and again."""
    columns = {"time (s)": times(), **axes(names=("x (g)", "y (g)", "z (g)")), sign * 200_000: times()}
    assert_read(read_recording(table(columns)))


@pytest.mark.parametrize(("name", "unit"), [("acc_{} (m/s^2) [filtered]", "m/s^2"), ("{} (g", None), ("{}", None)])
def test_units_are_set_apart_from_names(name: str, unit: str | None) -> None:
    """One bracket, several or one that is never closed: what stands before it names the axis."""
    scale = 9.80665 if unit else 1
    names = (name.format("x"), name.format("y"), name.format("z"))
    recording = read_recording(table({"time": times(), **axes((VALUES * scale).astype("f4"), names)}))
    assert recording.values_g == pytest.approx(VALUES, abs=1e-4)


@pytest.mark.parametrize(
    "columns",
    [
        {f"{number}" * 300: times() for number in range(1000)},
        {"x" * 199: times(), "time": times()},
        {"time": times(), **axes(), **{"X" + "-" * length: times() for length in range(150)}},
        {"time" * 50: ["noon"] * 100, **axes()},
        {"time": times(), **axes(names=("x", "y" + "-" * 150, "z")), "w": times()} | {"y" + "-" * 150: ["?"] * 100},
    ],
    ids=["many", "few", "twice", "time", "value"],
)
def test_messages_name_few_columns_and_shortly(columns: dict[str, list[str]]) -> None:
    """However many and long the names of a file are, its refusal can be read."""
    with pytest.raises(DataError) as refused:
        read_recording(table(columns))
    assert len(str(refused.value)) < 400
    assert len(refused.value.column or "") <= 40
