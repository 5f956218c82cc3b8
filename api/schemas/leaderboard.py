"""Rows of the leaderboard, ours and published ones, as answered."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SkipValidation

from api.schemas.common import Json, Out, Paged
from pskd_core.evaluation.metrics import Spread
from pskd_core.published import PublishedRow
from store.leaderboard import FURTHER
from store.models import Configuration
from store.pairing import Difference as Paired


class Statistic(Out):
    """A figure over seeds."""

    mean: float
    sd: float | None = Field(description="null with one seed, like the interval")
    low: float | None = Field(description="Student-t 95 % interval over seeds")
    high: float | None

    @classmethod
    def of(cls, spread: Spread) -> Self:
        """A figure as the core computes it."""
        low, high = spread.interval_95 or (None, None)
        return cls(mean=spread.mean, sd=spread.sd, low=low, high=high)


class Difference(Statistic):
    """A row's accuracy minus that of the row asked for, paired by seed."""

    n_seeds: int = Field(description="seeds that both rows have with all their folds")

    @classmethod
    def paired(cls, difference: Paired) -> Self:
        """A difference as the store computes it."""
        return cls(**Statistic.of(difference.accuracy).model_dump(), n_seeds=difference.n_seeds)


class OverSubjects(Out):
    """The accuracy, had the test subjects been others. Few subjects give an interval that is too narrow."""

    n: int = Field(description="test subjects")
    low: float | None = Field(description="bootstrap 95 % interval over test subjects; null with one subject")
    high: float | None


class LeaderboardRow(Out):
    """One configuration over its seeds. Figures never stand without what they were measured on."""

    id: str
    source: Literal["measured"] = Field(description="measured here, not published elsewhere")
    dataset_id: str
    dataset_name: str
    dataset_digest: str
    protocol: str
    method: str
    student: str = Field(description="the network that is judged, and the streams that it sees")
    skeleton_substitute: str | None = Field(
        description="what a network of the row read in the place of the dataset's own skeleton, so that no figure of "
        "the benchmark may be claimed from it; null: its own, or none"
    )
    n_seeds: int = Field(description="seeds with all their folds; 0 means not ranked")
    n_incomplete_seeds: int
    n_test: int | None
    accuracy: Statistic | None
    accuracy_over_subjects: OverSubjects | None = Field(
        description="null if a seed's result does not tell subjects apart"
    )
    macro_f1: Statistic | None
    weighted_f1: Statistic | None = Field(description="F1 averaged with the number of recordings of each class")
    top5_accuracy: Statistic | None = Field(description="the label is among the five most probable classes")
    ece: Statistic | None = Field(description="expected calibration error, 15 bins; of several folds their mean")
    paper_f: Statistic | None = Field(
        description="harmonic mean of accuracy and 1-nearest-neighbour recall on the logits, what the paper likely "
        "prints as F1; of several folds their mean"
    )
    difference: Difference | None = Field(
        description="null unless `against` is given, both were tested alike, they have a seed in common, and one "
        "student reads every stream that the other does: else only a comparison of both tells if their recordings agree"
    )
    parameters: int | None
    macs: int | None
    bundle_bytes: int | None
    latency_ms: float | None = Field(
        description="median for one window on one thread of the processor that made the last run; null: not exported"
    )
    spec: Annotated[Json, SkipValidation]  # checked when it was submitted; once more took half the time of a page

    @classmethod
    def of(cls, row: Configuration, difference: Paired | None = None) -> Self:
        """A row of the leaderboard."""
        return cls(
            **{name: getattr(row, name) for name in _COLUMNS},
            source="measured",
            student=_student(row.spec),
            accuracy=_statistic(row, "accuracy"),
            accuracy_over_subjects=_over_subjects(row),
            macro_f1=_statistic(row, "macro_f1"),
            **{name: Statistic(**row.figures[name]) if name in row.figures else None for name in FURTHER},
            difference=None if difference is None else Difference.paired(difference),
        )


_COLUMNS = tuple(name for name in LeaderboardRow.model_fields if hasattr(Configuration, name))


class Leaderboard(Paged[LeaderboardRow]):
    """One page of rows that were measured here and, apart from them, what the paper prints."""

    published: tuple[PublishedRow, ...] | None = Field(
        description="never ranked among ours: other code, other conditions; null unless asked for"
    )


def _student(spec: dict[str, Any]) -> str:
    student = spec["student"]
    return f"{student['backbone']['kind']} on {' and '.join(student['inputs'])}".replace("_", " ")


def _statistic(row: Configuration, name: str) -> Statistic | None:
    if getattr(row, f"{name}_mean") is None:
        return None
    return Statistic(**{part: getattr(row, f"{name}_{part}") for part in Statistic.model_fields})


def _over_subjects(row: Configuration) -> OverSubjects | None:
    if row.n_subjects is None:
        return None
    return OverSubjects(n=row.n_subjects, low=row.accuracy_subjects_low, high=row.accuracy_subjects_high)
