"""Large arrays that lie in a file and not in memory: what was looked at is given back, and read again when wanted."""

import math
import mmap
import os
import sys
import tempfile

import numpy as np

from pskd_core.shapes import FloatArray

MOST_IN_MEMORY = 1 << 26  # bytes of one array; UTD-MHAD's skeletons are 13 MB


def room(shape: tuple[int, ...]) -> FloatArray:
    """Zeros to be filled: in memory, or beyond 64 MiB in an unnamed temporary file (`TMPDIR` says where).

    Raises:
        OSError: the disk has no room for the file.
    """
    size = math.prod(shape) * np.dtype(np.float32).itemsize
    if size <= MOST_IN_MEMORY:
        return np.zeros(shape, np.float32)
    with tempfile.TemporaryFile(prefix="pskd-") as file:  # the mapping keeps it for as long as it is needed
        _reserve(file.fileno(), size)
        return np.memmap(file, np.float32, "w+", shape=shape)


def _reserve(file: int, size: int) -> None:
    """Take the blocks of a file now: to write to a mapping whose disk is full kills the process."""
    if sys.platform == "darwin":  # has no such call
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as full:
        detail = (
            f"{full.strerror}; prepared clips need {size >> 20} MiB there: free them, or name another folder in TMPDIR"
        )
        raise OSError(full.errno, detail, tempfile.gettempdir()) from full


def release(values: FloatArray) -> None:
    """Give the memory of a mapped array back; its values stay in the file, and views of it stay good."""
    base: object = values
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)
