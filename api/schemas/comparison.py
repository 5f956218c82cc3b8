"""Two rows of the leaderboard side by side, as answered."""

from typing import Self

from pydantic import Field

from api.schemas.common import Out
from api.schemas.leaderboard import LeaderboardRow, OverSubjects, Statistic
from pskd_core.evaluation import comparison as core
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


class SeedPair(Out):
    """Both rows with one seed, and McNemar's exact test of whether either is right more often."""

    seed: int
    accuracy_a: float
    accuracy_b: float
    macro_f1_a: float
    macro_f1_b: float
    only_a: int = Field(description="recordings that A alone has right")
    only_b: int = Field(description="recordings that B alone has right")
    p: float = Field(description="two-sided, exact")


class SampleVerdict(Out):
    """Recordings that either row has right in more of the seeds, and the exact sign test over them."""

    more_a: int
    more_b: int
    p: float = Field(description="two-sided, exact; it speaks of further recordings of these subjects")


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
            seeds=tuple(map(SeedPair.model_validate, found.seeds)),
            samples=SampleVerdict.model_validate(found.samples),
            subjects=OverSubjects(n=found.subjects.n, low=low, high=high) if found.subjects else None,
            classes=classes,
            confusion_a=found.confusion_a,
            confusion_b=found.confusion_b,
        )
