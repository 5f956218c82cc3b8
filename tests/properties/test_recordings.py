"""The recording reader over all values and all ways to write them."""

import io
from collections.abc import Callable
from itertools import accumulate
from random import Random
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pskd_core.data.recordings import read_recording
from pskd_core.data.series import evenly
from pskd_core.errors import DataError
from pskd_core.shapes import FloatArray

NUMBERS = st.floats(-16, 16, allow_nan=False, width=32)
SAMPLES = arrays(np.float32, st.tuples(st.integers(16, 40), st.just(3)), elements=NUMBERS)


@given(
    values=SAMPLES,
    order=st.permutations(["x", "y", "z", "time"]),
    delimiter=st.sampled_from([",", ";", "\t", " "]),
    end=st.sampled_from(["\n", "\r\n", "\n\n"]),
    style=st.sampled_from([str.lower, str.upper]),
    scale=st.sampled_from([1.0, 1e3, 1e6, 1e9]),
    comma=st.booleans(),
)
def test_every_table_of_the_same_samples_reads_the_same(
    values: FloatArray,
    order: list[str],
    delimiter: str,
    end: str,
    style: Callable[[str], str],
    scale: float,
    comma: bool,
) -> None:
    """Column order, delimiter, line end, case, time unit and decimal sign never change a value."""
    assume(values[0].any())  # a first sample of zeros is left out
    columns = {"time": np.arange(len(values)) * (scale / 50), **dict(zip("xyz", values.T, strict=True))}
    rows = [delimiter.join(map(style, order))]
    rows += [delimiter.join(repr(float(columns[name][index])) for name in order) for index in range(len(values))]
    text = end.join(rows)
    if comma and delimiter in ";\t":
        text = text.replace(".", ",")
    recording = read_recording(text.encode(), unit="g")
    assert np.array_equal(recording.values_g, values)
    assert recording.rate_hz == pytest.approx(50)


@given(values=SAMPLES, version=st.sampled_from([(1, 0), (2, 0), (3, 0)]), order=st.sampled_from(["C", "F"]))
def test_every_npy_version_reads_the_same(
    values: FloatArray, version: tuple[int, int], order: Literal["C", "F"]
) -> None:
    """What NumPy writes in any version of its format comes back bit by bit."""
    assume(values[0].any())  # a first sample of zeros is left out
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(values, order=order), version=version)
    assert np.array_equal(read_recording(stream.getvalue(), rate_hz=50, unit="g").values_g, values)


@given(
    array=arrays(st.sampled_from([np.dtype(name) for name in ("f8", "i2", "c8", "?", "U3")]), array_shapes(max_dims=4))
)
def test_any_small_array_is_refused_as_data(array: npt.NDArray[Any]) -> None:
    """Whatever shape and type (all too short to classify), the answer is an error of the data."""
    stream = io.BytesIO()
    np.save(stream, array)
    with pytest.raises(DataError):
        read_recording(stream.getvalue())


@given(data=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_arbitrary_bytes_are_refused_as_data(data: bytes) -> None:
    """Nothing that is no recording raises anything but an error of the data."""
    with pytest.raises(DataError):
        read_recording(data)


@given(steps=st.lists(st.floats(0.001, 3), min_size=16, max_size=60), order=st.randoms(use_true_random=False))
def test_an_even_grid_spans_the_samples(steps: list[float], order: Random) -> None:
    """Any times, in any order, give a grid over the same span on which a straight line stays straight, or an error."""
    clock = list(accumulate(steps))
    order.shuffle(clock)
    time_s = np.array(clock)
    try:
        even = evenly(np.stack([time_s, -time_s, 0 * time_s], axis=1), time_s, file=None)
    except DataError:
        return
    grid_s = time_s.min() + np.arange(len(even.values)) / even.rate_hz
    assert grid_s[-1] == pytest.approx(time_s.max(), abs=0.6 / even.rate_hz)
    assert even.values[:, 0] == pytest.approx(np.minimum(grid_s, time_s.max()), abs=0.1 / even.rate_hz)
