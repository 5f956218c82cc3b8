"""A classified recording on paper."""

import io
from pathlib import Path

from rich.console import Console

from client.answers import Classification
from client.classifications import LongOverview
from client.timeline import SegmentTable, print_overview, print_timeline

ANSWER = Classification.model_validate(
    {
        "label": "walk",
        "probabilities": {"walk": 0.75, "jog": 0.25},
        "windows": [],
        "segments": [
            {"start_s": 0.0, "end_s": 6.0, "label": "walk", "probability": 0.9},
            {"start_s": 6.0, "end_s": 8.0, "label": "jog", "probability": 0.6},
        ],
        "model": {
            "name": "wrist", "version": 3, "dataset": "utd-mhad", "protocol": {}, "seed": 1, "fold": "all",
            "test": {"accuracy": 0.9, "macro_f1": 0.88, "n": 430},
        },
        "input": {
            "samples": 400, "duration_s": 8.0, "rate_hz": 50.0, "rate_found": "timestamps", "unit": "g",
            "columns": ["x", "y", "z"], "gravity": True, "gaps": [], "repairs": [],
        },
        "warnings": ["the recording [bold]lasts[/] long"],
    }
)  # fmt: skip


def printed(*, terminal: bool, colour: bool = True) -> str:
    sink = io.StringIO()
    console = Console(file=sink, force_terminal=terminal, no_color=not colour, width=100, highlight=False)
    print_timeline(console, "walk.csv", ANSWER)
    return sink.getvalue()


def test_plain_timeline_says_everything() -> None:
    """A log shows label, segments, probabilities, what was understood, the model with its figures, and doubts as is."""
    assert printed(terminal=False).splitlines() == [
        "walk.csv  →  walk  75.0 %",
        "  0.0 – 6.0 s  walk  90.0 %",
        "  6.0 – 8.0 s  jog   60.0 %",
        "  most likely:",
        "    walk   75.0 %  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇",
        "    jog    25.0 %  ▇▇▇▇▇",
        "  read as 400 samples in g at 50.0 Hz (timestamps), 8.0 s, with gravity",
        "  by wrist version 3, trained on utd-mhad (seed 1): test accuracy 90.0 % (N 430)",
        "  warning: the recording [bold]lasts[/] long",
    ]


def test_strip_is_to_scale() -> None:
    """On a terminal the strip gives each label its share of the recording."""
    strip = printed(terminal=True).splitlines()[1]
    assert strip.count("█") == 60
    assert "█" * 45 in strip
    assert "█" * 46 not in strip
    assert "█" not in printed(terminal=True, colour=False)  # it tells labels apart by colour alone


def test_segments_as_a_table() -> None:
    """Several files make one table under one line of names; what is unknown is empty, and no cell is a formula."""
    sink = io.StringIO()
    table = SegmentTable(sink)
    for name in ("walk.csv", "=1+1.csv"):
        table(Path(name), ANSWER)
    assert sink.getvalue().splitlines() == [
        "file,start_s,end_s,label,probability,confidence,novelty",
        "walk.csv,0.0,6.0,walk,0.9,,",
        "walk.csv,6.0,8.0,jog,0.6,,",
        "'=1+1.csv,0.0,6.0,walk,0.9,,",
        "'=1+1.csv,6.0,8.0,jog,0.6,,",
    ]


def test_confidence_stands_beside_the_label() -> None:
    """A calibrated model's confidence is told in the first line."""
    sink = io.StringIO()
    sure = ANSWER.model_copy(update={"label": "unknown", "confidence": 0.42})
    print_timeline(Console(file=sink, width=100), "walk.csv", sure)
    assert sink.getvalue().splitlines()[0] == "walk.csv  →  unknown  75.0 %, confidence 42.0 %"


def test_a_long_recording_is_told_in_shares_of_its_time() -> None:
    """In the place of segments, of which a day has thousands, stand how many there are and the time of each label."""
    whole = ANSWER.model_dump() | {"windows": 900, "segments": 41, "shares": {"walk": 0.75, "unknown": 0.25}}
    sink = io.StringIO()
    console = Console(file=sink, width=100, highlight=False)
    print_overview(console, "day.csv", LongOverview.model_validate(whole))
    assert sink.getvalue().splitlines() == [
        "day.csv  →  walk  75.0 %",
        "    walk      75.0 %  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇",
        "    unknown   25.0 %  ▇▇▇▇▇",
        "  41 segments of 900 windows; --csv has each segment",
        "  read as 400 samples in g at 50.0 Hz (timestamps), 8.0 s, with gravity",
        "  by wrist version 3, trained on utd-mhad (seed 1): test accuracy 90.0 % (N 430)",
        "  warning: the recording [bold]lasts[/] long",
    ]
