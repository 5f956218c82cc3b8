"""Large arrays that lie in a file and not in memory: what was looked at is given back, and read again when wanted."""

import math
import mmap
import tempfile

import numpy as np

from pskd_core.shapes import FloatArray

MOST_IN_MEMORY = 1 << 26  # bytes of one array; UTD-MHAD's skeletons are 13 MB


def room(shape: tuple[int, ...]) -> FloatArray:
    """Zeros to be filled: in memory, or beyond 64 MiB in an unnamed temporary file (`TMPDIR` says where)."""
    if math.prod(shape) * np.dtype(np.float32).itemsize <= MOST_IN_MEMORY:
        return np.zeros(shape, np.float32)
    with tempfile.TemporaryFile(prefix="pskd-") as file:  # the mapping keeps it for as long as it is needed
        return np.memmap(file, np.float32, "w+", shape=shape)


def release(values: FloatArray) -> None:
    """Give the memory of a mapped array back; its values stay in the file, and views of it stay good."""
    base: object = values
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)
