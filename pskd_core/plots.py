"""Plots for people: readable at the width of a page, in colours that colour-blind readers tell apart, without a screen.

Each function takes plain numbers and returns a figure; `save` writes it as PNG and SVG.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's colours without the yellow, which white paper swallows; black first, for what is compared with.
_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINES = ("-", "--", "-.", ":")
_OURS, _PUBLISHED = "#0072B2", "#D55E00"
_WIDTH_IN = 8.0
_MOST_POINTS = 4000  # of a trace
_LETTER_S = 0.014  # part of the width that a letter takes
_STYLE: dict[Any, Any] = {
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "figure.dpi": 130.0,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "pskd",  # equal figures give equal files
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure in per cent with its interval, and what was published beside it."""

    name: str
    value: float | None
    interval: tuple[float, float] | None = None
    published: float | None = None


def bars(rows: Sequence[Bar], *, title: str, axis: str, reference: str) -> Figure:
    """A line a row: ours as a dot with its interval, the published figure as a diamond, the reference marked."""
    figure, axes = _canvas(height_in=1.6 + 0.32 * len(rows))
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        if row.interval is not None:
            axes.plot(row.interval, (place, place), color=_OURS, linewidth=2, solid_capstyle="butt")
    _markers(
        axes, [(row.value, place) for row, place in zip(rows, places, strict=True)], "o", _OURS, "ours, 95 % interval"
    )
    _markers(
        axes, [(row.published, place) for row, place in zip(rows, places, strict=True)], "D", _PUBLISHED, "published"
    )
    values = {row.name: row.value for row in rows}
    if (compared := values.get(reference)) is not None:
        axes.axvline(compared, color="#888888", linewidth=1, linestyle="--", zorder=0)
    axes.set_yticks(places, [row.name for row in rows])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(axis)
    axes.set_title(title, loc="left")
    shown = [value for row in rows for value in (row.value, *(row.interval or ()), row.published) if value is not None]
    margin = 0.03 * (max(shown) - min(shown)) + 0.5
    axes.set_xlim(max(0.0, min(shown) - margin), min(100.0, max(shown) + margin))  # t intervals know no bounds
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def curves(series: Mapping[str, Sequence[float]], *, title: str, across: str, up: str) -> Figure:
    """A line a name over 1, 2, 3 …; colours and dashes both tell them apart."""
    figure, axes = _canvas(height_in=4.5)
    for place, (name, values) in enumerate(series.items()):
        colour, dashes = _COLOURS[place % len(_COLOURS)], _LINES[place // len(_COLOURS) % len(_LINES)]
        axes.plot(np.arange(1, len(values) + 1), values, dashes, color=colour, linewidth=1.6, label=name)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title, loc="left")
    if series:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], *, title: str) -> Figure:
    """Rows are the true class, in per cent of its samples; only what is not zero carries a number."""
    counts = np.array(matrix, np.float64)
    support = counts.sum(axis=1, keepdims=True)
    shares = 100 * np.divide(counts, support, out=np.zeros_like(counts), where=support > 0)
    size_in = 3.0 + 0.3 * len(classes)
    figure, axes = _canvas(height_in=size_in, width_in=max(size_in, 4.5))
    axes.grid(visible=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    font = 8 if len(classes) <= 12 else 7
    for row, column in np.argwhere(counts > 0):
        share = shares[row, column]
        colour = "white" if share > 60 else "black"
        axes.text(column, row, f"{share:.0f}", ha="center", va="center", color=colour, fontsize=font)
    places, names = np.arange(len(classes)), [name.replace("_", " ") for name in classes]
    axes.set_xticks(places, names, rotation=90, fontsize=font + 1)
    axes.set_yticks(places, names, fontsize=font + 1)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true, cells in per cent of it")
    axes.set_title(title, loc="left")
    return figure


def by_subject(rows: Mapping[str, Mapping[str, float]], *, title: str, axis: str) -> Figure:
    """For each subject a dot a row, so that one sees whether a mean hides people for whom it does not hold."""
    figure, axes = _canvas(height_in=4.0)
    subjects = list(dict.fromkeys(subject for row in rows.values() for subject in row))
    shapes = ("o", "s", "^", "v", "D", "P", "X", "*")
    for place, (name, values) in enumerate(rows.items()):
        shift = 0.3 * ((place + 0.5) / len(rows) - 0.5)
        found = [(subjects.index(subject) + shift, value) for subject, value in values.items()]
        across, up = zip(*found, strict=True)
        axes.plot(across, up, shapes[place % len(shapes)], color=_COLOURS[place % len(_COLOURS)], label=name)
    axes.set_xticks(np.arange(len(subjects)), subjects)
    axes.set_xlim(-0.6, len(subjects) - 0.4)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("subject")
    axes.set_ylabel(axis)
    axes.set_title(title, loc="left")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def heat_map(
    values: Sequence[Sequence[float | None]],
    *,
    across: tuple[str, Sequence[str]],
    up: tuple[str, Sequence[str]],
    title: str,
) -> Figure:
    """Per cent over two parameters, each given as its name and its values; what was not tried is empty."""
    found = np.array([[np.nan if value is None else value for value in row] for row in values], np.float64)
    rows, columns = found.shape
    figure, axes = _canvas(height_in=1.8 + 0.5 * rows, width_in=max(2.5 + 0.7 * columns, 4.5))
    axes.grid(visible=False)
    image = axes.imshow(found, cmap="viridis", aspect="auto")
    middle = np.nanmean([np.nanmin(found), np.nanmax(found)]) if np.isfinite(found).any() else 0.0
    for row, column in np.argwhere(np.isfinite(found)):
        value = found[row, column]
        axes.text(column, row, f"{value:.1f}", ha="center", va="center", color="white" if value < middle else "black")
    axes.set_xticks(np.arange(columns), across[1])
    axes.set_yticks(np.arange(rows), up[1])
    axes.set_xlabel(across[0])
    axes.set_ylabel(up[0])
    axes.set_title(title, loc="left")
    figure.colorbar(image, ax=axes)
    return figure


def timeline(
    values_g: npt.NDArray[np.floating[Any]],
    rate_hz: float,
    segments: Sequence[tuple[float, float, str]],
    *,
    title: str,
    muted: str,
) -> Figure:
    """A recording (n, 3), and below it what each stretch (start and end in s) was labelled; `muted` is grey."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_IN, 4.0), layout="constrained")
        trace, strip = figure.subplots(2, sharex=True, height_ratios=(4, 1))
    step = max(len(values_g) // _MOST_POINTS, 1)
    time_s = np.arange(0, len(values_g), step) / rate_hz
    for name, column, colour in zip("xyz", values_g[::step].T, _COLOURS[1:], strict=False):
        trace.plot(time_s, column, color=colour, linewidth=0.8, label=name)
    trace.set_ylabel("acceleration, g")
    trace.set_title(title, loc="left")
    trace.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    colours = {
        label: _COLOURS[1:][place % 6] for place, label in enumerate(dict.fromkeys(part[2] for part in segments))
    }
    for start_s, end_s, label in segments:
        strip.axvspan(start_s, end_s, color="#BBBBBB" if label == muted else colours[label], alpha=0.5, linewidth=0)
        if end_s - start_s > _LETTER_S * len(label) * len(values_g) / rate_hz:
            strip.text((start_s + end_s) / 2, 0.5, label.replace("_", " "), ha="center", va="center", fontsize=8)
    strip.set_yticks([])
    strip.grid(visible=False)
    strip.set_xlabel("time, s")
    strip.set_xlim(0, len(values_g) / rate_hz)
    return figure


def save(figure: Figure, stem: Path) -> None:
    """Write `stem.png` and `stem.svg`; equal figures give equal files."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a class may be called $\frac$
    with mpl.rc_context(_STYLE):
        figure.savefig(stem.with_name(f"{stem.name}.png"), metadata={"Software": None})
        figure.savefig(stem.with_name(f"{stem.name}.svg"), metadata={"Date": None})


def _canvas(*, height_in: float, width_in: float = _WIDTH_IN) -> tuple[Figure, Axes]:
    """An empty plot; made without pyplot, so no screen is asked for and nothing stays in memory."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        return figure, figure.add_subplot()


def _markers(axes: Axes, found: Sequence[tuple[float | None, float]], shape: str, colour: str, label: str) -> None:
    points = [(value, place) for value, place in found if value is not None]
    if points:
        across, up = zip(*points, strict=True)
        axes.plot(across, up, shape, color=colour, label=label, markersize=6)
