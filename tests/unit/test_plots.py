"""Plots: what a reader must be able to see is in the figure."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pskd_core.plots import Bar, bars, by_subject, confusion, curves, heat_map, save, timeline


def axes_of(figure: Figure) -> Axes:
    (axes,) = figure.axes
    return axes


def test_bars_stay_within_what_is_possible() -> None:
    """A t interval of two seeds may reach beyond 100 %; the axis does not, and every row has its line and its name."""
    rows = [Bar("PSKD", 90.0, (60.0, 120.0), 95.19), Bar("none", 85.0), Bar("Si", None, None, 94.4)]
    axes = axes_of(bars(rows, title="t", axis="accuracy, %", reference="PSKD"))
    assert list(axes.get_xlim()) == pytest.approx([57.7, 100.0])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["PSKD", "none", "Si"]
    places = dict(zip(["PSKD", "none", "Si"], axes.get_yticks(), strict=True))
    drawn = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in axes.lines}
    assert drawn["ours, 95 % interval"] == [[90.0, places["PSKD"]], [85.0, places["none"]]]
    assert drawn["published"] == [[95.19, places["PSKD"]], [94.4, places["Si"]]]


def test_curves_differ_in_colour_or_dash() -> None:
    """Twelve rows are more than there are colours; no two lines look alike."""
    figure = curves({f"row {number}": [1.0, 0.5] for number in range(12)}, title="t", across="epoch", up="loss")
    assert len({(line.get_color(), line.get_linestyle()) for line in axes_of(figure).lines}) == 12
    assert axes_of(curves({}, title="t", across="epoch", up="loss")).get_legend() is None


def test_confusion_is_in_per_cent_of_the_true_class() -> None:
    """Rows add up to 100; a class without samples has no number at all."""
    axes = axes_of(confusion([[3, 1, 0], [0, 2, 0], [0, 0, 0]], ["a", "b_c", "d"], title="t"))
    assert [(text.get_position(), text.get_text()) for text in axes.texts] == [
        ((0, 0), "75"),
        ((1, 0), "25"),
        ((1, 1), "100"),
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b c", "d"]


def test_subjects_stand_beside_one_another() -> None:
    """Rows of one subject are drawn around its tick, also where a row lacks a subject."""
    axes = axes_of(by_subject({"PSKD": {"2": 90.0, "10": 80.0}, "none": {"10": 70.0}}, title="t", axis="%"))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "10"]
    across = [np.asarray(line.get_xdata()).round().tolist() for line in axes.lines]
    assert across == [[0, 1], [1]]


def test_names_are_not_formulas(tmp_path: Path) -> None:
    """A class whose name looks like broken mathematics is drawn as it is written."""
    name = r"$\frac$"
    save(confusion([[1, 0], [0, 1]], [name, "b"], title=name), tmp_path / "confusion")
    save(curves({name: [1.0, 0.5]}, title=name, across=name, up=name), tmp_path / "curves")
    assert all(name in (tmp_path / f"{plot}.svg").read_text(encoding="utf-8") for plot in ("confusion", "curves"))


def test_a_heat_map_shows_what_was_tried() -> None:
    """Each cell that has a value carries it, in a colour that can be read on its ground; others are empty."""
    figure = heat_map(
        [[80.0, None], [90.0, 95.0]], across=("alpha", ["0.1", "0.5"]), up=("beta", ["0", "1"]), title="t"
    )
    axes, _ = figure.axes
    drawn = {text.get_position(): (text.get_text(), text.get_color()) for text in axes.texts}
    assert drawn == {(0, 0): ("80.0", "white"), (0, 1): ("90.0", "black"), (1, 1): ("95.0", "black")}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.1", "0.5"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("alpha", "beta")
    heat_map([[None]], across=("a", ["1"]), up=("b", ["1"]), title="nothing yet")


def test_a_timeline_has_the_trace_over_its_labels(tmp_path: Path) -> None:
    """Three axes over seconds; segments in their places, one colour a label, short ones without text."""
    values = np.zeros((500, 3), np.float32)
    segments = [(0.0, 4.9, "wave"), (4.9, 5.0, "sit_down"), (5.0, 10.0, "wave")]
    figure = timeline(values, 50.0, segments, title="t", muted="unknown")
    trace, strip = figure.axes
    assert [line.get_label() for line in trace.lines] == ["x", "y", "z"]
    assert np.asarray(trace.lines[0].get_xdata())[-1] == pytest.approx(9.98)
    assert [text.get_text() for text in strip.texts] == ["wave", "wave"]
    colours = [patch.get_facecolor() for patch in strip.patches]
    assert (colours[0] == colours[2], colours[0] == colours[1]) == (True, False)
    save(figure, tmp_path / "a.b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.b.png", "a.b.svg"]
