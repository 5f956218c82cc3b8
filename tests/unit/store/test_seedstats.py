"""Figures over seeds against scikit-learn and numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from pskd_core.evaluation.metrics import subject_interval_95
from store import seedstats
from store.seedstats import SubjectFigures, Subjects, complete_seeds, over_subjects, pool

counts = st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=3, max_size=3).filter(
    lambda rows: sum(map(sum, rows)) > 0
)


def _scored(confusion: list[list[int]], subjects: Subjects | None = None) -> seedstats.Tested:
    return seedstats.Tested(0.5, 0.25, sum(map(sum, confusion)), confusion, subjects)


@given(st.lists(counts, min_size=2, max_size=4))
def test_folds_pool_by_recording(confusions: list[list[list[int]]]) -> None:
    """Pooled accuracy and macro-F1 are those of all recordings together, not means of folds."""
    pooled = pool([_scored(confusion) for confusion in confusions])
    summed = np.sum(confusions, axis=0)
    truth, predicted = (np.repeat(index.ravel(), summed.ravel()) for index in np.indices((3, 3)))
    assert pooled.n == len(truth)
    assert pooled.accuracy == pytest.approx(np.mean(truth == predicted))
    assert pooled.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro"))


def test_single_fold_keeps_its_scores() -> None:
    """With one fold the run's own figures stand, to the last bit."""
    only = _scored([[1, 0], [0, 2]])
    assert pool([only]) is only


def test_seed_without_all_folds_is_left_out() -> None:
    """A seed counts when it has every fold; folds that the protocol does not have are ignored."""
    a, b = _scored([[1, 0], [0, 2]]), _scored([[3, 1], [0, 2]])
    results = {(1, "x"): a, (1, "y"): b, (0, "x"): a, (2, "x"): b, (2, "y"): b, (2, "z"): a}
    assert complete_seeds(results, ["x", "y"]) == [pool([a, b]), pool([b, b])]


def test_subjects_are_pooled_over_folds_and_seeds() -> None:
    """A subject's recordings add up wherever they were tested, and the interval is the core's over these sums."""
    confusion = [[3, 1], [0, 2]]
    folds = [_scored(confusion, {"1": (4, 6)}), _scored(confusion, {"2": (5, 6), "1": (1, 1)})]
    assert pool(folds).subjects == {"1": (5, 7), "2": (5, 6)}
    found = over_subjects([pool(folds), _scored(confusion, {"1": (7, 7), "2": (3, 6)})])
    assert found == SubjectFigures(2, subject_interval_95([12, 8], [14, 12]))


def test_a_result_without_subjects_leaves_the_interval_open() -> None:
    """One seed of an older version is enough not to claim anything about subjects; one subject has no interval."""
    known, unknown = _scored([[1]], {"1": (1, 1)}), _scored([[1]])
    assert over_subjects([known, unknown]) == SubjectFigures(None, None)
    assert pool([known, unknown]).subjects is None
    assert over_subjects([known, known]) == SubjectFigures(1, None)
