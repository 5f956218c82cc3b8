"""Reports on made-up figures: what is computed, what is said, what is drawn.

`python -m tests.unit.test_report` writes the kept report anew after a deliberate change.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pskd_core.config import JobSpec, parse_spec
from pskd_core.errors import DataError
from pskd_core.evaluation.comparison import Predictions
from pskd_core.evaluation.metrics import scores
from pskd_core.experiments import Experiment, Row
from pskd_core.published import published_rows
from pskd_core.report.build import build_report
from pskd_core.report.document import Report
from pskd_core.report.markdown import as_markdown, sentences
from pskd_core.report.results import Outcome, RowResult, RunResult, Setting, TeacherOutcome
from pskd_core.report.write import write_report

GOLDEN = Path(__file__).parents[1] / "golden" / "report.md"
IDS = tuple(f"a{number}" for number in range(12))
LABELS = np.arange(12) % 3
SUBJECTS = ("2",) * 6 + ("4",) * 6
CLASSES = ("wave", "clap", "knock")
SETTING = Setting("utd", "utd_mhad", "d" * 64, "demo", CLASSES)
HERE = {"python": "3.11", "torch": "2.13"}


def predictions(wrong: Collection[int]) -> Predictions:
    """All twelve right, but for `wrong`, which are taken for the next class."""
    said = [(label + (sample in wrong)) % 3 for sample, label in enumerate(LABELS)]
    return Predictions(IDS, LABELS, 4 * np.eye(3, dtype=np.float32)[said], SUBJECTS)


def run(seed: int, wrong: Collection[int], *, teacher_wrong: Collection[int] = (0,)) -> RunResult:
    own, teacher = predictions(wrong), predictions(teacher_wrong)
    teachers = {"skeleton": TeacherOutcome(test=scores(teacher.logits, LABELS, SUBJECTS))}
    outcome = Outcome(
        seed=seed,
        fold="all",
        test=scores(own.logits, LABELS, SUBJECTS),
        teachers=teachers,
        parameters=1000,
        macs=5000,
        environment=HERE,
    )
    return RunResult(outcome, own, (1.0 - 0.1 * seed, 0.5 - 0.1 * seed), took_s=60.0)


def row_result(row: Row, *wrong: Collection[int], problem: str = "", **fields: Any) -> RowResult:
    """A row with a run for each seed."""
    spec = spec_of(**{"seeds": list(range(max(len(wrong), 1))), **(row.fields or {}), **fields})
    return RowResult(row, spec, ("all",), tuple(run(seed, each) for seed, each in enumerate(wrong)), problem)


def spec_of(**fields: Any) -> JobSpec:
    return parse_spec({"preset": "demo", **fields})


PRINTED = {row.id: row for row in published_rows()}
ACS = Row(key="acs", name="ACS", published=PRINTED["table4-8"])
SP = Row(key="sp", name="SP [73]", fields={"method": {"loss": {"kind": "sp"}}}, remark="pairs | of samples")
NONE = Row(key="none", name="none", fields={"method": {"kind": "none"}})
RKD = Row(key="rkd", name="RKD [57]", fields={"method": {"loss": {"kind": "rkd"}}})
GYRO = Row(key="gyro", name="Singh [66]")
VIDEO = Row(
    key="video",
    name="Si [65]",
    fields=None,
    published=PRINTED["table1-4"],
    remark="reads RGB video: published only",
)
# One, one and two wrong of twelve.
REFERENCE = row_result(ACS, (0,), (0,), (0, 5))
RESULTS = (
    REFERENCE,
    row_result(SP, (0, 1), (0, 1), (0, 5, 7), training={"epochs": 9}),  # one more, each time
    row_result(NONE, (0, 3), (1,), (5, 6, 7)),  # one more, none, one more
    row_result(RKD, (0, 2), (3,), problem="loss term rkd_angle of student is nan at step 7", seeds=[0, 1, 2]),
    RowResult(GYRO, problem="cannot run here: the dataset has no stream gyroscope"),
    RowResult(VIDEO),
)


def report_of(*results: RowResult) -> Report:
    rows = tuple(result.row for result in results)
    chosen = Experiment(name="table4", title="Table 4: losses", reference="acs", rows=rows)
    return build_report(chosen, SETTING, results)


def said(*results: RowResult) -> list[str]:
    return list(sentences(report_of(*results)))


def test_the_report_is_the_one_in_git() -> None:
    """Whoever changes a word or a digit sees it in the diff of tests/golden/report.md."""
    assert as_markdown(report_of(*RESULTS)) == GOLDEN.read_text(encoding="utf-8")


def test_a_substitute_of_the_skeleton_is_marked_everywhere() -> None:
    """Table, sentences and a note mark what has read it; labels alone have not, and without one nothing is said."""
    results = (REFERENCE, RESULTS[2])
    chosen = Experiment(name="table4", title="T", reference="acs", rows=tuple(each.row for each in results))
    report = build_report(chosen, replace(SETTING, skeleton_substitute="poses of the video"), results)
    assert [row.name for row in report.rows] == ["ACS †", "none"]
    text = as_markdown(report)
    assert "**† Substitute skeleton:** a network of this row read poses of the video" in text
    assert "none is not separated from ACS †" in text
    unread = (row_result(ACS, (0,), method={"kind": "none"}),)
    plain = build_report(chosen, replace(SETTING, skeleton_substitute="poses"), unread)
    assert "†" not in as_markdown(plain)
    assert "†" not in as_markdown(report_of(*results))


STRANGE = "<img>`x`|[y](z)&lt;\\<b>\n# h\x1b[31m"
SHOWN = r"\<img>\`x\`\|\[y](z)\&lt;\\\<b>�# h�\[31m"


def test_names_of_strangers_are_text_and_no_markup() -> None:
    """HTML, links, cells, code and control characters in the names of a dataset, class or subject are only shown."""
    found = report_of(REFERENCE, RowResult(GYRO, problem=STRANGE))
    classes = (STRANGE, *CLASSES[1:])
    spec = {"protocol": {"kind": "loso", "subjects": ["2\n```\n<img>"]}}
    strange = {
        "layout": "manifest",
        "dataset": STRANGE,
        "protocol": STRANGE,
        "classes": classes,
        "specs": {"acs": spec},
    }
    text = as_markdown(found.model_copy(update=strange))
    assert f"# Table 4: losses, {SHOWN}" in text
    assert f"Dataset {SHOWN}, protocol {SHOWN}, N 12" in text
    assert f"| {SHOWN} | 90.0 |" in text
    assert f"– |  | {SHOWN} |" in text
    assert f"has no figures: {SHOWN}." in text
    assert STRANGE not in text
    # Nothing but the longer fence ends the code, so the name's own backticks and HTML stay inside.
    _before, spec_of_reference, after = text.split("````")
    assert "\n    ```\n" in spec_of_reference
    assert "<img>" in spec_of_reference
    assert after == "\n\n</details>\n"


def test_differences_are_paired_by_seed_and_by_sample() -> None:
    """By hand: SP has one of twelve less in each of three seeds, so mean −1/12 with no spread at all."""
    _, sp, none, *_ = report_of(*RESULTS).rows
    assert sp.against is not None
    assert sp.against.accuracy.mean == pytest.approx(-1 / 12)
    assert sp.against.accuracy.sd == pytest.approx(0, abs=1e-12)
    assert none.against is not None
    assert none.against.accuracy.mean == pytest.approx(-(1 + 0 + 1) / 3 / 12)
    # Sample 0 in two seeds wrong of ACS, in one of `none`; no sample the other way in more seeds than not.
    assert (sp.against.samples.more_a, sp.against.samples.more_b) == (0, 2)


def test_words_follow_the_figures() -> None:
    """Above, below, and not separated are said of intervals that exclude or hold zero."""
    worse, equal = row_result(SP, (0, 1), (0, 1), (0, 5, 7)), row_result(NONE, (3,), (0, 4), (5, 6))
    assert "SP [73] is below ACS" in said(REFERENCE, worse, equal)[0]
    assert "none is not separated from ACS" in said(REFERENCE, worse, equal)[1]
    assert said(REFERENCE, worse, equal)[-1] == "ACS is shown to be above 1 of the 2 rows that it is compared with."
    assert said(REFERENCE, worse)[-1] == "ACS is above every row that it is compared with."
    better = row_result(SP, (), (), (0,))
    assert "SP [73] is above ACS" in said(REFERENCE, better)[0]
    assert said(REFERENCE, better)[-1] == "ACS is not the best: SP [73] stands above it."


def test_one_seed_says_nothing() -> None:
    """However large a difference is, without a second seed there is no interval and no verdict."""
    found = report_of(row_result(ACS, ()), row_result(NONE, range(9)))
    assert next(sentences(found)) == "Of none (−75.00 points) nothing follows: one seed gives no interval."
    assert found.rows[1].summary is not None
    assert found.rows[1].summary.accuracy.interval_95 is None


def test_what_was_not_tested_alike_is_not_compared() -> None:
    """A row on fewer samples has figures of its own, but none against the reference."""
    fewer = replace(predictions(()), ids=tuple(f"b{number}" for number in range(12)))
    other = row_result(NONE, (), (), ())
    other = replace(other, runs=tuple(replace(each, predictions=fewer) for each in other.runs))
    found = report_of(REFERENCE, other)
    assert found.rows[1].summary is not None
    assert found.rows[1].against is None
    assert "was not tested on the same samples" in next(sentences(found))


def test_no_reference_no_report() -> None:
    """Without figures to compare with, the reason is told."""
    with pytest.raises(DataError, match="ACS, with which every row is compared, has no figures: out of paper"):
        report_of(RowResult(ACS, problem="out of paper"), RESULTS[2])


def test_a_mixture_of_versions_is_told_at_the_top() -> None:
    """All environments are listed with their rows, those without a record too; the warning stands above the table."""
    elsewhere = replace(RESULTS[1].runs[0], outcome=RESULTS[1].runs[0].outcome.model_copy(update={"environment": {}}))
    mixed = replace(RESULTS[1], runs=(elsewhere, *RESULTS[1].runs[1:]))
    found = report_of(REFERENCE, mixed)
    assert [(each.versions, each.rows) for each in found.environments] == [
        (HERE, ("ACS", "SP [73]")),
        ({}, ("SP [73]",)),
    ]
    text = as_markdown(found)
    assert text.index("**Warning:** these runs were made by 2 different sets") < text.index("| row |")
    assert "- python 3.11, torch 2.13: ACS, SP" in text
    assert "- versions not recorded: SP" in text
    assert "Warning" not in as_markdown(report_of(*RESULTS))


@pytest.mark.parametrize(
    ("protocol", "folds", "text", "development"),
    [
        ({"kind": "named", "name": "cross_subject"}, ["all"], "cross_subject", False),
        ({"kind": "named", "name": "cross_trial"}, ["all"], "cross_trial", True),
        ({"kind": "loso"}, ["loso:1", "loso:3"], "leave-one-subject-out over 1, 3", True),
        ({"kind": "subjects", "train": [1], "test": [2]}, ["all"], "trained on subjects 1, tested on 2", True),
    ],
)
def test_estimates_of_development_are_labelled(
    protocol: dict[str, Any], folds: Sequence[str], text: str, development: bool
) -> None:
    """Only `cross_subject` keeps all of the subjects apart on which recipes are chosen."""
    runs = tuple(replace(run(0, ()), outcome=run(0, ()).outcome.model_copy(update={"fold": fold})) for fold in folds)
    found = report_of(RowResult(ACS, spec_of(protocol=protocol), tuple(folds), runs))
    assert (found.protocol, found.development) == (text, development)
    assert ("Development estimates" in as_markdown(found)) == development


def test_files_are_written_and_read_back(tmp_path: Path) -> None:
    """The JSON holds the whole report, and every plot that the Markdown shows is there and names its rows."""
    report = report_of(*RESULTS)
    markdown = write_report(report, tmp_path / "out").read_text(encoding="utf-8")
    assert Report.model_validate_json((tmp_path / "out" / "report.json").read_bytes()) == report
    shown = [line.rpartition("(")[2].rstrip(")") for line in markdown.splitlines() if line.startswith("![")]
    assert len(shown) == 4
    assert all((tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG") for name in shown)
    drawn = (tmp_path / "out" / "accuracy.svg").read_text(encoding="utf-8")
    assert all(name in drawn for name in ("ACS", "SP [73]", "Si [65]", "published", "ours"))
    again = tmp_path / "again"
    write_report(report, again)
    assert all((again / file.name).read_bytes() == file.read_bytes() for file in (tmp_path / "out").iterdir())


if __name__ == "__main__":
    GOLDEN.write_text(as_markdown(report_of(*RESULTS)), encoding="utf-8")
