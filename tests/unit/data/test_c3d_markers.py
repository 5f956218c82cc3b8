"""Optical markers from `.c3d`: the same as from the text files, wherever their clock comes from."""

import io
import struct
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import c3d
import numpy as np
import pytest

from pskd_core.data.berkeley_skeletons import MARKERS
from pskd_core.data.c3d_markers import read_c3d
from pskd_core.errors import DataError
from tests.unit.data.factories import about
from tests.unit.data.test_berkeley_mhad import (
    START,
    Array,
    described,
    read,
    write,
    write_optical,
    write_sensor,
)

TRIAL = "s01_a01_r01"
FRAMES = 1920  # 4 s


def moving() -> Array:
    """43 markers (F, 43, 3) in mm, all going 100 mm a second along x; two are hidden for a while, as 0 0 0."""
    spots = np.random.default_rng(1).uniform(100, 1800, (43, 3))
    markers = np.tile(spots, (FRAMES, 1, 1))
    markers[..., 0] += 100 * np.arange(FRAMES)[:, None] / 480
    markers[200:900, 7] = markers[:300, 20] = 0
    return markers


def made_c3d(markers: Array, *, scale: float = -1.0, unit: str = "mm  ", rate_hz: float = 480) -> bytes:
    """A file by the library's writer; a marker at 0 0 0 gets the residual -1, and the last frame's place."""
    writer = c3d.Writer(point_rate=rate_hz, point_scale=scale, point_units=unit)
    residual = np.where((markers == 0).all(axis=2), -1, 0)[:, :, None]
    points = np.concatenate([markers, residual, np.zeros_like(residual)], axis=2)
    writer.add_frames([(frame, np.empty(0)) for frame in points])
    writer.set_point_labels([f"m{number}" for number in range(markers.shape[1])])
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that there are no analog data
        writer.write(file)
    return file.getvalue()


def write_c3d(root: Path, data: bytes, trial: str = TRIAL) -> None:
    path = root / "Mocap" / "OpticalData" / f"moc_{trial}.c3d"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_stamps(root: Path, *, late: float = 0.0) -> None:
    """Camera frames from the first to the last optical one, or all later."""
    times = START + late + np.linspace(0, (FRAMES - 1) / 480, 86)
    write(root / "Time_stamps" / f"time_stamps_img_cluster01_{TRIAL}.txt", np.column_stack([np.arange(86), times]))


@pytest.mark.parametrize(("scale", "off_m"), [(-1.0, 1e-5), (0.1, 1e-4)])
def test_c3d_and_text_give_the_same_skeleton(tmp_path: Path, scale: float, off_m: float) -> None:
    """The same markers at the same times, as floats or as 16-bit numbers, hidden ones bridged alike."""
    for root in (tmp_path / "text", tmp_path / "c3d"):
        write_sensor(root, TRIAL)
        write_stamps(root)
    write_optical(tmp_path / "text", TRIAL, markers=moving())
    write_c3d(tmp_path / "c3d", made_c3d(moving(), scale=scale))
    text, text_recordings, text_problems = read(tmp_path / "text")
    info, recordings, problems = read(tmp_path / "c3d")
    assert (info, info.skeleton) == (text, MARKERS)
    skeleton, expected = (found[TRIAL].streams["skeleton"] for found in (recordings, text_recordings))
    assert skeleton.rate_hz == pytest.approx(expected.rate_hz)
    assert np.abs(skeleton.values - expected.values).max() < off_m
    said = "positions that were not seen (0 0 0) in 1 files"
    assert about(problems, said).detail == about(text_problems, said).detail
    assert len(problems) == len(text_problems)


def test_the_text_file_of_a_trial_is_preferred(tmp_path: Path) -> None:
    """It has the clock: the `.c3d` of that trial is not even opened, that of another trial is read beside it."""
    for trial in (TRIAL, "s01_a01_r02"):
        write_sensor(tmp_path, trial)
    write_optical(tmp_path, TRIAL)
    write_c3d(tmp_path, b"no c3d")
    write_c3d(tmp_path, made_c3d(moving()), "s01_a01_r02")
    _, recordings, problems = read(tmp_path)
    assert ["skeleton" in recording.streams for recording in recordings.values()] == [True, True]
    assert [problem for problem in problems if problem.severity == "error"] == []


@pytest.mark.parametrize(("late", "noted"), [(0.3, False), (None, True)])
def test_it_is_placed_by_the_cameras_or_on_the_sensors(tmp_path: Path, late: float | None, noted: bool) -> None:
    """By the time stamps of its trial if there are any, else centred on the sensors' time, which the report says."""
    rows = write_sensor(tmp_path, TRIAL)
    if late is not None:
        write_stamps(tmp_path, late=late)
    write_c3d(tmp_path, made_c3d(moving()))
    _, recordings, problems = read(tmp_path)
    streams = recordings[TRIAL].streams
    times = np.loadtxt(rows)[:, 3] - START
    began_s = late if late is not None else (times[0] + times[-1]) / 2 - (FRAMES - 1) / 480 / 2
    # The sensor's x is a tenth of the time since START; a marker goes 0.1 m a second from the first frame on.
    way_s = (streams["skeleton"].values[20:-20, 0, 0] - moving()[0, 0, 0] / 1000) * 10
    assert way_s == pytest.approx(10 * streams["accelerometer"].values[20:-20, 0] - began_s, abs=0.03)
    assert ("neither optical text file nor time stamps" in described(problems)) == noted


def test_other_units_and_rates_are_taken_from_the_file() -> None:
    """Metres stay metres; without a unit it is mm, as in the text files."""
    data = made_c3d(moving() / 1000, unit="m   ", rate_hz=120)
    positions, rate_hz = read_c3d(data, markers=43, file="a.c3d")
    assert (positions.shape, rate_hz) == ((FRAMES, 43, 3), 120)
    assert positions[:, 0] == pytest.approx(moving()[:, 0] / 1000, abs=1e-6)
    assert not positions[200:900, 7].any()
    bare, _ = read_c3d(made_c3d(moving(), unit="    "), markers=43, file="a.c3d")
    assert bare == pytest.approx(positions, abs=1e-6)


def emptied_rate(data: bytes) -> bytes:
    return data.replace(struct.pack("<f", 480), struct.pack("<f", 0))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda _: b"", "a damaged .c3d file"),
        (lambda _: b"no c3d at all" * 100, "a damaged .c3d file"),
        (lambda data: data[:700], "a damaged .c3d file"),
        (lambda data: data[: len(data) // 2], "it says that it holds 1920 frames, and holds "),
        (emptied_rate, "a frame rate of 0.0 Hz"),
        (lambda _: made_c3d(moving()[:, :40]), "40 markers; 43 were expected"),
        (lambda _: made_c3d(moving(), unit="inch"), "positions in 'inch'; mm, cm or m were expected"),
    ],
)
def test_a_damaged_file_is_left_out_by_name(tmp_path: Path, spoil: Callable[[bytes], bytes], said: str) -> None:
    """Its trial keeps the sensors; the finding names the file and what is wrong."""
    write_sensor(tmp_path, TRIAL)
    write_c3d(tmp_path, spoil(made_c3d(moving())))
    _, recordings, problems = read(tmp_path)
    assert list(recordings[TRIAL].streams) == ["accelerometer"]
    found = about(problems, said)
    assert (found.severity, found.file) == ("error", f"Mocap/OpticalData/moc_{TRIAL}.c3d")


def test_no_byte_changed_anywhere_in_the_head_escapes_as_another_error() -> None:
    """Whatever stands in header and parameters, the answer is positions or a `DataError`."""
    data = bytearray(made_c3d(moving()[:16]))
    draw = np.random.default_rng(0)
    for place in range(2 * 512):
        spoilt = data.copy()
        spoilt[place] = draw.integers(256)
        try:
            positions, _ = read_c3d(bytes(spoilt), markers=43, file="a.c3d")
        except DataError as error:
            assert error.file == "a.c3d"  # noqa: PT017 (either end is right)
        else:
            assert positions.shape == (16, 43, 3)


def test_a_frame_count_beyond_the_file_allocates_nothing() -> None:
    """A header of four thousand million frames over a file of 60: what is held is bounded by what is there."""
    markers = moving()[:60]
    data = bytearray(made_c3d(markers))
    place = data.index(b"ACTUAL_END_FIELD") + len("ACTUAL_END_FIELD") + 5
    data[place : place + 4] = b"\xff" * 4
    read_c3d(made_c3d(markers), markers=43, file="a.c3d")
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"holds 4294967295 frames, and holds 60; .*again"):
            read_c3d(bytes(data), markers=43, file="a.c3d")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(data)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sensors are imported, and the finding says what to install or to put beside."""
    write_sensor(tmp_path, TRIAL)
    write_c3d(tmp_path, made_c3d(moving()[:16]))
    monkeypatch.setitem(sys.modules, "c3d", None)
    _, recordings, problems = read(tmp_path)
    assert list(recordings[TRIAL].streams) == ["accelerometer"]
    assert "pip install 'pskd[c3d]'" in about(problems, ".c3d needs the package c3d").detail
