"""Recordings read from disk piece by piece are those that are read whole."""

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pskd_core.data.blocks import median
from pskd_core.data.recordings import SensorRecording, read_recording
from pskd_core.data.streaming import read_long_recording
from pskd_core.errors import DataError
from pskd_core.shapes import FloatArray
from tests.data_paths import real_data
from tests.unit.data import loggers
from tests.unit.data.uploads import npy

unhurried = settings(deadline=None)  # each example writes files
PIECES = st.sampled_from([50, 100, 333, 4096, 1 << 21])
SAMPLES = arrays(
    np.float32, st.tuples(st.integers(16, 90), st.just(3)), elements=st.floats(-2, 2, allow_nan=False, width=32)
)
# Steps of a clock of 50 Hz: jitter, repeated times and gaps.
STEPS = st.lists(st.sampled_from([0.02, 0.02, 0.02, 0.021, 0.0, 0.3, 2.0]), min_size=90, max_size=90)
NAMES = sorted(loggers.whole())


def streamed(data: bytes, *, piece_bytes: int, **stated: object) -> SensorRecording:
    """The file of these bytes, read in pieces; its samples are copied, since the file's folder goes."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "recording")
        path.write_bytes(data)
        return read_long_recording(path, scratch=Path(folder), piece_bytes=piece_bytes, **stated)  # type: ignore[arg-type]  # one of its own arguments


def assert_same(data: bytes, *, piece_bytes: int, **stated: object) -> None:
    """Either both ways say the same in every field, or both refuse it with the same words."""
    whole, refused = _tried(partial(read_recording, data, filename="recording"), stated)
    pieces, refused_too = _tried(partial(streamed, data, piece_bytes=piece_bytes), stated)
    assert refused_too == refused
    if whole is not None and pieces is not None:
        told = [[getattr(each, field.name) for field in fields(each)[1:]] for each in (whole, pieces)]
        assert told[1] == told[0]
        assert np.array_equal(pieces.values_g, whole.values_g)


def _tried(read: Callable[..., SensorRecording], stated: dict[str, object]) -> tuple[SensorRecording | None, str]:
    try:
        return read(**stated), ""
    except DataError as refused:
        return None, str(refused)


@unhurried
@given(values=SAMPLES, steps=STEPS, piece=PIECES, scale=st.sampled_from([1, 1000, 10**9]), header=st.booleans())
def test_a_table_is_the_same_in_pieces_of_any_size(
    values: FloatArray, steps: list[float], piece: int, scale: int, header: bool
) -> None:
    """Rate, gaps, repairs, unit, gravity and every sample are those of the whole file bit by bit, as are refusals."""
    time_s = np.cumsum(steps)[: len(values)]
    rows = [f"{time * scale:.6f},{x!r},{y!r},{z!r}" for time, (x, y, z) in zip(time_s, values.tolist(), strict=True)]
    assert_same("\n".join([*(["time,x,y,z"] if header else []), *rows]).encode(), piece_bytes=piece)


@unhurried
@given(values=SAMPLES, steps=STEPS, piece=PIECES, timed=st.booleans())
def test_an_array_is_the_same_in_pieces_of_any_size(
    values: FloatArray, steps: list[float], piece: int, timed: bool
) -> None:
    """So are samples in float32, with a time before them or without."""
    if not timed:
        assert_same(npy(values), piece_bytes=piece)
        return
    table = np.column_stack([np.cumsum(steps)[: len(values)].astype(np.float32), values])
    assert_same(npy(table), piece_bytes=piece, columns=("1", "2", "3", "4"))


@pytest.mark.parametrize("piece", [100, 4096])
@pytest.mark.parametrize("name", NAMES)
def test_what_loggers_write_is_the_same_in_pieces(name: str, piece: int) -> None:
    """Every logger's and device's file is understood the same, be its format read in pieces or whole."""
    assert_same(loggers.whole()[name], piece_bytes=piece)


def test_real_recordings_are_the_same_in_pieces() -> None:
    """What real phones, watches and loggers wrote is understood the same, or refused the same."""
    for path in sorted(real_data("recordings").iterdir()):
        if path.suffix in {".csv", ".txt"}:
            assert_same(path.read_bytes(), piece_bytes=1 << 16)


@unhurried
@given(
    piece=PIECES,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_encodings_and_line_ends_are_the_same_in_pieces(piece: int, encoding: str, end: str) -> None:
    """A sign or a line end that lies across two pieces is read as one."""
    rows = [f"{index / 50:.2f};{index % 7 / 5:.3f};0;9,81;°" for index in range(60)]
    text = end.join(["time;x (m/s²);y (m/s²);z (m/s²);°", *rows])
    assert_same(text.encode(encoding), piece_bytes=piece)


@unhurried
@given(piece=PIECES, row=st.integers(0, 59), field=st.sampled_from(["", "a", "nan", "1e31", "2e4", '"']))
def test_a_wrong_value_is_named_at_the_same_place(piece: int, row: int, field: str) -> None:
    """Row and column of a fault count from the file's beginning, in whichever piece it lies."""
    rows = [f"{index / 50:.2f},0.1,{field if index == row else 0.2},0.9" for index in range(60)]
    assert_same("\n".join(["time,x,y,z", *rows]).encode(), piece_bytes=piece, unit="g")


def test_times_that_run_backwards_are_refused_with_a_remedy() -> None:
    """To sort them would take the whole recording into memory."""
    rows = [f"{index ^ 1},0,0,1" for index in range(60)]
    with pytest.raises(DataError, match="times run backwards 30 times; sort the rows by time, or state the rate"):
        streamed("\n".join(["time (ms),x,y,z", *rows]).encode(), piece_bytes=100)


def test_the_share_that_is_read_grows_to_the_whole() -> None:
    """Whoever waits is told how far it is, in order, and that it is done."""
    told: list[float] = []
    text = "\n".join(["x,y,z", *["0,0,1"] * 1000]).encode()
    streamed(text, piece_bytes=1000, rate_hz=50, told=told.append)
    assert told == sorted(told)
    assert len(told) > 3
    assert told[-1] == 1


def test_a_large_file_of_a_format_that_is_read_whole_is_refused(tmp_path: Path) -> None:
    """Rather than taking the memory that it was to save; the remedy is named."""
    path = tmp_path / "large.mat"
    with path.open("wb") as file:
        file.write(b"\x89HDF")
        file.truncate((64 << 20) + 1)
    with pytest.raises(DataError, match=r"read whole, up to 64 MiB; cut it up, or save it as CSV or `\.npy`"):
        read_long_recording(path, scratch=tmp_path)


@unhurried
@given(
    numbers=arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1e30)),
    cut=st.integers(0, 60),
)
def test_the_median_in_blocks_is_the_median(numbers: np.ndarray, cut: int) -> None:
    """Of any numbers that are not negative, wherever they are cut."""
    assert median(lambda: (numbers[:cut], numbers[cut:])) == np.median(numbers)


@pytest.mark.parametrize("digits", [0, 1, 4, 17])
def test_the_median_of_many_numbers_is_the_median(digits: int) -> None:
    """Also of more numbers than are sorted at once, whether many are the same or none is."""
    numbers = np.abs(np.random.default_rng(1).normal(1, 0.5, 600_000)).round(digits)
    blocks = np.array_split(numbers, 7)
    assert median(lambda: blocks) == np.median(numbers)
    assert median(lambda: blocks[:3]) == np.median(np.concatenate(blocks[:3]))
    half = np.repeat([1.0, 3.0], 300_000)
    assert median(lambda: [half]) == np.median(half)
