"""MATLAB files: equal to SciPy's reading, and never more than an error however damaged."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from pskd_core.data.mat import read_mat
from pskd_core.errors import DataError
from tests.data_paths import real_data

MEBIBYTE = 1 << 20


def saved(tmp_path: Path, *, compressed: bool, **variables: object) -> bytes:
    savemat(str(tmp_path / "made.mat"), variables, do_compression=compressed)
    return (tmp_path / "made.mat").read_bytes()


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_arrays_read_as_scipy_reads_them(tmp_path: Path, dtype: str, *, compressed: bool) -> None:
    """Every numeric class, plain and compressed, with the shape and order of MATLAB."""
    given = np.arange(24).reshape(2, 3, 4).astype(dtype)
    data = saved(tmp_path, compressed=compressed, cube=given, one=given[0, 0, 0])
    arrays = read_mat(data, file="made.mat", most_bytes=MEBIBYTE)
    assert np.array_equal(arrays["cube"], given)
    assert arrays["one"].shape == (1, 1)


def test_other_variables_are_left_out(tmp_path: Path) -> None:
    """Texts, structures, cells, logical and complex arrays beside a numeric one do no harm."""
    data = saved(
        tmp_path,
        compressed=True,
        text="hello",
        structure={"a": 1},
        cell=np.array([1, "a"], object),
        logical=np.array([True, False]),
        complex=np.array([1j]),
        d_iner=np.eye(3),
    )
    arrays = read_mat(data, file="made.mat", most_bytes=MEBIBYTE)
    assert list(arrays) == ["d_iner"]


def test_big_endian_files_read_alike() -> None:
    """A file from a big-endian machine, written here byte by byte, gives its numbers."""

    def element(kind: int, body: bytes) -> bytes:
        return struct.pack(">II", kind, len(body)) + body + b"\0" * (-len(body) % 8)

    parts = [
        element(6, struct.pack(">II", 6, 0)),
        element(5, struct.pack(">ii", 1, 2)),
        element(1, b"pair"),
        element(9, struct.pack(">dd", 1.5, -2)),
    ]
    data = b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + element(14, b"".join(parts))
    assert read_mat(data, file="made.mat", most_bytes=MEBIBYTE)["pair"].tolist() == [[1.5, -2.0]]


def test_real_files_read_as_scipy_reads_them() -> None:
    """UTD-MHAD's own files, from MATLAB itself, agree with SciPy bit for bit."""
    files = [*sorted((real_data("utd-mhad") / "Inertial").glob("*.mat"))[::40]]
    files += sorted((real_data("utd-mhad") / "Skeleton").glob("*.mat"))[::40]
    for file in files:
        ((name, values),) = read_mat(file.read_bytes(), file=file.name, most_bytes=MEBIBYTE).items()
        assert np.array_equal(values, loadmat(str(file))[name])


def test_a_bomb_is_refused_without_inflating_it(tmp_path: Path) -> None:
    """A file of 16 kB that would inflate to 16 MB stops at the limit."""
    data = saved(tmp_path, compressed=True, d_iner=np.zeros((1 << 18, 8)))
    assert len(data) < 32_768
    with pytest.raises(DataError, match="inflates to more than"):
        read_mat(data, file="bomb.mat", most_bytes=MEBIBYTE)


def test_a_version_that_is_not_read_names_the_remedy(tmp_path: Path) -> None:
    """HDF5 files (version 7.3), version 4 files and other files say how to save again."""
    savemat(str(tmp_path / "old.mat"), {"a": np.eye(3)}, format="4")
    header_73 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    for data in (b"\x89HDF\r\n\x1a\n", header_73, (tmp_path / "old.mat").read_bytes(), b"", b"text"):
        with pytest.raises(DataError, match="save it again with"):
            read_mat(data, file="made.mat", most_bytes=MEBIBYTE)


@pytest.mark.parametrize("compressed", [True, False])
def test_damage_is_an_error_and_nothing_else(tmp_path: Path, *, compressed: bool) -> None:
    """Cut anywhere or with bytes changed, a file is read or refused with its name; SciPy crashes on some of these."""
    whole = saved(tmp_path, compressed=compressed, text="x", d_iner=np.arange(60.0).reshape(10, 6))
    rng = np.random.default_rng(0)
    damaged = [whole[:length] for length in range(0, len(whole), 7)]
    for _ in range(1500):
        changed = bytearray(whole)
        for place in rng.integers(100, len(whole), rng.integers(1, 5)):
            changed[place] = rng.integers(256)
        damaged.append(bytes(changed))
    refused = 0
    for data in damaged:
        try:
            read_mat(data, file="made.mat", most_bytes=MEBIBYTE)
        except DataError as error:
            refused += error.file == "made.mat"
    assert refused > 100


def test_a_shape_that_does_not_hold_the_numbers_is_refused(tmp_path: Path) -> None:
    """The header's shape is never believed against the numbers that are there."""
    whole = bytearray(saved(tmp_path, compressed=False, a=np.eye(3)))
    place = whole.index(struct.pack("<ii", 3, 3))
    whole[place : place + 8] = struct.pack("<ii", 2**31 - 1, 2**31 - 1)
    with pytest.raises(DataError, match="a has 9 numbers for shape"):
        read_mat(bytes(whole), file="made.mat", most_bytes=MEBIBYTE)


def test_a_compressed_element_without_a_matrix_is_refused() -> None:
    """A compressed part that holds something else is damage, not an empty file."""
    body = zlib.compress(struct.pack("<II", 9, 8) + b"\0" * 8)
    data = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(body)) + body
    with pytest.raises(DataError, match="a part is missing"):
        read_mat(data, file="made.mat", most_bytes=MEBIBYTE)


def test_numbers_keep_the_type_in_which_they_are_stored(tmp_path: Path) -> None:
    """A file of many whole numbers takes the memory of its bytes; converting is left to who chooses a variable."""
    data = saved(tmp_path, compressed=False, a=np.zeros((1000, 3), np.int8), b=np.zeros((1000, 3), np.int8))
    arrays = read_mat(data, file="made.mat", most_bytes=MEBIBYTE)
    assert {name: array.dtype.itemsize for name, array in arrays.items()} == {"a": 1, "b": 1}
    assert not any(array.flags.owndata for array in arrays.values())


@pytest.mark.parametrize("sign", [b"\0", b"\n", b"\x1b"])
def test_a_name_that_cannot_be_printed_is_refused(tmp_path: Path, sign: bytes) -> None:
    """Names go into answers and logs; MATLAB's are letters, digits and underscores."""
    whole = saved(tmp_path, compressed=False, d_iner=np.eye(3)).replace(b"d_iner", b"d_" + sign + b"ner")
    with pytest.raises(DataError, match="cannot be printed"):
        read_mat(whole, file="made.mat", most_bytes=MEBIBYTE)
