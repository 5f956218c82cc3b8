"""What the events of a job say about its progress."""

import io
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from client.answers import Event
from client.watch import Bars, Lines, RunProgress, label_of


def event(kind: str, **data: Any) -> Event:
    return Event(seq=1, kind=kind, at=datetime.now(UTC), data={"seed": 3, "fold": "all", **data})


def epoch(number: int, metrics: dict[str, float], *, phase: str = "student") -> Event:
    return event("run.epoch", epoch=number, epochs=20, phase=phase, metrics=metrics)


def test_losses_of_all_networks_stay_in_sight() -> None:
    """Teachers and student report in turns; the latest total of each is shown."""
    run = RunProgress("run", "job · seed 3")
    run.take(event("run.state", state="running"))
    run.take(epoch(0, {"skeleton/total": 1.5, "skeleton/ce": 1.4}, phase="teachers"))
    run.take(epoch(1, {"student/total": 0.25, "validation/accuracy": 0.5}))
    assert (run.done, run.total) == (2, 20)
    assert run.note == "skeleton 1.50  student 0.25  validation 50 %"


def test_unusual_state_is_shown() -> None:
    """A run that waits for another worker says so in front of its losses."""
    run = RunProgress("run", "job · seed 3")
    run.take(epoch(0, {"student/total": 1.0}))
    run.take(event("run.state", state="retrying"))
    assert run.note == "retrying  student 1.00"


def test_log_gets_one_line_each_tenth() -> None:
    """Twenty epochs give ten lines, and an epoch told again gives none."""
    sink = io.StringIO()
    lines, run = Lines(Console(file=sink, width=100)), RunProgress("run", "job · seed 3")
    for number in [*range(10), 8, 9, *range(10, 20)]:
        run.take(epoch(number, {}))
        lines.show(run)
    told = sink.getvalue().splitlines()
    assert len(told) == 10
    assert "epoch 20/20" in told[-1]


def test_terminal_gets_one_bar_a_run() -> None:
    """Each run has a bar of its own with its losses, and what is said appears beside them."""
    sink = io.StringIO()
    with Bars(Console(file=sink, force_terminal=True, width=120, highlight=False)) as bars:
        for seed in (0, 1):
            run = RunProgress(f"run{seed}", f"job · seed {seed}")
            run.take(epoch(4, {"student/total": 0.5}))
            bars.show(run)
        bars.say("job [1] succeeded")
    last = sink.getvalue().splitlines()[-3:]
    assert sum("5/20" in line and "student 0.50" in line for line in last) == 2
    assert "job [1] succeeded" in sink.getvalue()


def test_fold_is_named_where_there_are_several() -> None:
    """A run is called by its seed, and by its fold unless that is the only one."""
    assert label_of("job", event("run.state")) == "job · seed 3"
    assert label_of("job", event("run.state", fold="loso:2")) == "job · seed 3 · loso:2"
