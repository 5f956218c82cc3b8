"""Recordings in the formats of loggers and devices, each with the traps that its files hold."""

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from pskd_core.data.recordings import read_recording
from pskd_core.errors import DataError
from tests.data_paths import real_data
from tests.unit.data import loggers
from tests.unit.data.loggers import METRES, TIMES_S, VALUES, columns_of, lines, zipped
from tests.unit.data.uploads import axes, npy, table, times


def gt3x() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("info.txt", "Serial Number: MOS2A00000000\n")
        archive.writestr("log.bin", bytes(64))
    return stream.getvalue()


# format, unit, how the rate was found, and how far rounding may take a value, in g
UNDERSTOOD: dict[str, tuple[Callable[[], bytes], str, str, str, float]] = {
    "phyphox": (loggers.phyphox, "phyphox", "m/s^2", "timestamps", 1e-5),
    "phyphox-zip": (
        lambda: zipped(**{"Raw Data": loggers.phyphox(), "meta__time": b"x,y,z\n1,2,3\n", "meta__device": b"a\n"}),
        "phyphox", "m/s^2", "timestamps", 1e-5,
    ),
    "sensor-logger": (loggers.sensor_logger, "sensor_logger", "m/s^2", "timestamps", 1e-5),
    "sensorlog": (loggers.sensorlog, "sensorlog", "g", "timestamps", 1e-5),
    "androsensor": (loggers.androsensor, "androsensor", "m/s^2", "timestamps", 1e-5),
    "physics-toolbox": (loggers.physics_toolbox, "physics_toolbox", "g", "timestamps", 1e-5),
    "physics-toolbox-several": (
        lambda: loggers.physics_toolbox(several=True), "physics_toolbox", "g", "timestamps", 1e-5,
    ),
    "empatica": (loggers.empatica, "empatica_e4", "g/64", "header", 1 / 128),
    "shimmer": (loggers.shimmer, "shimmer_consensys", "m/s^2", "timestamps", 1e-5),
    "actigraph": (loggers.actigraph, "actigraph_csv", "g", "header", 1e-5),
    "actigraph-without-names": (lambda: loggers.actigraph(names=False), "actigraph_csv", "g", "header", 1e-5),
    "wisdm": (loggers.wisdm, "wisdm", "m/s^2", "timestamps", 1e-5),
    "geneactiv": (loggers.geneactiv, "geneactiv_bin", "g", "timestamps", 1 / 500),
    "axivity": (loggers.axivity, "axivity_cwa", "g", "timestamps", 1 / 500),
    "parquet": (
        lambda: columns_of(METRES, "time (s)", "x (m/s^2)", "y (m/s^2)", "z (m/s^2)"),
        "parquet", "m/s^2", "timestamps", 1e-5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNDERSTOOD)
def test_every_format_gives_the_same_samples(kind: str) -> None:
    """The same movement comes back in g, in the order x, y, z and at its rate, whoever wrote it; names play no part."""
    made, found, unit, rate_found, rounding = UNDERSTOOD[kind]
    recording = read_recording(made(), filename="upload.xyz")
    assert (recording.format, recording.unit, recording.rate_found) == (found, unit, rate_found)
    assert recording.values_g[: len(VALUES)] == pytest.approx(VALUES, abs=rounding)
    assert recording.rate_hz == pytest.approx(50, rel=1e-3)
    assert recording.gravity is True
    assert recording.gaps == ()


# --- Gravity, units, columns --------------------------------------------------------------------------------------


def test_names_tell_that_gravity_is_taken_out() -> None:
    """A linear accelerometer is read as such, however vigorous its samples are."""
    assert read_recording(loggers.phyphox(linear=True)).gravity is False
    names = ("linear acceleration x (g)", "linear acceleration y (g)", "linear acceleration z (g)")
    assert read_recording(table({"time (s)": times(), **axes(names=names)})).gravity is False


def test_a_ratio_of_forces_holds_gravity() -> None:
    """`gF` counts gravity by definition, also where a vigorous movement hides it."""
    head = "time,gFx,gFy,gFz,TgF"
    rows = [f"{t},{x},{y},{z},1" for t, (x, y, z) in zip(TIMES_S, VALUES * 2.5, strict=True)]
    assert read_recording(lines(head, rows=rows)).gravity is True
    assert read_recording(lines(head.replace("gF", "a"), rows=rows), unit="g").gravity is None


@pytest.mark.parametrize(("unit", "factor"), [("mg", 1000.0), ("g/64", 64.0)])
def test_counts_are_refused_unless_their_unit_is_stated(unit: str, factor: float) -> None:
    """Values in thousandths or 64ths of g are never taken for g; who knows the unit states it."""
    data = table({"time (s)": times(), **axes((VALUES[:100] * factor).astype(np.float32))})
    with pytest.raises(DataError, match=r"neither g nor m/s².*state the unit \(g, m/s\^2, mg, g/64\)"):
        read_recording(data)
    recording = read_recording(data, unit="mg" if unit == "mg" else "g/64")
    assert recording.values_g == pytest.approx(VALUES[:100], abs=1e-4)


def test_a_gyroscope_called_x_y_z_is_no_accelerometer() -> None:
    """Columns in rad/s are passed over, whatever they are called; alone they are refused."""
    gyroscope = axes(VALUES[:100] * 3, ("x (rad/s)", "y (rad/s)", "z (rad/s)"))
    recording = read_recording(table({"time (s)": times(), **gyroscope, **axes(VALUES[:100], ("ax", "ay", "az"))}))
    assert recording.columns == ("ax", "ay", "az")
    with pytest.raises(DataError, match="no accelerometer x, y and z among the columns"):
        read_recording(table({"time (s)": times(), **gyroscope}))


@pytest.mark.parametrize("stated", [["c", "b", "a"], ["t", "c", "b", "a"], ["4", "3", "2"], ["1", "4", "3", "2"]])
def test_columns_can_be_stated(stated: list[str]) -> None:
    """Names or numbers choose x, y and z, in text, arrays and Parquet alike, and the time before them."""
    turned = VALUES[:, ::-1]
    text = lines("t,a,b,c", rows=[f"{t},{x},{y},{z}" for t, (x, y, z) in zip(TIMES_S, turned, strict=True)])
    made = [text, columns_of(turned, "t", "a", "b", "c")]
    if stated[0].isdecimal():
        made.append(npy(np.column_stack([TIMES_S, turned])))
    for data in made:
        recording = read_recording(data, columns=stated, unit="g")
        assert recording.values_g == pytest.approx(VALUES, abs=1e-5)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (["x"], "1 columns are stated; name three"),
        (["x", "y", "q"], "the stated column 'q' is not there"),
        (["x", "y", "9"], "'9' is not"),
    ],
)
def test_wrong_columns_are_named(stated: list[str], message: str) -> None:
    """A column that is not there is named beside those that are."""
    with pytest.raises(DataError, match=message):
        read_recording(table({"time": times(), **axes()}), columns=stated)
    with pytest.raises(DataError, match="no columns to state"):
        read_recording(loggers.axivity(), columns=["x", "y", "z"])


# --- Times --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    ["2024-05-01T10:00:{:06.3f}+02:00", "2024-05-01 10:00:{:06.3f}", "2024/05/01 10:00:{:06.3f}"],
)
@pytest.mark.parametrize("header", [True, False])
def test_moments_are_times(written: str, *, header: bool) -> None:
    """ISO 8601 with and without an offset, and a logger's slashes, tell the rate, with a header and without."""
    moments = [written.format(index / 50) for index in range(100)]
    recording = read_recording(table({"time": moments, **axes()}, header=header), unit="g")
    assert (recording.rate_found, round(recording.rate_hz, 3)) == ("timestamps", 50)


def test_milliseconds_behind_a_colon_are_read() -> None:
    """AndroSensor's 11:16:12:662 is the only time of some exports."""
    moments = [f"2022-09-27 11:16:{index // 50:02d}:{index % 50 * 20:03d}" for index in range(100)]
    assert read_recording(table({"time": moments, **axes()}), unit="g").rate_hz == pytest.approx(50)


def test_samples_that_come_in_bursts_keep_their_times() -> None:
    """Eight samples 2.5 ms apart and then a pause, as phones deliver them, are no gaps and go on an even grid."""
    times_s = np.cumsum(np.where(np.arange(len(VALUES)) % 8, 0.0025, 0.0197)) + 1e6
    rows = [f"{round(t * 1e9)},{x},{y},{z}" for t, (x, y, z) in zip(times_s, VALUES, strict=True)]
    recording = read_recording(lines("time,x,y,z", rows=rows), unit="g")
    assert recording.gaps == ()
    assert recording.repairs == ("uneven times were resampled to a constant rate",)
    assert recording.rate_hz == pytest.approx(499 / (times_s[-1] - times_s[0]))
    there = np.interp(np.arange(len(recording.values_g)) / recording.rate_hz, times_s - times_s[0], VALUES[:, 1])
    assert recording.values_g[:, 1] == pytest.approx(there, abs=1e-4)


@pytest.mark.parametrize("rate_hz", [2.0, 12.5, 505.0])
@pytest.mark.parametrize(("name", "scale"), [("time", 1), ("time", 1e3), ("time", 1e6), ("time", 1e9), ("t (ms)", 1e3)])
def test_slow_and_fast_sensors_tell_their_rate(rate_hz: float, name: str, scale: float) -> None:
    """From 2 Hz to 505 Hz, in every unit of time, with and without its name."""
    clock = [f"{scale * index / rate_hz:.4f}" for index in range(100)]
    recording = read_recording(table({name: clock, **axes()}), unit="g")
    assert recording.rate_hz == pytest.approx(rate_hz, rel=2e-3)


def test_a_first_sample_of_zeros_is_left_out_and_told() -> None:
    """A dud before the sensor has measured is no movement; without gravity 0 0 0 is a sample like any other."""
    values = np.concatenate([np.zeros((1, 3), np.float32), VALUES[:99]])
    recording = read_recording(table({"time": times(), **axes(values)}), unit="g")
    assert recording.values_g == pytest.approx(VALUES[:99], abs=1e-4)
    assert recording.repairs == (
        "the first sample was 0 0 0, which no sensor under gravity measures, and was left out",
    )
    free = values - np.array([0, 1, 0], np.float32)
    free[0] = 0
    assert len(read_recording(table({"time": times(), **axes(free)}), unit="g").values_g) == 100


# --- Zips ---------------------------------------------------------------------------------------------------------


def test_a_zip_of_sensors_gives_acceleration_with_gravity() -> None:
    """Of Sensor Logger's files of equal columns, the one with gravity is read; gyroscope and places are not."""
    free = loggers.sensor_logger(METRES - np.array([0, 9.80665, 0], np.float32))
    others = {"Gyroscope": loggers.sensor_logger(VALUES * 7), "Annotation": b"time,seconds_elapsed,text\n1,2,a\n"}
    both = read_recording(zipped(Accelerometer=free, TotalAcceleration=loggers.sensor_logger(), **others))
    assert both.values_g == pytest.approx(VALUES, abs=1e-5)
    assert read_recording(zipped(Accelerometer=free, **others)).gravity is False


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"Gyroscope": loggers.sensor_logger(), "Location": b"a\n"}, "no accelerometer among"),
        ({"a__Acc": loggers.phyphox(), "b__Acc": loggers.phyphox()}, "could all be the accelerometer's"),
    ],
)
def test_a_zip_without_one_accelerometer_is_refused(members: dict[str, bytes], message: str) -> None:
    """None or several: which one is meant is never guessed."""
    with pytest.raises(DataError, match=message):
        read_recording(zipped(**members), filename="export.zip")


# --- What is no raw acceleration, or damaged ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (loggers.actigraph(epoch="00:01:00"), "row 5: activity counts an epoch of 00:01:00"),
        (lines("Axis1,Axis2,Axis3,Steps", rows=["0,0,0,0"] * 50), "counts or summaries an epoch"),
        (loggers.wisdm((33, 17)), r"recordings of 2 users \(17, 33\)"),
        (loggers.axivity()[:900], "damaged"),
        (gt3x(), "export it from ActiLife as raw CSV"),
        (columns_of(VALUES, "time", "a", "b", "c"), "no accelerometer x, y and z"),
        (b"PAR1" + bytes(60), "a damaged Parquet file"),
        (loggers.whole()["walk.parquet"].replace(b"time (s)", b"time \xff(s"), "a damaged Parquet file"),
        # Columns that may not be empty, beside statistics of some that may: asked for by column, they end the process.
        (loggers.whole()["walk.parquet"].replace(b"\x25\x02\x18", b"\x25\x00\x18"), "a damaged Parquet file"),
    ],
)
def test_what_is_no_raw_acceleration_is_refused_with_the_reason(data: bytes, message: str) -> None:
    """Counts, summaries, several persons and cut files each get their own reason."""
    with pytest.raises(DataError, match=message):
        read_recording(data, filename="upload")


def test_a_damaged_block_is_a_repair_and_a_gap() -> None:
    """Blocks whose checksum fails are told, and the time they held is a gap; nothing vanishes silently."""
    data = bytearray(loggers.axivity())
    data[1024 + 3 * 512 + 100] ^= 0xFF
    recording = read_recording(bytes(data))
    assert recording.repairs[0].startswith("1 damaged parts were left out: sector 3")
    assert len(recording.gaps) == 1
    assert recording.gaps[0][1] - recording.gaps[0][0] == pytest.approx(1.02, abs=0.01)


def test_a_cut_geneactiv_file_is_doubted() -> None:
    """Fewer pages than announced is a warning that says how many."""
    cut = loggers.geneactiv().replace(b"Number of Pages:2", b"Number of Pages:9")
    assert any("announces 9 pages and the file holds 2" in each for each in read_recording(cut).warnings)


def test_pages_that_no_device_holds_are_refused_by_counting() -> None:
    """The library sets memory aside for each page that a header announces: a wrong number would end the process."""
    with pytest.raises(DataError, match="announces 4000000000 pages, more than the 250000 of a full device"):
        read_recording(loggers.geneactiv().replace(b"Number of Pages:2", b"Number of Pages:4000000000"))


# --- Real files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found", "unit", "rate_hz", "gravity"),
    [
        ("androsensor.csv", "androsensor", "m/s^2", 20.8, True),
        ("androsensor_100hz.csv", "androsensor", "m/s^2", 99.9, True),
        ("axivity_ax3.cwa", "axivity_cwa", "g", 98.9, True),
        ("axivity_ax3_corrupt_blocks.cwa", "axivity_cwa", "g", 98.9, True),
        ("geneactiv.bin", "geneactiv_bin", "g", 85.7, True),
        ("oxford_phone_accuracy_flag.csv", "table", "m/s^2", 403.7, True),
        ("oxford_phone_in_hand.csv", "table", "m/s^2", 100.0, True),
        ("physics_toolbox_g_force.csv", "physics_toolbox", "g", 505.1, True),
        ("physics_toolbox_multi.csv", "physics_toolbox", "g", 122.0, True),
        ("sensorlog_ios.csv", "sensorlog", "g", 16.8, True),
        ("watch_s01_01_sw.csv", "table", "m/s^2", 103.8, True),
        ("watch_s11_03_sp.csv", "table", "m/s^2", 94.6, True),
    ],
)
def test_real_files_are_understood(name: str, found: str, unit: str, rate_hz: float, gravity: bool) -> None:
    """Files of real devices: format, unit, rate and gravity, as docs/recordings.md says."""
    recording = read_recording(real_data(f"recordings/{name}"))
    assert (recording.format, recording.unit, recording.gravity) == (found, unit, gravity)
    assert recording.rate_hz == pytest.approx(rate_hz, abs=0.06)
