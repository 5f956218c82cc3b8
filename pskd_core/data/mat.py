"""Numeric arrays out of MATLAB files of version 5 (`save -v7`, `save -v6`), with bounded memory.

`scipy.io.loadmat` reads more kinds, but a file with a few changed bytes can end its whole process with a segmentation
fault, and such files arrive by upload. Layout: "MAT-File Format", The MathWorks, "Level 5 MAT-Files".
"""

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pskd_core.data.problems import shortened
from pskd_core.data.zips import MOST_RATIO, inflates_beyond_measure
from pskd_core.errors import DataError

_HEADER_BYTES = 128
_TAG_BYTES = 8  # before each element: its type and size
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC_CLASSES = range(6, 16)  # mxDOUBLE_CLASS … mxUINT64_CLASS
_COMPLEX_OR_LOGICAL = 0x0800 | 0x0200
# Numeric data types of the format; classes say what an array is, these say how its numbers are stored.
_DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}

ByteOrder = Literal["<", ">"]
Array = npt.NDArray[Any]  # of the numbers as they are stored: a view, eight times smaller than float64 at best


def read_mat(data: bytes, *, file: str, most_bytes: int) -> dict[str, Array]:
    """The real numeric arrays of a `.mat` file by variable name, in MATLAB's shapes; other variables are left out.

    They are views of the file's bytes, in the types that it stores: converting them is left to who chooses one.

    Args:
        data: the file.
        file: its name, for messages.
        most_bytes: what its variables may inflate to, together.

    Raises:
        DataError: the file is damaged, of another version, or inflates to more than `most_bytes`.
    """
    order = _byte_order(data, file)
    arrays: dict[str, Array] = {}
    left = most_bytes
    try:
        for kind, body in _elements(memoryview(data)[_HEADER_BYTES:], order):
            size = _inflated_bytes(body, order) if kind == _COMPRESSED else len(body)
            left -= size
            if left < 0:
                raise DataError(f"inflates to more than {most_bytes} bytes", file=file)
            if inflates_beyond_measure(size, len(body)):
                detail = (
                    f"a variable of {len(body)} bytes would inflate to {size}, more than {MOST_RATIO} times as many"
                )
                raise DataError(f"{detail}; save the recording alone", file=file)
            matrix = _inflate(body, size) if kind == _COMPRESSED else body
            if kind in (_MATRIX, _COMPRESSED):
                arrays.update(_matrix(matrix, order))
    except (ValueError, StopIteration, struct.error, zlib.error) as broken:
        cause = str(broken) or "a part is missing"
        raise DataError(f"damaged ({cause}); copy or download it again", file=file) from broken
    return arrays


def _byte_order(data: bytes, file: str) -> ByteOrder:
    if data.startswith((b"\x89HDF", b"MATLAB 7.3")):
        raise DataError("a MATLAB 7.3 (HDF5) file; save it again with `save(…, '-v7')`", file=file)
    match data[126:128]:
        case b"IM":
            return "<"
        case b"MI":
            return ">"
        case _:
            raise DataError("not a MATLAB file of version 5; save it again with `save(…, '-v7')`", file=file)


def _elements(data: memoryview, order: ByteOrder) -> Iterator[tuple[int, memoryview]]:
    """(type, body) of the elements that lie one after another."""
    position = 0
    while position < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, position)
        if kind >> 16:  # small form: type and size share one word, up to four bytes follow
            kind, size, start, step = kind & 0xFFFF, kind >> 16, position + 4, 8
        else:
            # Elements are padded to eight bytes, except compressed ones.
            start, step = position + 8, 8 + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        body = data[start : start + size]
        if len(body) < size:
            raise ValueError(f"{size} bytes announced, {len(body)} left")
        yield kind, body
        position += step


def _inflated_bytes(body: memoryview, order: ByteOrder) -> int:
    """What the one matrix within a compressed element says that it takes: no more of it is ever inflated."""
    kind, size = struct.unpack(f"{order}II", zlib.decompressobj().decompress(body, _TAG_BYTES))
    if kind != _MATRIX:
        raise ValueError("a part is missing")
    return int(size)


def _inflate(body: memoryview, size: int) -> memoryview:
    """The one matrix within a compressed element."""
    inflater = zlib.decompressobj()
    data = inflater.decompress(body, _TAG_BYTES + size)
    rest = inflater.decompress(inflater.unconsumed_tail, _TAG_BYTES)  # padding at most
    if len(data) < _TAG_BYTES + size or not inflater.eof or len(rest) >= _TAG_BYTES:
        raise ValueError("a compressed variable holds more or less than it says")
    return memoryview(data)[_TAG_BYTES:]


def _matrix(body: memoryview, order: ByteOrder) -> dict[str, Array]:
    """{name: array} of a real numeric array; nothing for any other kind of variable."""
    parts = _elements(body, order)
    flags = struct.unpack_from(f"{order}I", next(parts)[1])[0]
    if flags & 0xFF not in _NUMERIC_CLASSES or flags & _COMPLEX_OR_LOGICAL:
        return {}
    shape = np.frombuffer(next(parts)[1], f"{order}i4").tolist()
    name = bytes(next(parts)[1]).decode("ascii")
    if not name.isprintable():
        raise ValueError("the name of a variable cannot be printed")
    kind, numbers = next(parts, (9, memoryview(b"")))
    if kind not in _DTYPES:
        raise ValueError(f"{shortened(name)} stores numbers as type {kind}")
    values = np.frombuffer(numbers, f"{order}{_DTYPES[kind]}")
    if len(shape) < 2 or min(shape) < 0 or math.prod(shape) != len(values):
        raise ValueError(f"{shortened(name)} has {len(values)} numbers for shape {shape[:8]}")
    return {name: values.reshape(shape, order="F")}
