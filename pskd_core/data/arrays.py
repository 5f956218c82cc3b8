"""Recordings in array files: NumPy's `.npy` and `.npz`, MATLAB's `.mat`. Nothing is ever unpickled."""

import math
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pskd_core.data.headers import Chosen, in_seconds, stated_columns
from pskd_core.data.mat import read_mat
from pskd_core.data.problems import finite_float32, listed, shortened
from pskd_core.data.series import Array, Format, Series
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
    try:
        shape = tuple(int(size) for size in said["shape"].split(b",") if size.strip())
        dtype = np.dtype(said["dtype"].decode())
    except (TypeError, ValueError) as unknown:
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
    name, chosen, series = _outlined(shapes, kind, stated, file)
    if (samples := shapes[name][0]) * 3 > _MOST_VALUES:
        detail = f"{samples} samples are more than the {_MOST_VALUES // 3} that are read at once; cut the recording up"
        raise DataError(detail, file=file)
    rows = _rows(load(name), chosen, file)
    return replace(series, values=rows[:, :3], time_s=None if chosen.time is None else in_seconds(rows[:, 3], ""))


def outlined_npy(
    path: Path,
    *,
    file: str | None,
    with_time: bool,
    stated: Sequence[str],
    piece_bytes: int,
    told: Callable[[float], None],
) -> tuple[Series, Callable[[], Iterator[Array]]] | None:
    """What an `.npy` says, without its samples, and those in pieces of so many bytes, again and again.

    `told` is called with the share of them that was read. The pieces are (m, 3), or (m, 4) with the time as the file
    has it. None: it is in Fortran's order, which keeps no row together.

    Raises:
        DataError: it is damaged, or holds no samples.
    """
    with path.open("rb") as opened:
        head = _npy_head(opened.read(_HEAD_BYTES), file)
    if head.in_columns:
        return None
    if path.stat().st_size < head.size_bytes:
        raise DataError(f"a damaged .npy file (it ends before its {head.size_bytes} bytes)", file=file)
    _, chosen, series = _outlined({"the array": head.shape}, "npy", stated, file)
    if not with_time:
        chosen, series = Chosen(chosen.axes), replace(series, time_column=None)

    def pieces() -> Iterator[Array]:
        samples, width = head.shape
        row_bytes = width * head.dtype.itemsize
        piece = max(piece_bytes // row_bytes, 1)
        with path.open("rb") as opened:
            opened.seek(head.start)
            for before in range(0, samples, piece):
                data = opened.read(min(piece, samples - before) * row_bytes)
                yield _rows(np.frombuffer(data, head.dtype).reshape(-1, width), chosen, file, before=before)
                told(min(before + piece, samples) / samples)

    return series, pieces


def _outlined(
    shapes: Mapping[str, _Shape], kind: Format, stated: Sequence[str], file: str | None
) -> tuple[str, Chosen, Series]:
    """Which array it is, its columns, and all else but its samples."""
    name = _chosen(shapes, file, any_width=bool(stated))
    width = shapes[name][1]
    chosen = stated_columns((), width, stated, file) if stated else Chosen((0, 1, 2))
    utd = name == "d_iner"
    guessed = width == 6 and not stated and not utd
    series = Series(
        values=np.empty((0, 3)),
        columns=tuple(f"{name} column {place + 1}" for place in chosen.axes),
        format=kind,
        unit="g" if utd else None,
        rate_hz=_UTD_RATE_HZ if utd else None,
        time_column=None if chosen.time is None or utd else f"{name} column {chosen.time + 1}",
        warnings=("six columns: the first three were taken as the accelerometer",) if guessed else (),
    )
    return name, chosen, series


def _rows(array: AnyArray, chosen: Chosen, file: str | None, *, before: int = 0) -> Array:
    """(m, 3) of samples, which float32 holds, or (m, 4) with the time; `before`: rows of the file before them."""
    numbers = tuple(f"{place + 1}" for place in chosen.axes)
    axes = finite_float32(array[:, chosen.axes], numbers, file=file, before=before).astype(np.float64)
    if chosen.time is None:
        return axes
    times = array[:, chosen.time].astype(np.float64)
    if not (finite := np.isfinite(times)).all():
        row = before + int(finite.argmin()) + 1
        raise DataError("a time is not a finite number", file=file, row=row, column=f"{chosen.time + 1}")
    return np.column_stack([axes, times])


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
