"""What finished runs of a job found, as a page shows it: pooled by the core's own metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from api.schemas.jobs import RunOut
from pskd_core.evaluation.metrics import ClassScores, accuracy, class_scores, macro_f1
from pskd_core.shapes import IntArray

PARTS = ("test", "validation")
SHADES = 10


@dataclass(frozen=True)
class ClassRow:
    """One class: its scores, and its row of the confusion matrix with a shade (0 to 10) a cell."""

    name: str
    scores: ClassScores
    cells: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class SubjectRow:
    """One subject's share."""

    name: str
    accuracy: float
    n: int


@dataclass(frozen=True)
class Judged:
    """A run as a table shows it: its student's scores on the part that judges it, and its teachers' accuracies."""

    run: RunOut
    part: str | None  # none: there are no scores
    scores: Mapping[str, Any]
    teachers: Mapping[str, float]

    @classmethod
    def of(cls, run: RunOut) -> Self:
        """By its test, or by its validation where it has none."""
        result: Mapping[str, Any] = run.result or {}
        part = next((part for part in PARTS if result.get(part)), None)
        if part is None:
            return cls(run, None, {}, {})
        teachers = {name: of[part]["accuracy"] for name, of in result.get("teachers", {}).items() if of.get(part)}
        return cls(run, part, result[part], teachers)


@dataclass(frozen=True)
class Results:
    """Scores of one network over one part, of one run or of several together; fractions, never per cent."""

    n: int
    accuracy: float
    macro_f1: float
    classes: tuple[ClassRow, ...]
    subjects: tuple[SubjectRow, ...]


def pooled(reports: Sequence[Mapping[str, Any]], *, part: str, network: str) -> Results | None:
    """The reports' confusion matrices added up; none where that network has no results on that part."""
    found = [of for report in reports if (of := _part(report, part=part, network=network)) is not None]
    if not found:
        return None
    summed: IntArray = np.array([each["confusion"] for each in found], np.int64).sum(axis=0)
    names = reports[0]["classes"]
    return Results(
        n=int(summed.sum()),
        accuracy=accuracy(summed),
        macro_f1=macro_f1(summed),
        classes=class_rows(names, summed),
        subjects=_subjects(found),
    )


def class_rows(names: Sequence[str], confusion: IntArray) -> tuple[ClassRow, ...]:
    """A confusion matrix (rows are truth), class by class."""
    return tuple(map(_class_row, names, class_scores(confusion), confusion))


def _part(report: Mapping[str, Any], *, part: str, network: str) -> Mapping[str, Any] | None:
    of = report if network == "student" else report.get("teachers", {}).get(network, {})
    found: Mapping[str, Any] | None = of.get(part)
    return found


def _class_row(name: str, scores: ClassScores, row: IntArray) -> ClassRow:
    whole = max(int(row.sum()), 1)
    return ClassRow(name, scores, tuple((int(cell), -(-int(cell) * SHADES // whole)) for cell in row))


def _subjects(found: Sequence[Mapping[str, Any]]) -> tuple[SubjectRow, ...]:
    right: dict[str, float] = {}
    recordings: dict[str, int] = {}
    for each in found:
        for name, scores in each.get("per_subject", {}).items():
            right[name] = right.get(name, 0.0) + scores["accuracy"] * scores["n"]
            recordings[name] = recordings.get(name, 0) + scores["n"]
    names = sorted(recordings, key=lambda name: (len(name), name))
    return tuple(SubjectRow(name, right[name] / recordings[name], recordings[name]) for name in names)
