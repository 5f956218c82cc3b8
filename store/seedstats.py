"""A configuration's figures over its seeds, pooled and spread by the core's own statistics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pskd_core.evaluation.metrics import accuracy, macro_f1
from pskd_core.shapes import IntArray

Confusion = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Tested:
    """What a test of the student gave, on one fold or for one seed over all its folds."""

    accuracy: float
    macro_f1: float
    n: int
    confusion: Confusion  # rows are truth


def pool(folds: Sequence[Tested]) -> Tested:
    """One seed's scores: those of its only fold, else of the summed confusion matrices."""
    if len(folds) == 1:
        return folds[0]
    summed: IntArray = np.array([fold.confusion for fold in folds], np.int64).sum(axis=0)
    return Tested(accuracy(summed), macro_f1(summed), int(summed.sum()), summed.tolist())


def complete_seeds(results: Mapping[tuple[int, str], Tested], folds: Sequence[str]) -> list[Tested]:
    """Pooled scores of the seeds of which no fold is missing, in order of seed."""
    seeds = sorted({seed for seed, _ in results})
    return [
        pool([results[seed, fold] for fold in folds])
        for seed in seeds
        if all((seed, fold) in results for fold in folds)
    ]
