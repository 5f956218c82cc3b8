"""Two rows of the leaderboard side by side, as answered."""

from typing import Self

from pydantic import Field

from api.schemas.common import Out
from api.schemas.leaderboard import LeaderboardRow, OverSubjects, Statistic
from pskd_core.evaluation import comparison as core
from pskd_core.evaluation.comparison import SampleVerdict, SeedPair
from pskd_core.evaluation.metrics import Confusion


class PairedStatistic(Out):
    """One figure of both rows, as means over the common seeds, and A − B paired by seed."""

    a: float
    b: float
    difference: Statistic

    @classmethod
    def of(cls, paired: core.Paired) -> Self:
        """As the core computes it."""
        return cls(a=paired.a, b=paired.b, difference=Statistic.of(paired.difference))


class RowComparison(Out):
    """Two rows over the seeds that both have, recording by recording; fractions, never per cent."""

    a: LeaderboardRow
    b: LeaderboardRow
    n_test: int = Field(description="recordings that both were tested on")
    n_seeds: int = Field(description="seeds that both have with all their folds")
    accuracy: PairedStatistic
    macro_f1: PairedStatistic
    seeds: tuple[SeedPair, ...]
    samples: SampleVerdict
    subjects: OverSubjects | None = Field(
        description="the difference of accuracies, had the test subjects been others; null if they are unknown or one"
    )
    classes: tuple[str, ...]
    confusion_a: Confusion = Field(description="added up over the seeds; rows are the true class")
    confusion_b: Confusion

    @classmethod
    def of(cls, a: LeaderboardRow, b: LeaderboardRow, found: core.Comparison, *, classes: tuple[str, ...]) -> Self:
        """Both rows with what the core found."""
        low, high = found.subjects.interval_95 if found.subjects else (None, None)
        return cls(
            a=a,
            b=b,
            n_test=found.n,
            n_seeds=found.n_seeds,
            accuracy=PairedStatistic.of(found.accuracy),
            macro_f1=PairedStatistic.of(found.macro_f1),
            seeds=found.seeds,
            samples=found.samples,
            subjects=OverSubjects(n=found.subjects.n, low=low, high=high) if found.subjects else None,
            classes=classes,
            confusion_a=found.confusion_a,
            confusion_b=found.confusion_b,
        )
