"""Numbers that do not fit into memory: rows in files without a name, and what is asked of all of them."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt

from pskd_core.data.series import Array

_BIN_BITS = 20  # of the histogram that finds a median
_SORTED = 1 << 17  # numbers that it sorts at last


class Rows:
    """Rows of numbers on disk, written once and read in blocks."""

    def __init__(self, folder: Path, width: int, dtype: npt.DTypeLike, *, block_rows: int) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed by who made it
        self._dtype, self._width = np.dtype(dtype), width
        self.block_rows, self.count = block_rows, 0

    def close(self) -> None:
        """Give the disk back, but for what is mapped."""
        self._file.close()

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write some more."""
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self.count += len(rows)

    def blocks(self, start: int = 0) -> Iterator[npt.NDArray[Any]]:
        """All rows from `start` on."""
        self._file.flush()
        row_bytes = self._width * self._dtype.itemsize
        for first in range(start, self.count, self.block_rows):
            count = min(self.block_rows, self.count - first)
            data = os.pread(self._file.fileno(), count * row_bytes, first * row_bytes)
            yield np.frombuffer(data, self._dtype).reshape(count, self._width)

    def mapped(self) -> npt.NDArray[Any]:
        """All rows as one array, which the disk keeps as long as it lives."""
        self._file.flush()
        return np.memmap(self._file, self._dtype, "r", shape=(self.count, self._width))


def median(blocks: Callable[[], Iterable[Array]]) -> float:
    """The exact median of numbers that are not negative, of which there is one at least.

    Their bits, read as integers, sort as they do. So histograms of them, each of the bin of the last that holds the
    median, come near until what is left can be sorted.
    """
    low, size, below, rank, total = 0, 1 << 63, 0, 0, 0
    while True:
        shift = max(size.bit_length() - 1 - _BIN_BITS, 0)
        counts = np.zeros(1 << _BIN_BITS, np.int64)
        for block in blocks():
            bits = _bits(block)
            inside = bits[(bits >= low) & (bits <= low + size - 1)]
            counts += np.bincount((inside - low) >> shift, minlength=len(counts))
        if not total:
            total = int(counts.sum())
            rank = (total - 1) // 2
        reached = below + counts.cumsum()
        chosen = int(np.searchsorted(reached, rank, side="right"))
        below, low, size = int(reached[chosen] - counts[chosen]), low + (chosen << shift), 1 << shift
        if size == 1 or counts[chosen] <= _SORTED:
            break
    return _middle(blocks, low, size, rank - below, even=total % 2 == 0)


def _middle(blocks: Callable[[], Iterable[Array]], low: int, size: int, rank: int, *, even: bool) -> float:
    """The mean of the numbers of this rank, and of the next if there is an even number of all, in a range of bits."""
    kept, equal, above = [np.empty(0, np.int64)], 0, np.iinfo(np.int64).max
    for block in blocks():
        bits = _bits(block)
        inside = bits[(bits >= low) & (bits <= low + size - 1)]
        if size == 1:
            equal += len(inside)
        else:
            kept.append(inside)
        above = min(above, int(bits[bits > low + size - 1].min(initial=above)))
    ordered = np.sort(np.concatenate(kept))
    first = low if size == 1 else int(ordered[rank])
    if not even:
        second = first
    elif size == 1:
        second = low if rank + 1 < equal else above
    else:
        second = int(ordered[rank + 1]) if rank + 1 < len(ordered) else above
    return float(np.array([first, second], np.int64).view(np.float64).mean())


def _bits(values: Array) -> npt.NDArray[np.int64]:
    """Of -0 those of 0."""
    return (np.ascontiguousarray(values, np.float64) + 0.0).view(np.int64)
