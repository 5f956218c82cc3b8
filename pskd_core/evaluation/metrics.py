"""How well logits agree with labels, and what several seeds and folds say together; all in numpy."""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pskd_core.data.splits import Fold
from pskd_core.fields import Frozen
from pskd_core.seed import generator
from pskd_core.shapes import FloatArray, IntArray

Confusion = tuple[tuple[int, ...], ...]
Float64Array = npt.NDArray[np.float64]

_CALIBRATION_BINS = 15
_NEIGHBOUR_ROWS = 1024
_RESAMPLED = 10  # times 1000 draws of subjects


# Of what is measured, that which a confusion matrix does not tell.
OF_LOGITS = ("top5_accuracy", "ece", "paper_f")


class ClassScores(Frozen):
    """One class; null where the ratio has no denominator."""

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


class SubjectScores(Frozen):
    """One subject's recordings."""

    accuracy: float
    n: int


class Scores(Frozen):
    """One network on one part of the data; fractions, never per cent."""

    n: int
    accuracy: float
    macro_f1: float
    weighted_f1: float
    top5_accuracy: float
    ece: float
    paper_f: float | None
    confusion: Confusion
    per_class: tuple[ClassScores, ...]
    per_subject: dict[str, SubjectScores]


def scores(logits: FloatArray, labels: IntArray, subjects: Sequence[str]) -> Scores:
    """Every metric of one set of predictions.

    Args:
        logits: (N, K), N ≥ 1.
        labels: (N,) in [0, K).
        subjects: of the N samples.

    Raises:
        ValueError: there is no sample, or a logit is not finite.
    """
    if len(labels) == 0:
        raise ValueError("there is no sample to score")
    if not np.isfinite(logits).all():
        raise ValueError("logits are not finite")
    confusion = confusion_matrix(logits.argmax(axis=1), labels, classes=logits.shape[1])
    return Scores(
        n=len(labels),
        accuracy=accuracy(confusion),
        macro_f1=macro_f1(confusion),
        weighted_f1=weighted_f1(confusion),
        top5_accuracy=top_k_accuracy(logits, labels, k=5),
        ece=expected_calibration_error(logits, labels),
        paper_f=paper_f(logits, labels),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        per_class=class_scores(confusion),
        per_subject=_per_subject(logits.argmax(axis=1) == labels, subjects),
    )


# --- From the confusion matrix ------------------------------------------------------------------------------------


def confusion_matrix(predicted: IntArray, labels: IntArray, *, classes: int) -> IntArray:
    """(K, K) counts; rows are the true class, columns the predicted one."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def accuracy(confusion: IntArray) -> float:
    """Fraction on the diagonal."""
    return float(np.trace(confusion) / confusion.sum())


def macro_f1(confusion: IntArray) -> float:
    """Mean F1 over the classes that occur, be it as a label or as a prediction."""
    return float(np.nanmean(_f1(confusion)))


def weighted_f1(confusion: IntArray) -> float:
    """F1 averaged with the number of samples of each class."""
    support = confusion.sum(axis=1)
    return float(support @ np.nan_to_num(_f1(confusion)) / support.sum())


def _f1(confusion: IntArray) -> Float64Array:
    # 2TP / (labelled + predicted), which is defined wherever the class occurs at all.
    return _ratio(2 * np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1))


def _ratio(part: IntArray, whole: IntArray) -> Float64Array:
    """(K,), NaN where `whole` is 0."""
    undefined: Float64Array = np.full(len(part), np.nan)
    return np.divide(part, whole, out=undefined, where=whole > 0)


def class_scores(confusion: IntArray) -> tuple[ClassScores, ...]:
    """Precision, recall and F1 of every class."""
    hits, support, claims = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    columns = (_ratio(hits, claims), _ratio(hits, support), _f1(confusion))
    return tuple(
        ClassScores(precision=precision, recall=recall, f1=f1, support=int(count))
        for precision, recall, f1, count in zip(*map(_or_none, columns), support, strict=True)
    )


def _or_none(values: Float64Array) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _per_subject(correct: npt.NDArray[np.bool_], subjects: Sequence[str]) -> dict[str, SubjectScores]:
    names, place = np.unique(np.asarray(subjects), return_inverse=True)
    counts, hits = np.bincount(place), np.bincount(place, weights=correct)
    return {
        str(name): SubjectScores(accuracy=float(hit / n), n=int(n))
        for name, n, hit in zip(names, counts, hits, strict=True)
    }


# --- From the logits ----------------------------------------------------------------------------------------------


def top_k_accuracy(logits: FloatArray, labels: IntArray, *, k: int) -> float:
    """Fraction whose label is among the k largest logits; of equal logits, the lower class comes first."""
    best = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def expected_calibration_error(logits: FloatArray, labels: IntArray) -> float:
    """Σ_b n_b/N · |accuracy_b − confidence_b| over 15 bins (b/15, (b+1)/15] of the largest probability, in [0, 1]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    confidence = 1 / np.exp(shifted).sum(axis=1)  # the largest probability
    correct = logits.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * _CALIBRATION_BINS).astype(np.int64) - 1, 0, _CALIBRATION_BINS - 1)
    return float(np.abs(np.bincount(place, weights=correct - confidence)).sum() / len(labels))


def paper_f(logits: FloatArray, labels: IntArray) -> float | None:
    """Harmonic mean of accuracy and 1-nearest-neighbour recall@1 on the logits, what the paper likely prints as F1.

    The neighbour (Euclidean) is looked for within the set, the sample itself excluded; null for a single sample.
    """
    if len(labels) < 2:
        return None
    correct = float((logits.argmax(axis=1) == labels).mean())
    recall = float((labels[_nearest_others(logits)] == labels).mean())
    return 2 * correct * recall / (correct + recall) if correct + recall else 0.0


def _nearest_others(points: FloatArray) -> IntArray:
    points = points.astype(np.float64)
    squares = (points**2).sum(axis=1)
    nearest = []
    for start in range(0, len(points), _NEIGHBOUR_ROWS):  # a full (N, N) table would grow with the square of the set
        block = points[start : start + _NEIGHBOUR_ROWS]
        distances = squares - 2 * block @ points.T  # the row's own square changes no order
        distances[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        nearest.append(distances.argmin(axis=1))
    return np.concatenate(nearest)


# --- Over seeds and folds -----------------------------------------------------------------------------------------


class FoldResult(Frozen):
    """What one run measured on one part: its seed, its fold, the confusion matrix, and what that does not tell."""

    seed: int
    fold: str
    confusion: Confusion
    top5_accuracy: float | None = None
    ece: float | None = None
    paper_f: float | None = None

    @classmethod
    def of(cls, seed: int, fold: str, measured: Scores) -> "FoldResult":
        """What the run of this seed and fold measured."""
        return cls(seed=seed, fold=fold, **measured.model_dump(include={"confusion", *OF_LOGITS}))


class SeedScores(Frozen):
    """One seed, the confusion matrices of its folds added up.

    What needs the logits is the mean over the folds, each with the weight of its recordings: the accuracy among the
    top five so is that of all recordings, while calibration error and `paper_f` stay means of folds, whose logits come
    from different networks. Null if a fold does not tell it.
    """

    seed: int
    n: int
    accuracy: float
    macro_f1: float
    weighted_f1: float
    top5_accuracy: float | None
    ece: float | None
    paper_f: float | None


class Spread(Frozen):
    """Over seeds; one seed has neither a standard deviation nor an interval."""

    mean: float
    sd: float | None
    interval_95: tuple[float, float] | None


class PartSummary(Frozen):
    """What a configuration reaches on one part. Not to be ranked unless `complete`."""

    accuracy: Spread
    macro_f1: Spread
    weighted_f1: Spread
    top5_accuracy: Spread | None
    ece: Spread | None
    paper_f: Spread | None
    n_seeds: int
    n: int
    complete: bool
    missing: tuple[str, ...]
    seeds: tuple[SeedScores, ...]


class Summary(Frozen):
    """All runs of a job; a part that no fold has is null."""

    test: PartSummary | None
    validation: PartSummary | None


class MeasuredRun(Protocol):
    """What a summary reads of a run's outcome."""

    @property
    def seed(self) -> int:
        """The run's seed."""

    @property
    def fold(self) -> str:
        """Name of its fold."""

    @property
    def test(self) -> Scores | None:
        """On the fold's test part; null if it has none."""

    @property
    def validation(self) -> Scores | None:
        """On the fold's validation part; null if it has none."""


def summarise(runs: Iterable[MeasuredRun], *, folds: Sequence[Fold]) -> Summary:
    """Test and validation over all seeds and folds; under `inner_loso` the validation pools the inner folds."""
    runs = tuple(runs)
    tests = [FoldResult.of(run.seed, run.fold, run.test) for run in runs if run.test]
    validations = [FoldResult.of(run.seed, run.fold, run.validation) for run in runs if run.validation]
    return Summary(
        test=summarise_part(tests, folds=[fold.name for fold in folds if fold.test]),
        validation=summarise_part(validations, folds=[fold.name for fold in folds if fold.validation]),
    )


def summarise_part(results: Iterable[FoldResult], *, folds: Sequence[str]) -> PartSummary | None:
    """Mean, standard deviation (n − 1) and Student-t 95 % interval over seeds, each seed pooling its folds.

    Pooling adds confusion matrices, so every recording counts once and macro-F1 is taken over all of them.

    Args:
        results: a repeated (seed, fold) counts once; results of other folds do not count.
        folds: names that a whole set has. A seed that lacks one still shows what it has, and is listed in `missing`
            as `seed 1: loso:3`.

    Returns:
        null if nothing was measured. `n` is the number of recordings of the seed that has most of them.
    """
    by_seed: dict[int, dict[str, FoldResult]] = {}
    for result in results:
        if result.fold in folds:
            by_seed.setdefault(result.seed, {})[result.fold] = result
    if not by_seed:
        return None
    seeds = tuple(_pooled(seed, list(measured.values())) for seed, measured in sorted(by_seed.items()))
    missing = tuple(
        f"seed {seed}: {fold}" for seed, measured in sorted(by_seed.items()) for fold in folds if fold not in measured
    )
    return PartSummary(
        accuracy=spread([seed.accuracy for seed in seeds]),
        macro_f1=spread([seed.macro_f1 for seed in seeds]),
        weighted_f1=spread([seed.weighted_f1 for seed in seeds]),
        top5_accuracy=spread_or_none([seed.top5_accuracy for seed in seeds]),
        ece=spread_or_none([seed.ece for seed in seeds]),
        paper_f=spread_or_none([seed.paper_f for seed in seeds]),
        n_seeds=len(seeds),
        n=max(seed.n for seed in seeds),
        complete=not missing,
        missing=missing,
        seeds=seeds,
    )


def _pooled(seed: int, folds: Sequence[FoldResult]) -> SeedScores:
    confusions = [np.array(fold.confusion, np.int64) for fold in folds]
    pooled, sizes = np.sum(confusions, axis=0), [int(confusion.sum()) for confusion in confusions]
    return SeedScores(
        seed=seed,
        n=sum(sizes),
        accuracy=accuracy(pooled),
        macro_f1=macro_f1(pooled),
        weighted_f1=weighted_f1(pooled),
        **{name: mean_or_none([getattr(fold, name) for fold in folds], sizes) for name in OF_LOGITS},
    )


def mean_or_none(values: Sequence[float | None], weights: Sequence[int]) -> float | None:
    """The weighted mean; null if one of the values is not known."""
    known = [value for value in values if value is not None]
    return float(np.average(known, weights=weights)) if len(known) == len(values) else None


def spread_or_none(values: Sequence[float | None]) -> Spread | None:
    """Over one or more values; null if one of them is not known."""
    known = [value for value in values if value is not None]
    return spread(known) if len(known) == len(values) else None


def spread(values: Sequence[float]) -> Spread:
    """Mean, standard deviation and 95 % interval of one or more values."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Spread(mean=mean, sd=None, interval_95=None)
    sd = float(np.std(values, ddof=1))
    half = student_t_95(len(values) - 1) * sd / math.sqrt(len(values))
    return Spread(mean=mean, sd=sd, interval_95=(mean - half, mean + half))


def student_t_95(degrees: int) -> float:
    """The t with P(|T| ≤ t) = 0.95, found by bisection on θ = arctan(t/√degrees).

    For whole degrees of freedom the probability is a finite sum (Abramowitz & Stegun 26.7.3 and 26.7.4), which
    spares the serving process the import of a statistics package.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_probability(middle, degrees) < 0.95 else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def _t_probability(theta: float, degrees: int) -> float:
    cosine, sine, odd = math.cos(theta), math.sin(theta), degrees % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(1 + odd, degrees, 2):
        total += term
        term *= cosine**2 * k / (k + 1)
    return 2 / math.pi * (theta + sine * total) if odd else sine * total


# --- Over test subjects -------------------------------------------------------------------------------------------


def subject_interval_95(sums: npt.ArrayLike, counts: npt.ArrayLike) -> tuple[float, float] | None:
    """2.5th and 97.5th percentile of Σ sums / Σ counts over subjects drawn with replacement; null below two subjects.

    Recordings of one person resemble one another, so people are drawn and not recordings. Few test subjects tell
    little: four have 35 different draws, the interval never leaves the range of the four, and what is called 95 % holds
    the truth about 80 times in 100 (50 with two subjects, 89 with eight; simulated with normal subjects). So it is the
    least that is unknown about other people. The draws are always the same: equal figures give equal intervals.

    Args:
        sums: (subjects,), such as each one's number of right answers, or what one system has more of them than another.
        counts: (subjects,), recordings of each.
    """
    figures, sizes = np.asarray(sums, np.float64), np.asarray(counts, np.float64)
    if len(sizes) < 2:
        return None
    rng, even = generator(0, "subjects"), np.full(len(sizes), 1 / len(sizes))
    ratios = []
    for _ in range(_RESAMPLED):  # a table of all draws would grow with the subjects
        drawn = rng.multinomial(len(sizes), even, size=1000)
        ratios.append(drawn @ figures / (drawn @ sizes))
    low, high = np.quantile(np.concatenate(ratios), [0.025, 0.975]).tolist()
    return low, high
