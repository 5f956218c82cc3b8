"""A configuration's figures over its seeds, pooled and spread by the core's own statistics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pskd_core.evaluation.metrics import OF_LOGITS, accuracy, macro_f1, mean_or_none, subject_interval_95, weighted_f1
from pskd_core.shapes import IntArray

Confusion = Sequence[Sequence[int]]
Subjects = Mapping[str, Sequence[int]]  # [right, recordings] of each


@dataclass(frozen=True)
class Tested:
    """What a test of the student gave, on one fold or for one seed over all its folds."""

    accuracy: float
    macro_f1: float
    n: int
    confusion: Confusion  # rows are truth
    subjects: Subjects | None = None  # null: a result that does not tell them apart
    # Null in results of before these were kept, and `paper_f` of a single recording.
    top5_accuracy: float | None = None
    ece: float | None = None
    paper_f: float | None = None

    @property
    def weighted_f1(self) -> float:
        """F1 averaged with the number of samples of each class."""
        return weighted_f1(np.array(self.confusion, np.int64))


@dataclass(frozen=True)
class SubjectFigures:
    """How many subjects were tested, null if unknown, and the bootstrap interval of the accuracy; one gives none."""

    n: int | None
    interval_95: tuple[float, float] | None


def pool(folds: Sequence[Tested]) -> Tested:
    """One seed's scores: those of its only fold, else of the summed confusion matrices."""
    if len(folds) == 1:
        return folds[0]
    summed: IntArray = np.array([fold.confusion for fold in folds], np.int64).sum(axis=0)
    return Tested(
        accuracy=accuracy(summed),
        macro_f1=macro_f1(summed),
        n=int(summed.sum()),
        confusion=summed.tolist(),
        subjects=_pooled_subjects(folds),
        **{
            name: mean_or_none([getattr(fold, name) for fold in folds], [fold.n for fold in folds])
            for name in OF_LOGITS
        },
    )


def complete_seeds(results: Mapping[tuple[int, str], Tested], folds: Sequence[str]) -> list[Tested]:
    """Pooled scores of the seeds of which no fold is missing, in order of seed."""
    seeds = sorted({seed for seed, _ in results})
    return [
        pool([results[seed, fold] for fold in folds])
        for seed in seeds
        if all((seed, fold) in results for fold in folds)
    ]


def over_subjects(seeds: Sequence[Tested]) -> SubjectFigures:
    """The accuracy's spread over test subjects, each subject's recordings taken over all seeds."""
    pooled = _pooled_subjects(seeds)
    if not pooled:
        return SubjectFigures(None, None)
    right, recordings = zip(*pooled.values(), strict=True)
    return SubjectFigures(len(pooled), subject_interval_95(right, recordings))


def _pooled_subjects(results: Sequence[Tested]) -> Subjects | None:
    pooled: dict[str, tuple[int, int]] = {}
    for result in results:
        if result.subjects is None:
            return None
        for subject, (right, recordings) in result.subjects.items():
            before = pooled.get(subject, (0, 0))
            pooled[subject] = (before[0] + right, before[1] + recordings)
    return pooled
