"""Recordings in array files: NumPy's `.npy` and `.npz`, MATLAB's `.mat`. Nothing is ever unpickled."""

import math
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pskd_core.data.headers import Chosen, in_seconds, stated_columns
from pskd_core.data.mat import read_mat
from pskd_core.data.problems import finite_float32, listed, shortened
from pskd_core.data.series import Format, Series
from pskd_core.data.zips import UNREADABLE, opened_zip, read_member
from pskd_core.errors import DataError

_MOST_BYTES = 1 << 29  # 24 hours at 100 Hz are 200 MiB
_MOST_ARRAYS = 10_000  # in an `.npz`
_HEAD_BYTES = 1 << 16  # of an `.npy`, whose description takes less than two hundred
_MOST_VALUES = 30_000_000  # of which 24 hours at 100 Hz are 26 million; whole bytes would grow eightfold as float64
_NAMES = ("d_iner", "accelerometer", "acc")
_UTD_RATE_HZ = 50.0
_WIDEST = 1000  # columns of an array of which the caller names three

# https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1 to 3
_NPY_HEAD = re.compile(rb"\x93NUMPY(?:\x01.(..)|[\x02\x03].(....))", re.DOTALL)
_NPY_SHAPE = re.compile(
    rb"\{'descr': *'(?P<dtype>[<>=|]?[fiu]\d)', *'fortran_order': *(?P<fortran>True|False), *"
    rb"'shape': *\((?P<shape>[\d, ]{0,99})\),? *\}\s*"
)

AnyArray = npt.NDArray[Any]
_Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _NpyHead:
    """What an `.npy` says of the numbers that follow."""

    dtype: np.dtype[Any]
    in_columns: bool  # Fortran's order
    shape: _Shape
    start: int  # of the numbers

    @property
    def size_bytes(self) -> int:
        """Of the whole file."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize


def read_npy(data: bytes, *, file: str | None, stated: Sequence[str]) -> Series:
    """One array of samples; `stated` columns are numbers, from 1."""
    arrays = {"the array": parse_npy(data, file)}
    return _series(_shapes(arrays), arrays.__getitem__, "npy", stated, file)


def read_npz(data: bytes, *, file: str | None, stated: Sequence[str]) -> Series:
    """The array `accelerometer` or `acc`, or the only one of fitting shape; the others are not inflated."""
    try:
        with opened_zip(data, most_members=_MOST_ARRAYS, file=file) as (archive, members):
            held = {member.filename.removesuffix(".npy"): member for member in filter(is_array, members)}
            heads = {name: _npy_head(read_member(archive, each, _HEAD_BYTES), file) for name, each in held.items()}

            def load(name: str) -> AnyArray:
                return _member(archive, held[name], heads[name], file)

            return _series({name: head.shape for name, head in heads.items()}, load, "npz", stated, file)
    except UNREADABLE as broken:
        raise DataError(f"a damaged .npz file ({broken})", file=file) from broken


def parse_npz(data: bytes, file: str | None) -> dict[str, AnyArray]:
    """All arrays by name.

    Raises:
        DataError: it is damaged, holds anything but plain numbers, or inflates to far more than a recording.
    """
    arrays: dict[str, AnyArray] = {}
    left = _MOST_BYTES
    try:
        with opened_zip(data, most_members=_MOST_ARRAYS, file=file) as (archive, members):
            for member in filter(is_array, members):
                head = _npy_head(read_member(archive, member, _HEAD_BYTES), file)
                left -= head.size_bytes
                if left < 0:
                    raise DataError(_too_much(member.filename), file=file)
                arrays[member.filename.removesuffix(".npy")] = _member(archive, member, head, file)
    except UNREADABLE as broken:
        raise DataError(f"a damaged .npz file ({broken})", file=file) from broken
    return arrays


def read_mat_recording(data: bytes, *, file: str | None, stated: Sequence[str]) -> Series:
    """UTD-MHAD's `d_iner`, or the only array of fitting shape."""
    arrays = read_mat(data, file=file or "the .mat file", most_bytes=_MOST_BYTES)
    return _series(_shapes(arrays), arrays.__getitem__, "mat", stated, file)


def is_array(member: zipfile.ZipInfo) -> bool:
    """Whether a zip's member is one of the arrays of an `.npz`."""
    return member.filename.endswith(".npy")


def parse_npy(data: bytes, file: str | None) -> AnyArray:
    """A view of the bytes: nothing is evaluated, copied or allocated on the word of the header."""
    head = _npy_head(data, file)
    try:
        values = np.frombuffer(data, head.dtype, math.prod(head.shape), head.start)
        return values.reshape(head.shape, order="F" if head.in_columns else "C")
    except (ValueError, TypeError, OverflowError) as broken:
        raise DataError(f"a damaged .npy file ({broken})", file=file) from broken


def _npy_head(data: bytes, file: str | None) -> _NpyHead:
    """From the first `_HEAD_BYTES` at least."""
    head = _NPY_HEAD.match(data)
    length = int.from_bytes(head[1] or head[2], "little") if head else 0
    said = _NPY_SHAPE.fullmatch(data[head.end() : head.end() + length]) if head else None
    if head is None or said is None:
        detail = "not one plain array of numbers, or damaged; pickled objects are never loaded"
        raise DataError(detail, file=file)
    shape = tuple(int(size) for size in said["shape"].split(b",") if size.strip())
    try:
        dtype = np.dtype(said["dtype"].decode())
    except TypeError as unknown:
        raise DataError(f"a damaged .npy file ({unknown})", file=file) from unknown
    return _NpyHead(dtype, said["fortran"] == b"True", shape, head.end() + length)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, head: _NpyHead, file: str | None) -> AnyArray:
    """One array, inflated to no more than its head says."""
    if head.size_bytes > _MOST_BYTES:
        raise DataError(_too_much(member.filename), file=file)
    return parse_npy(read_member(archive, member, head.size_bytes), file)


def _too_much(name: str) -> str:
    return f"{shortened(name)} inflates to more than the {_MOST_BYTES} bytes that are read at once; cut it up"


def _shapes(arrays: Mapping[str, AnyArray]) -> dict[str, _Shape]:
    return {name: array.shape for name, array in arrays.items()}


def _series(
    shapes: Mapping[str, _Shape],
    load: Callable[[str], AnyArray],
    kind: Format,
    stated: Sequence[str],
    file: str | None,
) -> Series:
    name = _chosen(shapes, file, any_width=bool(stated))
    samples, width = shapes[name]
    chosen = stated_columns((), width, stated, file) if stated else Chosen((0, 1, 2))
    if samples * 3 > _MOST_VALUES:
        detail = f"{samples} samples are more than the {_MOST_VALUES // 3} that are read at once; cut the recording up"
        raise DataError(detail, file=file)
    array = load(name)
    numbers = tuple(f"{place + 1}" for place in chosen.axes)
    axes = finite_float32(array[:, chosen.axes], numbers, file=file).astype(np.float64)
    columns = tuple(f"{name} column {number}" for number in numbers)
    time_s = None
    if chosen.time is not None:
        times = array[:, chosen.time].astype(np.float64)
        if not (finite := np.isfinite(times)).all():
            row = int(finite.argmin()) + 1
            raise DataError("a time is not a finite number", file=file, row=row, column=f"{chosen.time + 1}")
        time_s = in_seconds(times, "")
    if name == "d_iner":
        return Series(axes, columns, kind, unit="g", rate_hz=_UTD_RATE_HZ, time_s=time_s)
    guessed = width == 6 and not stated
    six = ("six columns: the first three were taken as the accelerometer",) if guessed else ()
    time_column = None if chosen.time is None else f"{name} column {chosen.time + 1}"
    return Series(axes, columns, kind, time_s=time_s, time_column=time_column, warnings=six)


def _chosen(shapes: Mapping[str, _Shape], file: str | None, *, any_width: bool) -> str:
    widths = range(3, _WIDEST) if any_width else (3, 6)
    fitting = [name for name, shape in shapes.items() if len(shape) == 2 and shape[1] in widths]
    if known := [name for name in _NAMES if name in fitting]:
        return known[0]
    if len(fitting) == 1:
        return fitting[0]
    held = listed([f"{name} {shape}" for name, shape in shapes.items()]) or "nothing numeric"
    remedy = "store one array of shape (samples, 3), or call it `accelerometer`; for others state the columns"
    raise DataError(
        f"{len(fitting)} arrays of shape (samples, 3) or (samples, 6); it holds {held}; {remedy}", file=file
    )
