"""Named, separate random streams: what one part of a run draws never shifts what another part draws."""

import hashlib

import numpy as np


def generator(seed: int, name: str, *parts: int | str) -> np.random.Generator:
    """A generator that depends on its arguments alone, such as `generator(seed, "view", epoch, recording_id)`.

    Counter-based Philox keyed by a hash: streams of different names are independent, and making one costs 10 µs,
    so every sample of every epoch can have its own.
    """
    key = np.frombuffer(_digest(seed, name, *parts), "<u8")
    return np.random.Generator(np.random.Philox(key=key))


def torch_seed(seed: int, name: str, *parts: int | str) -> int:
    """A seed for `torch.Generator.manual_seed`, in [0, 2⁶³)."""
    return int.from_bytes(_digest(seed, name, *parts)[:8], "little") >> 1


def _digest(*parts: int | str) -> bytes:
    # str() makes 3 and numpy's 3 the same part; the separator keeps ("a", "b") apart from ("ab",).
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).digest()
