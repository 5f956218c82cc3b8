"""What the log says of a run's start."""

import logging

import pytest

from worker.start import Start


def test_the_parts_of_a_start_add_up(caplog: pytest.LogCaptureFixture) -> None:
    """One line names every part in order, one that was timed elsewhere too, and together they are the whole."""
    with caplog.at_level(logging.INFO, "worker.start"):
        start = Start()
        start.passed("dataset")
        start.passed("clips", seconds=0.0)
        start.passed("networks")
        start.tell()
    (line,) = caplog.records
    figures = vars(line)
    parts = [figures[f"{part}_s"] for part in ("dataset", "clips", "networks")]
    assert line.getMessage().startswith("first step 0.0")
    assert [word for word in line.getMessage().split() if word in {"dataset", "clips", "networks"}] == [
        "dataset", "clips", "networks",
    ]  # fmt: skip
    assert all(seconds >= 0 for seconds in parts)
    assert figures["processor_s"] > 0
    assert sum(parts) == pytest.approx(figures["whole_s"], abs=0.001)
