"""Samples from standard input: lines and float32, however they are cut into chunks, and what is no sample."""

from collections.abc import Iterator

import numpy as np
import pytest

from client.live_command import NoSamples, line_samples, raw_samples

LINES = b"t,x,y,z\n0.00,0.1,0.2,0.3\r\n\n0.02, 0.4, 0.5, 0.6\n0.04,-1,1e-3,.5"
ROWS = [[0.00, 0.1, 0.2, 0.3], [0.02, 0.4, 0.5, 0.6], [0.04, -1, 0.001, 0.5]]


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_are_samples_however_they_come(size: int) -> None:
    """Titles, empty lines, blanks and a missing last line end change nothing, nor does where a chunk ends."""
    np.testing.assert_array_equal(np.concatenate(list(line_samples(cut(LINES, size)))), ROWS)


def test_a_line_is_a_sample_as_soon_as_it_has_ended() -> None:
    """Nothing waits for a chunk to fill: who reads a sensor's lines gets each at once."""
    reading = line_samples(iter([b"1,2,3\n4,5", b",6\n"]))
    assert next(reading).tolist() == [[1, 2, 3]]
    assert next(reading).tolist() == [[4, 5, 6]]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"0,0,1\n0,oops,1\n", "line 2 of standard input, '0,oops,1', is no sample"),
        (b"x,y,z\nx,y,z\n", "line 2 "),
        (b"0,0,1\n0,0,nan\n", "line 2 "),
        (b"0,1\n", "line 1 "),
        (b"0,0,1\n\n0,0,0,1\n", "line 3 of standard input has 4 numbers where those before have 3"),
        (b"0,0,1\n" + b"7" * 2000, "line 2 of standard input does not end"),
        (b"\xff\xfe0,0,1\n", "line 1 "),
    ],
)
def test_what_is_no_sample_is_named_by_its_line(data: bytes, told: str) -> None:
    """The line's number, what stands in it and what belongs there are told."""
    with pytest.raises(NoSamples, match=told) as refused:
        list(line_samples(iter([data])))
    assert "t,x,y,z" in refused.value.remedy


@pytest.mark.parametrize("size", [1, 12, 17, 1000])
def test_float32_is_samples_however_it_comes(size: int) -> None:
    """A chunk may end within a number; the next one goes on there."""
    values = np.random.default_rng(0).standard_normal((20, 3)).astype("<f4")
    np.testing.assert_array_equal(np.concatenate(list(raw_samples(cut(values.tobytes(), size)))), values)


def test_float32_that_ends_within_a_sample_is_told() -> None:
    """What is left over at the end is no sample, and is not taken for one."""
    with pytest.raises(NoSamples, match="4 bytes into a sample of 12"):
        list(raw_samples(iter([b"\0" * 16])))
