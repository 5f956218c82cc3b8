"""Recordings in array files: found by name or shape, and nothing in them is ever run."""

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pskd_core.data.arrays import read_npz
from pskd_core.data.recordings import read_recording
from pskd_core.errors import DataError
from tests.unit.data.uploads import RATE_HZ, VALUES, assert_read, mat, npy, npz


@pytest.mark.parametrize("dtype", ["<f8", "<f4", ">f8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_npy_array_is_read(dtype: str, order: Any) -> None:
    """Any byte order and memory order, with the rate that the caller states."""
    recording = read_recording(npy(np.asarray(VALUES, dtype, order=order)), rate_hz=RATE_HZ, unit="g")
    assert_read(recording)
    assert (recording.rate_found, recording.warnings) == ("stated", ())


def test_integer_arrays_are_read() -> None:
    """Whole numbers are samples too."""
    whole = np.tile(np.array([[0, 1, 0]], np.int8), (40, 1))
    assert read_recording(npy(whole), rate_hz=50).values_g[7].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "arrays",
    [
        {"accelerometer": VALUES, "gyroscope": VALUES * 50},
        {"gyroscope": VALUES * 50, "acc": VALUES},
        {"anything": VALUES, "label": np.array(3)},
    ],
)
def test_an_npz_is_read_by_name_or_by_shape(arrays: dict[str, Any]) -> None:
    """`accelerometer` or `acc`, or else the only array with three columns."""
    assert_read(read_recording(npz(**arrays)))


def test_a_utd_file_brings_its_unit_and_rate(tmp_path: Path) -> None:
    """`d_iner` is 50 Hz and g by definition: nothing is guessed."""
    recording = read_recording(mat(tmp_path, d_iner=np.hstack([VALUES, VALUES * 50])))
    assert_read(recording)
    assert (recording.unit, recording.warnings) == ("g", ())


def test_another_mat_file_is_read_by_shape(tmp_path: Path) -> None:
    """One array of six columns: the first three are taken, and told."""
    recording = read_recording(mat(tmp_path, data=np.hstack([VALUES, VALUES * 50]), note="hello"), unit="g")
    assert_read(recording)
    assert "six columns: the first three were taken as the accelerometer" in recording.warnings


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    """A pickle, and an array file that holds one, are refused before any of their code could run."""
    target = tmp_path / "written"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (target,))

    for data in (npy(np.array([Evil()], object)), npz(accelerometer=np.array([Evil()], object)), pickle.dumps(Evil())):
        with pytest.raises(DataError):
            read_recording(data)
    assert not target.exists()


def test_headers_that_promise_much_allocate_nothing() -> None:
    """An array file of 200 bytes that claims exabytes is damaged, at once."""
    data = npy(VALUES).replace(b"(100, 3)", b"(9" + b"9" * 15 + b", 3)")
    with pytest.raises(DataError, match="damaged"):
        read_recording(data)


@pytest.mark.parametrize(
    "shape",
    [b"(0, 9999999999999999999, 3)", b"(0, 9999999999, 9999999999)", b"(0," + b"1," * 47 + b")", b"(1 0, 3)", b"(,3)"],
)
def test_shapes_that_cannot_be_are_damage(shape: bytes) -> None:
    """Sizes whose product is 0, although no array can have them, are refused like any other damage."""
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': %s, }" % shape
    data = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head
    with pytest.raises(DataError):
        read_recording(data)


def test_more_values_than_a_day_holds_are_refused_before_they_grow() -> None:
    """Eleven million samples of one byte an axis would be 264 MB as float64; the remedy is named instead."""
    data = npz(acc=np.random.default_rng(0).integers(0, 2, (11_000_000, 3), np.int8))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"11000000 samples are more than the 10000000 .* cut the recording up"):
            read_recording(data)
        assert tracemalloc.get_traced_memory()[1] < 150_000_000
    finally:
        tracemalloc.stop()


def test_only_the_axes_are_converted() -> None:
    """Of six columns the three that are read are converted, at 16 times their size and not at 32."""
    data = npz(acc=np.random.default_rng(0).integers(0, 2, (1_000_000, 6), np.int8))
    tracemalloc.start()
    try:
        series = read_npz(data, file=None, stated=())
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()
    assert series.values.shape == (1_000_000, 3)


def test_messages_name_few_arrays_and_shortly() -> None:
    """An archive of many arrays with long names does not fill its refusal with them."""
    arrays = {f"{number}" * 100: np.ones((5, 5)) for number in range(50)}
    with pytest.raises(DataError, match="and 45 more") as refused:
        read_recording(npz(**arrays))
    assert len(str(refused.value)) < 500
