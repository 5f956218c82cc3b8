"""A classified recording as a reader sees it: what it shows, when, and how sure the model is."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from client.answers import Classification, Overview, Segment, Served
from client.classifications import LongOverview
from client.output import aligned, per_cent

_STRIP_WIDTH = 60
_BAR_WIDTH = 20
_MOST_SEGMENTS = 40
_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red", "bright_cyan", "bright_magenta", "bright_yellow")


class SegmentTable:
    """Segments of any number of files as CSV; the names of the columns come before the first."""

    _COLUMNS = ("start_s", "end_s", "label", "probability", "confidence", "novelty")

    def __init__(self, sink: TextIO) -> None:
        self._table = csv.writer(sink, lineterminator="\n")
        self._empty = True

    def __call__(self, file: Path, answer: Classification) -> None:
        """Add a file's segments."""
        self.add(file, answer.segments)

    def add(self, file: Path, segments: Iterable[Segment]) -> None:
        """Add the segments of a file one by one."""
        if self._empty:
            self._table.writerow(("file", *self._COLUMNS))
            self._empty = False
        for segment in segments:
            cells = [getattr(segment, column) for column in self._COLUMNS]
            self._table.writerow([_cell(each) for each in (str(file), *cells)])


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def print_timeline(console: Console, title: str, answer: Classification) -> None:
    """The label, the strip of segments, the most likely classes, what was understood and what is doubtful."""
    _print_label(console, title, answer)
    if console.is_terminal and not console.no_color:  # the strip tells labels apart by colour
        console.print(Text("  ").append(_strip(answer.segments)))
    for line in _segment_lines(answer.segments[:_MOST_SEGMENTS]):
        console.print(line, markup=False)
    if len(answer.segments) > _MOST_SEGMENTS:
        console.print(f"  and {len(answer.segments) - _MOST_SEGMENTS} more; --json has all")
    console.print("  most likely:")
    for line in _class_lines(answer.probabilities.items()):
        console.print(line, markup=False)
    _print_source(console, answer)


def print_overview(console: Console, title: str, answer: LongOverview) -> None:
    """The label, how much of the time went to each, what was understood and what is doubtful."""
    _print_label(console, title, answer)
    for line in _class_lines(answer.shares.items()):
        console.print(line, markup=False)
    console.print(f"  {answer.segments} segments of {answer.windows} windows; --csv has each segment")
    _print_source(console, answer)


def _print_label(console: Console, title: str, answer: Overview) -> None:
    top = next(iter(answer.probabilities.values()))
    sure = "" if answer.confidence is None else f", confidence {per_cent(answer.confidence)}"
    console.print(Text.assemble(title, "  →  ", (answer.label, "bold green"), f"  {per_cent(top)}{sure}"))


def _print_source(console: Console, answer: Overview) -> None:
    """What was understood, which model says so, and what is doubtful."""
    console.print(f"  {_understood(answer)}", markup=False, style="dim")
    console.print(f"  {model_line(answer.model)}", markup=False, style="dim")
    for warning in answer.warnings:
        console.print(f"  warning: {warning}", markup=False, style="yellow")


def _strip(segments: Sequence[Segment]) -> Text:
    """The recording from left to right, a colour each label."""
    colours = {label: _COLOURS[place % len(_COLOURS)] for place, label in enumerate(_labels(segments))}
    start_s, duration_s = segments[0].start_s, segments[-1].end_s - segments[0].start_s
    strip = Text()
    for segment in segments:
        first, last = (round((at - start_s) / duration_s * _STRIP_WIDTH) for at in (segment.start_s, segment.end_s))
        strip.append("█" * (last - first), style=colours[segment.label])
    return strip


def _labels(segments: Iterable[Segment]) -> list[str]:
    return list(dict.fromkeys(segment.label for segment in segments))


def _segment_lines(segments: Iterable[Segment]) -> list[str]:
    rows = [
        ("", f"{segment.start_s:.1f} – {segment.end_s:.1f} s", segment.label, per_cent(segment.probability))
        for segment in segments
    ]
    return aligned(rows)


def _class_lines(probabilities: Iterable[tuple[str, float]]) -> list[str]:
    rows = [("", "", label, f"{100 * value:5.1f} %", "▇" * round(value * _BAR_WIDTH)) for label, value in probabilities]
    return aligned(rows)


def _understood(answer: Overview) -> str:
    found = answer.input
    gravity = {True: "with gravity", False: "without gravity", None: "gravity unknown"}[found.gravity]
    return (
        f"read as {found.samples} samples in {found.unit} at {found.rate_hz:.1f} Hz ({found.rate_found}), "
        f"{found.duration_s:.1f} s, {gravity}"
    )


def model_line(model: Served) -> str:
    """Who answered, and how good it was where it was tested."""
    tested = f"test accuracy {per_cent(model.test.accuracy)} (N {model.test.n})" if model.test else "not tested"
    return f"by {model.name} version {model.version}, trained on {model.dataset} (seed {model.seed}): {tested}"
