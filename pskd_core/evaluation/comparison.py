"""Two systems side by side, from what each said of the same test samples with the same seeds; all in numpy.

Three questions are asked, and no answer stands for another: would other seeds tell the same (Student's t over seeds),
would other samples of these subjects (McNemar's test and a sign test), would other subjects (a bootstrap over them)?
"""

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
from pydantic import Field

from pskd_core.data.zips import UNREADABLE
from pskd_core.errors import DataError, NotComparable
from pskd_core.evaluation.metrics import (
    Confusion,
    Spread,
    accuracy,
    confusion_matrix,
    macro_f1,
    spread,
    subject_interval_95,
)
from pskd_core.fields import Frozen
from pskd_core.shapes import BoolArray, IntArray, Logits


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What one system said of N samples with one seed."""

    ids: tuple[str, ...]
    labels: IntArray  # (N,)
    logits: Logits  # (N, K)
    subjects: tuple[str, ...] | None = None  # files of version 0.1.0 do not name them


class SeedPair(Frozen):
    """Both systems with one seed, and McNemar's exact test of whether either is right more often."""

    seed: int
    accuracy_a: float
    accuracy_b: float
    macro_f1_a: float
    macro_f1_b: float
    only_a: int = Field(description="samples that A alone has right")
    only_b: int = Field(description="samples that B alone has right")
    p: float = Field(description="two-sided, exact")


class Paired(Frozen):
    """One figure of both systems, as means over the seeds, and the difference A − B from seed to seed."""

    a: float
    b: float
    difference: Spread


class SampleVerdict(Frozen):
    """Samples that either system has right in more of the seeds, and the exact sign test over them."""

    more_a: int
    more_b: int
    p: float = Field(description="two-sided, exact; with one seed it is McNemar's")


class SubjectVerdict(Frozen):
    """The difference A − B of accuracies, had the test subjects been others."""

    n: int
    interval_95: tuple[float, float] = Field(description="percentiles of a bootstrap over subjects")


class Comparison(Frozen):
    """A against B over the seeds that both have; fractions, never per cent."""

    n: int
    n_seeds: int
    accuracy: Paired
    macro_f1: Paired
    seeds: tuple[SeedPair, ...]
    samples: SampleVerdict
    subjects: SubjectVerdict | None = Field(description="null if subjects are unknown, or there is only one")
    confusion_a: Confusion = Field(description="added up over the seeds; rows are the true class")
    confusion_b: Confusion


def compare(a: Mapping[int, Predictions], b: Mapping[int, Predictions]) -> Comparison:
    """Pair two systems by seed and by sample.

    The copies of a sample that several seeds judged are no independent samples: added up over R seeds, McNemar's
    counts would claim R times the evidence. So the test is made for each seed alone, and once over all seeds with
    every sample as one vote for the system that was right in more of them; a tie is no vote. That verdict holds for
    the mean over these seeds and for further recordings of these subjects. Samples that are copies of one another, as
    a sensor's are where every camera has a recording, make it too sure.

    Each seed is looked up once, and of its predictions only the classes are kept, so that with a mapping which reads
    them when it is asked no more than a few seeds are in memory, however many there are.

    Args:
        a: by seed, its folds pooled.
        b: likewise; samples may stand in another order.

    Raises:
        NotComparable: there is no common seed, or samples, labels or classes are not the same.
    """
    seeds = common_seeds(a, b)
    reference = a[seeds[0]]
    said_a, subjects_a = _said("A", seeds, chain([reference], (a[seed] for seed in seeds[1:])), reference)
    said_b, subjects_b = _said("B", seeds, (b[seed] for seed in seeds), reference)
    labels, classes = reference.labels, reference.logits.shape[1]
    confusions_a, confusions_b = (
        [confusion_matrix(row, labels, classes=classes) for row in said] for said in (said_a, said_b)
    )
    right_a, right_b = said_a == labels, said_b == labels
    pairs = tuple(map(_seed_pair, seeds, right_a, right_b, confusions_a, confusions_b))
    subjects = subjects_a or subjects_b
    return Comparison(
        n=len(labels),
        n_seeds=len(seeds),
        accuracy=_paired([pair.accuracy_a for pair in pairs], [pair.accuracy_b for pair in pairs]),
        macro_f1=_paired([pair.macro_f1_a for pair in pairs], [pair.macro_f1_b for pair in pairs]),
        seeds=pairs,
        samples=_over_samples(right_a, right_b),
        subjects=None if subjects is None else _over_subjects(right_a, right_b, subjects),
        confusion_a=_added(confusions_a),
        confusion_b=_added(confusions_b),
    )


def common_seeds(a: Collection[int], b: Collection[int]) -> list[int]:
    """The seeds of both, in order. Raises NotComparable: there is none."""
    seeds = sorted(set(a) & set(b))
    if not seeds:
        raise NotComparable(
            f"no seed in common: A has seeds {_listed(a)}, B has {_listed(b)}; run one of them with seeds of the other"
        )
    return seeds


def exact_sign_test(first: int, second: int) -> float:
    """P of a split at least as uneven as (first, second) if either side were as likely: binomial, two-sided, in [0, 1].

    Of the counts that only one of two systems has right, this is McNemar's exact test. In whole numbers, so that no
    digit is lost before the last division, however many samples there are.
    """
    n, term, tail = first + second, 1, 0
    for k in range(min(first, second) + 1):
        tail += term
        term = term * (n - k) // (k + 1)  # the next binomial coefficient
    chance: float = 2 * tail / 2**n
    return min(1.0, chance)


# --- Stored predictions -------------------------------------------------------------------------------------------


def read_predictions(data: bytes, *, file: str | None, part: Literal["test", "validation"] = "test") -> Predictions:
    """One part of what `Run.save_predictions` wrote; subjects are null if it was written by version 0.1.0.

    Raises:
        DataError: the file is damaged, or holds nothing of that part.
    """
    held = read_part(data, file=file, part=part)
    return Predictions(
        ids=tuple(held["ids"].tolist()),
        labels=held["labels"],
        logits=held["logits"],
        subjects=tuple(held["subjects"].tolist()) if "subjects" in held else None,
    )


def read_part(data: bytes, *, file: str | None, part: Literal["test", "validation"]) -> dict[str, np.ndarray]:
    """Every array of one part of what `Run.save_predictions` wrote, by its name without the part's.

    Raises:
        DataError: the file is damaged, or holds nothing of that part.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            held = {key.removeprefix(f"{part}_"): arrays[key] for key in arrays.files if key.startswith(f"{part}_")}
    except UNREADABLE as broken:
        raise DataError(f"no predictions can be read from it ({broken})", file=file) from broken
    if not {"ids", "labels", "logits"} <= held.keys():
        raise DataError(f"it holds no predictions of the {part} part", file=file)
    return held


def pool(folds: Sequence[Predictions]) -> Predictions:
    """One seed's predictions over all its folds, of which there is at least one."""
    named = [fold.subjects for fold in folds if fold.subjects is not None]
    return Predictions(
        ids=tuple(chain.from_iterable(fold.ids for fold in folds)),
        labels=np.concatenate([fold.labels for fold in folds]),
        logits=np.concatenate([fold.logits for fold in folds]),
        subjects=tuple(chain.from_iterable(named)) if len(named) == len(folds) else None,
    )


# --- The same samples in the same order ---------------------------------------------------------------------------


def _said(
    name: str, seeds: Sequence[int], system: Iterable[Predictions], reference: Predictions
) -> tuple[IntArray, list[str] | None]:
    """Classes (R, N) that a system predicts of the reference's samples, and whose these are, if any seed names it."""
    said: list[IntArray] = []
    subjects = None
    for seed, predictions in zip(seeds, system, strict=True):
        order = _order(predictions, reference, f"{name}, seed {seed}")
        said.append(predictions.logits[order].argmax(axis=1))
        if subjects is None and predictions.subjects is not None:
            subjects = [predictions.subjects[row] for row in order]
    return np.stack(said), subjects


def _order(predictions: Predictions, reference: Predictions, where: str) -> list[int]:
    """The row of each of the reference's samples."""
    if predictions.logits.shape[1] != reference.logits.shape[1]:
        raise NotComparable(f"{where} tells {predictions.logits.shape[1]} classes, not {reference.logits.shape[1]}")
    rows = _rows_by_id(predictions, where)
    if rows.keys() != set(reference.ids):
        apart = sorted(rows.keys() ^ set(reference.ids))
        raise NotComparable(
            f"{where} was tested on other samples: {len(apart)} stand on one side only, such as {apart[0]!r}; "
            "both must be tested on the same recordings"
        )
    order = [rows[id_] for id_ in reference.ids]
    if wrong := np.flatnonzero(predictions.labels[order] != reference.labels).tolist():
        raise NotComparable(
            f"{where} has another label for {len(wrong)} of the samples, such as {reference.ids[wrong[0]]!r}; "
            "both must be tested on the same data"
        )
    return order


def _rows_by_id(predictions: Predictions, where: str) -> dict[str, int]:
    rows = {id_: row for row, id_ in enumerate(predictions.ids)}
    if len(rows) != len(predictions.ids):
        raise NotComparable(f"{where} has {len(predictions.ids)} predictions of {len(rows)} samples; pool a fold once")
    return rows


# --- Over seeds, samples and subjects -----------------------------------------------------------------------------


def _seed_pair(
    seed: int, right_a: BoolArray, right_b: BoolArray, confusion_a: IntArray, confusion_b: IntArray
) -> SeedPair:
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return SeedPair(
        seed=seed,
        accuracy_a=accuracy(confusion_a),
        accuracy_b=accuracy(confusion_b),
        macro_f1_a=macro_f1(confusion_a),
        macro_f1_b=macro_f1(confusion_b),
        only_a=only_a,
        only_b=only_b,
        p=exact_sign_test(only_a, only_b),
    )


def _paired(a: Sequence[float], b: Sequence[float]) -> Paired:
    differences = [of_a - of_b for of_a, of_b in zip(a, b, strict=True)]
    return Paired(a=spread(a).mean, b=spread(b).mean, difference=spread(differences))


def _over_samples(right_a: BoolArray, right_b: BoolArray) -> SampleVerdict:
    votes = np.sign(right_a.sum(axis=0) - right_b.sum(axis=0))  # (N,)
    more_a, more_b = int((votes > 0).sum()), int((votes < 0).sum())
    return SampleVerdict(more_a=more_a, more_b=more_b, p=exact_sign_test(more_a, more_b))


def _over_subjects(right_a: BoolArray, right_b: BoolArray, subjects: Sequence[str]) -> SubjectVerdict | None:
    names, place = np.unique(np.asarray(subjects), return_inverse=True)
    lead = right_a.mean(axis=0) - right_b.mean(axis=0)  # (N,), of each sample over the seeds
    interval = subject_interval_95(np.bincount(place, weights=lead), np.bincount(place))
    return None if interval is None else SubjectVerdict(n=len(names), interval_95=interval)


def _added(confusions: Sequence[IntArray]) -> Confusion:
    return tuple(tuple(row) for row in np.sum(confusions, axis=0).tolist())


def _listed(seeds: Collection[int]) -> str:
    return ", ".join(map(str, sorted(seeds))) or "none"
