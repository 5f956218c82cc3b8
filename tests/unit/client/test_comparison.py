"""A comparison and the rows of the leaderboard on paper."""

from typing import Any

import pytest

from client import output
from client.comparison import print_comparison
from client.leaderboard import Comparison, LeaderboardRow, PublishedRow
from client.output import AGAINST, LEADERBOARD, PUBLISHED

STATISTIC = {"mean": 0.9, "sd": 0.02, "low": 0.85, "high": 0.95}
LEAD = {"mean": 0.0125, "sd": 0.01, "low": -0.01, "high": 0.035}
ROW: dict[str, Any] = {
    "id": "0123456789abcdef" * 4, "source": "measured", "dataset_id": "ds_x", "dataset_name": "utd",
    "protocol": "cross_subject", "method": "pskd", "n_seeds": 3, "n_incomplete_seeds": 0, "n_test": 430,
    "accuracy": STATISTIC, "accuracy_over_subjects": {"n": 4, "low": 0.8, "high": 0.97}, "macro_f1": STATISTIC,
    "difference": {**LEAD, "n_seeds": 2}, "parameters": 1000, "macs": 10, "bundle_bytes": 5, "spec": {},
}  # fmt: skip
PAIRED = {"a": 0.9, "b": 0.8875, "difference": LEAD}
FOUND: dict[str, Any] = {
    "a": ROW, "b": {**ROW, "id": "fedcba9876543210" * 4, "method": "none"}, "n_test": 430, "n_seeds": 2,
    "accuracy": PAIRED, "macro_f1": PAIRED,
    "seeds": [{"seed": 7, "accuracy_a": 0.9, "accuracy_b": 0.88, "macro_f1_a": 0.9, "macro_f1_b": 0.88, "only_a": 21,
               "only_b": 9, "p": 0.0427739}],
    "samples": {"more_a": 25, "more_b": 13, "p": 0.0734}, "subjects": {"n": 4, "low": -0.02, "high": 0.04},
    "classes": ["a", "b"], "confusion_a": [[1, 0], [0, 1]], "confusion_b": [[1, 0], [0, 1]],
}  # fmt: skip


def printed(capsys: pytest.CaptureFixture[str], **changed: Any) -> list[str]:
    """The lines of a comparison, off a terminal; its tables go to the console of results."""
    output.stdout.cache_clear()
    print_comparison(Comparison.model_validate({**FOUND, **changed}))
    output.stdout.cache_clear()
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_comparison_says_what_it_stands_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Rows with dataset, protocol and seeds, N, the difference with both intervals, McNemar by seed, and the votes."""
    lines = printed(capsys)
    assert lines[:3] == [
        "A 0123456789 pskd on utd, cross_subject, 3 seeds",
        "B fedcba9876 none on utd, cross_subject, 3 seeds",
        "N 430, 2 seeds in common",
    ]
    assert "accuracy 90.0 % 88.8 % +1.2 [-1.0, 3.5]" in lines
    assert "7 90.0 % 88.0 % 21 9 0.0428" in lines
    assert lines[-2] == "right in more of the seeds: A on 25 recordings, B on 13; sign test p 0.0734"
    assert lines[-1] == "accuracy A − B, 95 % over 4 test subjects: [-2.0, 4.0]; so few tell little"


@pytest.mark.parametrize(
    ("subjects", "told"),
    [(None, "nothing can be said, they are unknown or only one"), ({"n": 20, "low": 0, "high": 0.1}, "[0.0, 10.0]")],
)
def test_subjects_are_told_as_far_as_they_are_known(
    capsys: pytest.CaptureFixture[str], subjects: dict[str, Any] | None, told: str
) -> None:
    """Unknown subjects are no interval, and twenty need no warning."""
    assert printed(capsys, subjects=subjects)[-1].endswith(told)


def cells(row: LeaderboardRow, columns: output.Columns[LeaderboardRow]) -> dict[str, str]:
    return {title: cell(row) for title, cell in columns.items()}


def test_row_of_the_table_has_both_intervals() -> None:
    """A row shows dataset, protocol, N, seeds and two intervals by name, and against another row its difference."""
    shown = cells(LeaderboardRow.model_validate(ROW), LEADERBOARD)
    assert shown["row"] == "0123456789"
    assert (shown["dataset"], shown["protocol"], shown["N"], shown["seeds"]) == ("utd", "cross_subject", "430", "3")
    assert (shown["95 % seeds"], shown["95 % subjects"]) == ("[85.0, 95.0]", "[80.0, 97.0] of 4")
    against = cells(LeaderboardRow.model_validate(ROW), AGAINST)
    assert against["difference"] == "+1.2 [-1.0, 3.5] over 2 seeds"


def test_what_is_unknown_is_a_dash() -> None:
    """One seed, unknown subjects and a row that cannot be paired leave dashes, never zeros."""
    fields = {**ROW, "accuracy": {**STATISTIC, "low": None, "high": None}, "difference": None}
    del fields["accuracy_over_subjects"]  # an older service does not know it
    shown = cells(LeaderboardRow.model_validate(fields), AGAINST)
    assert (shown["95 % seeds"], shown["95 % subjects"]) == ("–", "–")
    assert shown["difference"] == "–"


def test_published_row_keeps_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Two decimals as printed, the reference's number, a dash where the paper has no figure, and each note once."""
    fields = {
        "id": "table1-1", "source": "published", "table": "1", "kind": "VAR", "method": "Hussein et al.",
        "citation": 23, "test_input": "RGB video", "dataset": "UTD-MHAD", "protocol": "not stated", "accuracy": 0.856,
        "f1": None, "runs_here": "no", "here": "out of scope", "note": None,
    }  # fmt: skip
    row = PublishedRow.model_validate(fields)
    shown = {title: cell(row) for title, cell in PUBLISHED.items()}
    assert (shown["method"], shown["accuracy"], shown["F1"]) == ("Hussein et al. [23]", "85.60 %", "–")
    output.stdout.cache_clear()
    output.print_published([row, row.model_copy(update={"table": "figure 5", "note": "in words"})] * 2)
    output.stdout.cache_clear()
    lines = capsys.readouterr().out.splitlines()
    assert "not measured here" in lines[1]
    assert lines[-1] == "figure 5: in words"
    assert len([line for line in lines if "in words" in line]) == 1


def test_a_substitute_skeleton_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """In the table and in a comparison, beside the method that has read it."""
    marked = {**ROW, "skeleton_substitute": "poses of the video"}
    assert cells(LeaderboardRow.model_validate(marked), LEADERBOARD)["method"] == "pskd (substitute skeleton)"
    assert printed(capsys, a=marked)[0] == "A 0123456789 pskd (substitute skeleton) on utd, cross_subject, 3 seeds"
