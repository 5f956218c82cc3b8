"""Plots: what a reader must be able to see is in the figure."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pskd_core.plots import Bar, bars, by_subject, confusion, curves, save


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
