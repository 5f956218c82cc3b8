"""Made recordings in the forms that an upload may have."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from pskd_core.data.recordings import SensorRecording
from pskd_core.shapes import FloatArray

RATE_HZ = 50


def samples(n: int = 100) -> FloatArray:
    """A quiet movement around 1 g, with four decimals."""
    return np.random.default_rng(0).normal((0, 1, 0), 0.2, (n, 3)).round(4).astype(np.float32)


VALUES = samples()


def table(
    columns: dict[str, Any], *, delimiter: str = ",", header: bool = True, before: str = "", end: str = "\n"
) -> bytes:
    """A text table of columns (n,), which are written with `str` unless they are texts already."""
    rows = [delimiter.join(columns)] if header else []
    rows += [delimiter.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    return (before + end.join(rows) + end).encode()


def axes(values: FloatArray = VALUES, names: tuple[str, str, str] = ("x", "y", "z")) -> dict[str, list[str]]:
    return {name: [f"{value:.4f}" for value in column] for name, column in zip(names, values.T, strict=True)}


def times(scale: float = 1, start: float = 0, decimals: int = 3) -> list[str]:
    return [f"{start + scale * index / RATE_HZ:.{decimals}f}" for index in range(len(VALUES))]


def assert_read(recording: SensorRecording, *, rate_hz: float = RATE_HZ) -> None:
    assert recording.values_g == pytest.approx(VALUES, abs=1e-6)
    assert recording.rate_hz == pytest.approx(rate_hz, rel=1e-3)
    assert recording.duration_s == pytest.approx(100 / rate_hz, rel=1e-3)
    assert recording.gravity is True


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def mat(tmp_path: Path, **variables: Any) -> bytes:
    savemat(str(tmp_path / "made.mat"), variables, do_compression=True)
    return (tmp_path / "made.mat").read_bytes()
