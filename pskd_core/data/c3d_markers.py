"""Optical markers from a `.c3d` file, the binary form of motion capture (https://www.c3d.org)."""

import io
import struct
import warnings
from typing import Any

import numpy as np

from pskd_core.data.series import Array
from pskd_core.errors import DataError

# All that the library raises on files that are cut short or hold something else.
_UNREADABLE = (
    AssertionError, ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError, struct.error,
)  # fmt: skip
_METRES = {"": 0.001, "mm": 0.001, "cm": 0.01, "m": 1.0}  # a file that names no unit is taken as in mm


def read_c3d(data: bytes, *, markers: int, file: str) -> tuple[Array, float]:
    """Positions and frame rate; the file has no clock.

    Args:
        data: the file.
        markers: V, how many there must be.
        file: its name, for messages.

    Returns:
        (F, V, 3) in metres, exactly 0 0 0 where a marker was not seen, and frames a second.

    Raises:
        DataError: the library is not installed, or the file is damaged, cut short or of other markers.
    """
    try:
        from c3d import Reader  # noqa: PLC0415 (an optional dependency)
    except ImportError as missing:
        detail = (
            ".c3d needs the package c3d: `pip install 'pskd[c3d]'`, or put the dataset's moc_….txt files beside the "
            "others"
        )
        raise DataError(detail, file=file) from missing
    try:
        # The library warns of what is usual (no analog data) and of what is looked for below (fewer frames than said).
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(Reader(io.BytesIO(data)), markers, file)
    except _UNREADABLE as broken:
        raise DataError(f"a damaged .c3d file ({broken}); copy or download it again", file=file) from broken


def _read(reader: Any, markers: int, file: str) -> tuple[Array, float]:
    if reader.point_used != markers:
        raise DataError(f"{reader.point_used} markers; {markers} were expected", file=file)
    rate_hz = float(reader.point_rate)
    if not (np.isfinite(rate_hz) and rate_hz > 0):
        raise DataError(f"a frame rate of {rate_hz} Hz", file=file)
    units = reader.get("POINT:UNITS")
    unit = units.string_value.strip("\0 ").lower() if units is not None else ""
    if unit not in _METRES:
        raise DataError(f"positions in {unit[:20]!r}; mm, cm or m were expected", file=file)
    # Frame by frame until the data end: however many a header claims, no more is held than the file has.
    # A marker that was not seen has the residual -1, and as its place whatever the recorder had left there.
    frames = [np.where(points[:, 3:4] < 0, 0, points[:, :3]) for _, points, _ in reader.read_frames(copy=False)]
    if len(frames) != reader.frame_count:
        detail = (
            f"it says that it holds {reader.frame_count} frames, and holds {len(frames)}; copy or download it again"
        )
        raise DataError(detail, file=file)
    return np.array(frames, np.float64).reshape(-1, markers, 3) * _METRES[unit], rate_hz
