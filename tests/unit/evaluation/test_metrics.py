"""Metrics against scikit-learn, scipy and closed forms, and what seeds and folds give together."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle
from sklearn.neighbors import NearestNeighbors

from pskd_core.data.splits import Fold
from pskd_core.evaluation.metrics import (
    Confusion,
    FoldResult,
    PartSummary,
    Scores,
    expected_calibration_error,
    paper_f,
    scores,
    spread,
    student_t_95,
    summarise,
    summarise_part,
    top_k_accuracy,
)
from pskd_core.shapes import FloatArray, IntArray


def drawn(n: int = 300, classes: int = 9, seed: int = 0) -> tuple[FloatArray, IntArray, list[str]]:
    """Logits that are right more often than not; the last class is neither labelled nor, mostly, predicted."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes - 1, n)
    logits = rng.standard_normal((n, classes)).astype(np.float32)
    logits[np.arange(n), labels] += 1.5
    logits[:, -1] -= 9
    return logits, labels, [str(number) for number in rng.integers(1, 5, n)]


def test_scores_agree_with_scikit_learn() -> None:
    """Accuracy, F1, top-5, confusion matrix and per-class figures are scikit-learn's."""
    logits, labels, subjects = drawn()
    predicted, found = logits.argmax(axis=1), scores(logits, labels, subjects)
    everything = list(range(9))
    assert found.n == 300
    assert found.accuracy == pytest.approx(oracle.accuracy_score(labels, predicted))
    assert found.macro_f1 == pytest.approx(oracle.f1_score(labels, predicted, average="macro"))
    assert found.weighted_f1 == pytest.approx(oracle.f1_score(labels, predicted, average="weighted"))
    assert found.top5_accuracy == pytest.approx(oracle.top_k_accuracy_score(labels, logits, k=5, labels=everything))
    assert found.confusion == tuple(map(tuple, oracle.confusion_matrix(labels, predicted, labels=everything).tolist()))
    columns = oracle.precision_recall_fscore_support(labels, predicted, labels=everything, zero_division=np.nan)
    for name, column in zip(("precision", "recall", "f1", "support"), columns, strict=True):
        ours = [getattr(row, name) for row in found.per_class]
        assert [np.nan if value is None else value for value in ours] == pytest.approx(list(column), nan_ok=True)


def test_per_subject_accuracy() -> None:
    """Each subject's accuracy is that of its own samples."""
    logits, labels, subjects = drawn()
    for subject, found in scores(logits, labels, subjects).per_subject.items():
        own = [row for row, name in enumerate(subjects) if name == subject]
        assert found.accuracy == pytest.approx(oracle.accuracy_score(labels[own], logits[own].argmax(axis=1)))
        assert found.n == len(own)


def test_absent_classes_have_no_ratios_and_do_not_count() -> None:
    """Of a class that is neither labelled nor predicted everything is null, and macro-F1 leaves it out."""
    logits = np.eye(3, dtype=np.float32)[[0, 1, 1, 0]]
    found = scores(logits, np.array([0, 1, 1, 1]), list("aabb"))
    absent = found.per_class[2]
    assert (absent.precision, absent.recall, absent.f1, absent.support) == (None, None, None, 0)
    assert found.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_scores_are_json_without_nan() -> None:
    """The scores of a single, wrongly classified sample survive strict JSON and come back equal."""
    found = scores(np.array([[0.0, 1.0]], np.float32), np.array([0]), ["1"])
    text = json.dumps(found.model_dump(mode="json"), allow_nan=False)
    assert Scores.model_validate_json(text) == found
    assert found.paper_f is None


def test_scores_refuse_what_has_no_value() -> None:
    """No samples and non-finite logits are errors, never a NaN in a report."""
    with pytest.raises(ValueError, match="no sample"):
        scores(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), [])
    with pytest.raises(ValueError, match="not finite"):
        scores(np.array([[np.nan, 1.0]], np.float32), np.array([0]), ["1"])


def test_top_k_counts_ties_once() -> None:
    """A network that gives all classes the same logit has no luck from ties."""
    logits = np.zeros((10, 10), np.float32)
    assert top_k_accuracy(logits, np.arange(10), k=5) == 0.5
    assert top_k_accuracy(logits[:, :3], np.arange(10) % 3, k=5) == 1.0


def two_class_logits(confidence: float, n: int) -> FloatArray:
    return np.tile(np.array([np.log(confidence / (1 - confidence)), 0], np.float32), (n, 1))


def test_ece_of_one_bin_is_the_gap() -> None:
    """With one confidence the error is |accuracy − confidence|: 7 of 10 right at 90 % is 0.2."""
    labels = np.array([0] * 7 + [1] * 3)
    assert expected_calibration_error(two_class_logits(0.9, 10), labels) == pytest.approx(0.2, abs=1e-6)


def test_ece_weighs_bins_by_their_samples() -> None:
    """Two bins, 30 samples off by 0.1 and 10 off by 0.3, give 0.15; opposite signs do not cancel."""
    logits = np.concatenate([two_class_logits(0.9, 30), two_class_logits(0.7, 10)])
    labels = np.array([0] * 24 + [1] * 6 + [0] * 10)
    assert expected_calibration_error(logits, labels) == pytest.approx(0.15, abs=1e-6)


def test_ece_of_certainty_is_zero() -> None:
    """Certain and always right is perfectly calibrated, at any size of logits."""
    logits = np.array([[1e4, 0.0, -1e4]] * 4, np.float32)
    assert expected_calibration_error(logits, np.zeros(4, np.int64)) == 0


@pytest.mark.parametrize("n", [300, 1500])
def test_paper_f_agrees_with_nearest_neighbours(n: int) -> None:
    """The recall is scikit-learn's 1-NN without the sample itself, also across blocks of rows."""
    logits, labels, _ = drawn(n)
    correct = (logits.argmax(axis=1) == labels).mean()
    neighbours = NearestNeighbors(n_neighbors=2).fit(logits).kneighbors(logits, return_distance=False)[:, 1]
    recall = (labels[neighbours] == labels).mean()
    assert paper_f(logits, labels) == pytest.approx(stats.hmean([correct, recall]))


def test_paper_f_of_nothing_right_is_zero() -> None:
    """No hit at all gives 0 instead of 0/0."""
    assert paper_f(np.eye(2, dtype=np.float32), np.array([1, 0])) == 0


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 30, 99])
def test_student_t_agrees_with_scipy(degrees: int) -> None:
    """The bound of the interval is scipy's quantile."""
    assert student_t_95(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-10)


def test_spread_of_five_seeds() -> None:
    """Mean, standard deviation with n − 1, and scipy's t interval."""
    values = [0.91, 0.93, 0.92, 0.95, 0.90]
    found = spread(values)
    expected = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert found.mean == pytest.approx(0.922)
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert found.interval_95 == pytest.approx(expected)


def test_one_seed_has_no_spread() -> None:
    """One seed has a mean and neither standard deviation nor interval."""
    found = spread([0.9])
    assert (found.mean, found.sd, found.interval_95) == (0.9, None, None)


def result(seed: int, fold: str, confusion: Confusion) -> FoldResult:
    return FoldResult(seed=seed, fold=fold, confusion=confusion)


def part(results: list[FoldResult], folds: list[str]) -> PartSummary:
    found = summarise_part(results, folds=folds)
    assert found is not None
    return found


SMALL, LARGE = ((1, 1), (0, 0)), ((8, 0), (0, 10))


def test_folds_are_pooled_not_averaged() -> None:
    """A seed's figures come from the sum of its confusion matrices: 19 of 20, whatever the sizes of the folds."""
    found = part([result(0, "loso:1", SMALL), result(0, "loso:2", LARGE)], ["loso:1", "loso:2"])
    labels, predicted = [0] * 10 + [1] * 10, [0] * 9 + [1] * 11
    assert found.seeds[0].n == found.n == 20
    assert found.accuracy.mean == pytest.approx(0.95)
    assert found.macro_f1.mean == pytest.approx(oracle.f1_score(labels, predicted, average="macro"))
    assert (found.complete, found.missing) == (True, ())


def test_what_needs_logits_is_the_mean_of_folds_by_their_recordings() -> None:
    """Two of 2 and 9 of 18 among the top five are 11 of 20; weighted F1 is that of all recordings together."""
    told = {"top5_accuracy": 1.0, "ece": 0.2, "paper_f": None}
    small = result(0, "loso:1", SMALL).model_copy(update=told)
    large = result(0, "loso:2", LARGE).model_copy(update={"top5_accuracy": 0.5, "ece": 0.1, "paper_f": 0.9})
    found = part([small, large], ["loso:1", "loso:2"])
    labels, predicted = [0] * 10 + [1] * 10, [0] * 9 + [1] * 11
    assert found.weighted_f1.mean == pytest.approx(oracle.f1_score(labels, predicted, average="weighted"))
    assert found.top5_accuracy is not None
    assert found.top5_accuracy.mean == pytest.approx(11 / 20)
    assert found.ece is not None
    assert found.ece.mean == pytest.approx((2 * 0.2 + 18 * 0.1) / 20)
    assert found.paper_f is None  # one fold does not tell it


def test_an_incomplete_set_of_folds_is_marked() -> None:
    """A seed that lacks a fold shows what it has, and the summary says what is missing."""
    results = [result(0, "loso:1", SMALL), result(0, "loso:2", LARGE), result(1, "loso:2", LARGE)]
    found = part(results, ["loso:1", "loso:2"])
    assert (found.complete, found.missing) == (False, ("seed 1: loso:1",))
    assert [seed.accuracy for seed in found.seeds] == pytest.approx([0.95, 1.0])
    assert found.n_seeds == 2
    assert found.n == 20


def test_a_repeated_fold_counts_once_and_a_foreign_one_never() -> None:
    """Reporting a run twice, or one of another plan, changes nothing."""
    results = [result(0, "all", LARGE), result(0, "all", LARGE), result(0, "other", SMALL)]
    assert part(results, ["all"]) == part(results[:1], ["all"])


def test_nothing_measured_has_no_summary() -> None:
    """Without a result there is no figure to show."""
    assert summarise_part([], folds=["all"]) is None


@dataclass(frozen=True)
class Outcome:
    seed: int
    fold: str
    test: Scores | None
    validation: Scores | None


def test_inner_folds_pool_their_validation_and_the_refit_has_the_test() -> None:
    """Under `inner_loso` validation is pooled over the inner folds and the test is the refit's alone."""
    folds = [Fold("inner:1", (0,), (1, 2), ()), Fold("inner:2", (1, 2), (0,), ()), Fold("refit", (0, 1, 2), (), (3,))]
    right, wrong = np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)
    two_right = scores(right.repeat(2, axis=0), np.zeros(2, np.int64), ["1", "1"])
    one_wrong = scores(wrong, np.zeros(1, np.int64), ["2"])
    runs = [
        Outcome(seed=0, fold="inner:1", test=None, validation=two_right),
        Outcome(seed=0, fold="inner:2", test=None, validation=one_wrong),
        Outcome(seed=0, fold="refit", test=one_wrong, validation=None),
    ]
    found = summarise(runs, folds=folds)
    assert found.validation is not None
    assert found.test is not None
    assert found.validation.accuracy.mean == pytest.approx(2 / 3)
    assert (found.validation.complete, found.test.complete) == (True, True)
    assert found.test.accuracy.mean == 0
    waiting = summarise(runs[:1], folds=folds)
    assert waiting.test is None
    assert waiting.validation is not None
    assert waiting.validation.missing == ("seed 0: inner:2",)


def test_summaries_are_json_without_nan() -> None:
    """A summary of one seed survives strict JSON."""
    json.dumps(part([result(0, "all", SMALL)], ["all"]).model_dump(mode="json"), allow_nan=False)
