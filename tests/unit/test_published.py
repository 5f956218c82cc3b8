"""The paper's figures, entered a second time as its tables print them."""

import re
from typing import get_args

import pytest

from pskd_core.backbones import Backbone
from pskd_core.config import preset_names
from pskd_core.distillation import Loss
from pskd_core.experiments import ExperimentName
from pskd_core.published import PublishedRow, published_rows

# (reference, accuracy or F1) down each table; None is the paper itself.
TABLES = {
    "1": [(23, 85.60), (85, 85.81), (105, 92.10), (65, 94.40), (41, 92.84), (91, 94.37), (24, 95.12), (66, 91.40),
          (2, 95.80), (86, 90.30), (18, 90.20), (52, 96.97), (None, 95.19)],
    "2": [(84, 88.19), (107, 95.32), (36, 96.87), (74, 96.06), (75, 97.58), (26, 98.18), (8, 88.90), (52, 90.02),
          (None, 94.76)],
    "3": [(29, 62.80), (85, 64.40), (107, 66.56), (36, 70.12), (29, 59.10), (30, 62.67), (52, 60.14), (None, 71.42)],
    "4": [(3, 93.87), (61, 94.03), (21, 94.34), (98, 94.27), (57, 95.03), (73, 94.06), (58, 94.12), (None, 95.19),
          (None, 94.51), (None, 94.82)],
}  # fmt: skip
F1_OF_TABLE_4 = [94.15, 94.27, 94.64, 94.80, 95.02, 94.56, 94.72, 95.67, 94.59, 94.21]


def kinds(union: object) -> set[str]:
    """The kinds of a union of the spec."""
    return {member.model_fields["kind"].default for member in get_args(get_args(union)[0])}


def of_table(name: str) -> list[PublishedRow]:
    return [row for row in published_rows() if row.table == name]


@pytest.mark.parametrize("name", TABLES)
def test_figures_are_those_printed(name: str) -> None:
    """Each table has its rows in order, with the figure that it prints, as a fraction; Table 3 prints F1."""
    figure = "f1" if name == "3" else "accuracy"
    printed = [(row.citation, round(100 * getattr(row, figure), 2)) for row in of_table(name)]
    assert printed == TABLES[name]
    assert all(row.accuracy is None for row in of_table("3"))


def test_table_4_prints_a_second_figure() -> None:
    """Only Tables 3 and 4 have an F1, and Table 4 has it beside the accuracy."""
    assert [round(100 * (row.f1 or 0), 2) for row in of_table("4")] == F1_OF_TABLE_4
    assert all(row.f1 is None for row in [*of_table("1"), *of_table("2")])


def test_every_row_is_marked_and_says_its_protocol() -> None:
    """No row can be taken for one of ours, and none leaves open what is known of its split."""
    rows = published_rows()
    assert len({row.id for row in rows}) == len(rows)
    assert {row.source for row in rows} == {"published"}
    assert all(row.protocol and row.here for row in rows)
    assert {row.dataset: row.layout for row in rows} == {
        "UTD-MHAD": "utd_mhad", "Berkeley-MHAD": "berkeley_mhad", "MMAct": "mmact",
    }  # fmt: skip


def test_what_needs_video_does_not_run_here() -> None:
    """Rows on video are published only, and all others name a network or method that a spec can ask for."""
    known = kinds(Backbone) | {"distill"}
    for row in published_rows():
        assert (row.runs_here == "no") == ("video" in row.test_input)
        assert row.runs_here == "no" or known & set(re.findall(r"\w+", row.here)), row.id


def test_rivals_are_losses_of_that_name() -> None:
    """The seven rivals of Table 4 run as the loss whose kind is their name."""
    assert {row.method.lower() for row in of_table("4")[:7]} == kinds(Loss) - {"pskd"}


def test_prose_without_a_figure_claims_none() -> None:
    """What the text says of Figure 5 is told in words, not as a number that it does not print."""
    (row,) = of_table("figure 5")
    assert (row.accuracy, row.f1) == (None, None)
    assert "0.37 to 0.62" in str(row.note)


def test_what_runs_here_says_with_what() -> None:
    """A preset that there is, or an experiment that there is; rows on video name neither."""
    for row in published_rows():
        assert (row.run_with is None) == (row.runs_here == "no"), row.id
        if row.run_with is None:
            continue
        preset = row.run_with.removeprefix("pskd submit --preset ")
        experiment = row.run_with.removeprefix("pskd reproduce ")
        assert preset in preset_names() or experiment in get_args(ExperimentName), row.id
        if row.table == "4":
            assert experiment == "table4"
