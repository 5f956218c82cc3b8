"""The paired comparison against hand-computed constants, scipy, and files as runs write them."""

import io
import json
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from pskd_core.errors import DataError, NotComparable
from pskd_core.evaluation.comparison import Predictions, compare, exact_sign_test, pool, read_predictions
from pskd_core.evaluation.metrics import scores, subject_interval_95

LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 2])
SUBJECTS: tuple[str, ...] = ("1", "1", "2", "2", "3", "3", "4", "4")


def said(*classes: int, subjects: tuple[str, ...] | None = SUBJECTS) -> Predictions:
    """A system that says these classes of the eight samples."""
    ids = tuple(f"r{place}" for place in range(len(classes)))
    return Predictions(ids, LABELS[: len(classes)], np.eye(3, dtype=np.float32)[list(classes)], subjects)


# Seed 0: A alone has right r3 and r6, B alone r7. Seed 1: A alone r3, r4 and r7, B alone none.
A = {0: said(0, 0, 0, 1, 1, 0, 2, 0), 1: said(0, 0, 1, 1, 1, 0, 2, 2)}
B = {0: said(0, 0, 0, 0, 1, 0, 0, 2), 1: said(0, 0, 1, 0, 0, 0, 2, 0)}


def test_eight_samples_by_hand() -> None:
    """Means, difference, discordant counts, P and votes of two seeds are those counted on paper."""
    found = compare(A, B)
    assert (found.n, found.n_seeds) == (8, 2)
    assert [(pair.seed, pair.only_a, pair.only_b, pair.p) for pair in found.seeds] == [(0, 2, 1, 1.0), (1, 3, 0, 0.25)]
    assert (found.accuracy.a, found.accuracy.b) == (0.75, 0.5)
    # By seed A leads by 1/8 and 3/8: mean 1/4, sd 1/8·√2, and t of one degree of freedom is 12.7062.
    assert found.accuracy.difference.mean == 0.25
    assert found.accuracy.difference.interval_95 == pytest.approx((0.25 - 12.7062 / 8, 0.25 + 12.7062 / 8), abs=1e-4)
    # r3 twice, r4 and r6 once for A; on r7 each is right once.
    assert (found.samples.more_a, found.samples.more_b, found.samples.p) == (3, 0, 0.25)
    assert found.confusion_a == ((5, 1, 0), (2, 4, 0), (1, 0, 3))
    assert found.confusion_b == ((5, 1, 0), (5, 1, 0), (2, 0, 2))


def test_figures_are_those_of_the_scores() -> None:
    """Accuracy and macro-F1 of each seed equal what a run reports of the same predictions."""
    for pair in compare(A, B).seeds:
        for name, system in (("a", A), ("b", B)):
            reported = scores(system[pair.seed].logits, LABELS, SUBJECTS)
            assert getattr(pair, f"accuracy_{name}") == reported.accuracy
            assert getattr(pair, f"macro_f1_{name}") == reported.macro_f1


def test_one_seed_has_no_interval_over_seeds() -> None:
    """A single common seed leaves the difference without deviation and interval, and the votes are McNemar's."""
    found = compare(A, {0: B[0], 7: B[1]})
    assert (found.accuracy.difference.sd, found.accuracy.difference.interval_95) == (None, None)
    (pair,) = found.seeds
    assert (found.samples.more_a, found.samples.more_b, found.samples.p) == (pair.only_a, pair.only_b, pair.p)


def test_difference_agrees_with_scipys_paired_t_test() -> None:
    """The interval over five seeds is that of scipy's paired t test, for accuracy and macro-F1."""
    a, b = drawn_systems(skill_a=1.5, skill_b=1.0)
    found = compare(a, b)
    for name in ("accuracy", "macro_f1"):
        of_a = [getattr(pair, f"{name}_a") for pair in found.seeds]
        of_b = [getattr(pair, f"{name}_b") for pair in found.seeds]
        expected = stats.ttest_rel(of_a, of_b).confidence_interval(0.95)
        assert getattr(found, name).difference.interval_95 == pytest.approx((expected.low, expected.high))


def test_equal_systems_do_not_differ() -> None:
    """A system compared with itself differs by nothing, with certainty 1 that this is chance."""
    found = compare(A, A)
    assert (found.accuracy.difference.mean, found.samples.p) == (0, 1)
    assert found.subjects is not None
    assert set(found.subjects.interval_95) == {0}
    assert found.confusion_a == found.confusion_b


def test_copies_of_a_sample_are_no_evidence() -> None:
    """The same predictions under five seeds leave the verdict over samples as sure as one seed did."""
    once = compare({0: A[1]}, {0: B[1]})
    often = compare(dict.fromkeys(range(5), A[1]), dict.fromkeys(range(5), B[1]))
    assert often.samples == once.samples


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (5, 5), (3, 12), (40, 61), (0, 400)])
def test_sign_test_agrees_with_scipy(first: int, second: int) -> None:
    """Even, uneven, empty and extreme splits have scipy's P."""
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert exact_sign_test(first, second) == pytest.approx(expected, rel=1e-12)


def test_sign_test_of_many_samples_is_a_number() -> None:
    """Tens of thousands of discordant samples neither overflow nor divide by zero."""
    assert exact_sign_test(18_000, 18_000) == 1
    assert exact_sign_test(0, 40_000) == 0
    assert exact_sign_test(9_800, 10_200) == pytest.approx(stats.binomtest(9_800, 20_000).pvalue, rel=1e-9)


class Looked(Mapping[int, Predictions]):
    """Makes a seed's predictions anew when they are looked up, and counts how many are alive then."""

    def __init__(self, system: Mapping[int, Predictions], made: list["weakref.ref[np.ndarray]"]) -> None:
        self._system, self._made = system, made
        self.looked_up: list[int] = []
        self.most_alive = 0

    def __getitem__(self, seed: int) -> Predictions:
        alive = sum(logits() is not None for logits in self._made)
        self.most_alive = max(self.most_alive, alive)
        self.looked_up.append(seed)
        fresh = replace(self._system[seed], logits=self._system[seed].logits.copy())
        self._made.append(weakref.ref(fresh.logits))
        return fresh

    def __iter__(self) -> Iterator[int]:
        return iter(self._system)

    def __len__(self) -> int:
        return len(self._system)


def test_seeds_are_looked_up_one_after_another() -> None:
    """Each common seed of either system is made once, two others at most are alive then, and the result is the same."""
    a, b = drawn_systems(skill_a=1.5, skill_b=1.0)
    made: list[weakref.ref[np.ndarray]] = []
    lazy_a, lazy_b = Looked(a, made), Looked(b | {9: b[0]}, made)
    assert compare(lazy_a, lazy_b) == compare(a, b)
    assert lazy_a.looked_up == lazy_b.looked_up == [0, 1, 2, 3, 4]
    assert max(lazy_a.most_alive, lazy_b.most_alive) <= 2


# --- Other subjects -----------------------------------------------------------------------------------------------


def test_bootstrap_of_two_subjects_by_hand() -> None:
    """Two equal subjects at 0 and 1 are drawn as (0, 0), (0, 1), (1, 1): the percentiles are 0 and 1."""
    assert subject_interval_95([0, 10], [10, 10]) == (0, 1)


def test_bootstrap_agrees_with_scipy() -> None:
    """Over twenty subjects of unequal size the percentiles are scipy's, to its resampling noise."""
    rng = np.random.default_rng(0)
    counts = rng.integers(20, 40, 20)
    hits = rng.binomial(counts, 0.8)

    def ratio(hits: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(hits.sum(axis=axis) / counts.sum(axis=axis))

    expected = stats.bootstrap(
        (hits, counts), ratio, paired=True, n_resamples=20_000, method="percentile", rng=rng
    ).confidence_interval
    assert subject_interval_95(hits, counts) == pytest.approx((expected.low, expected.high), abs=2e-3)


def test_bootstrap_is_the_same_each_time() -> None:
    """Equal figures give equal intervals, and one subject gives none."""
    assert subject_interval_95([3, 5, 9], [10, 10, 10]) == subject_interval_95([3, 5, 9], [10, 10, 10])
    assert subject_interval_95([3], [10]) is None


def test_lead_that_every_subject_shares_is_certain_over_subjects() -> None:
    """Where A leads by the same on each subject, other draws of these subjects change nothing; one that lags widens."""
    a, b = said(0, 0, 0, 1, 1, 1, 2, 2), said(0, 1, 0, 0, 1, 0, 2, 0)
    shared = compare({0: a}, {0: b}).subjects
    assert shared is not None
    assert (shared.n, shared.interval_95) == (4, (0.5, 0.5))
    uneven = compare({0: a}, {0: said(0, 0, 0, 1, 1, 0, 0, 0)}).subjects
    assert uneven is not None
    assert uneven.interval_95[0] == 0 < 0.375 < uneven.interval_95[1] <= 1


def test_subjects_of_either_file_serve_both() -> None:
    """Files that do not name subjects borrow them from those that do; without any, or with one, nothing is claimed."""
    bare = {seed: said(*each.logits.argmax(axis=1).tolist(), subjects=None) for seed, each in A.items()}
    assert compare(bare, B) == compare(A, B)
    assert compare(bare, bare).subjects is None
    alone = said(0, 0, 0, 1, 1, 0, 2, 0, subjects=("9",) * 8)
    assert compare({0: alone}, {0: alone}).subjects is None


# --- What is refused ----------------------------------------------------------------------------------------------


def test_no_common_seed_is_refused() -> None:
    """The message says which seeds there are."""
    with pytest.raises(NotComparable, match=r"A has seeds 0, 1, B has 5; run one of them"):
        compare(A, {5: B[0]})
    with pytest.raises(NotComparable, match="B has none"):
        compare(A, {})


def test_other_samples_are_refused() -> None:
    """A sample that one side lacks is named, in whichever system and seed it is."""
    with pytest.raises(NotComparable, match=r"B, seed 1 .* 1 stand on one side only, such as 'r7'"):
        compare(A, {0: B[0], 1: said(0, 0, 0, 1, 1, 1, 2, subjects=None)})


def test_other_labels_and_classes_are_refused() -> None:
    """The same recordings with another truth, or with other classes, are no common ground."""
    relabelled = Predictions(B[0].ids, np.where(LABELS == 2, 0, LABELS), B[0].logits)
    with pytest.raises(NotComparable, match=r"B, seed 0 has another label for 2 .* 'r6'"):
        compare(A, {0: relabelled})
    with pytest.raises(NotComparable, match="tells 4 classes, not 3"):
        compare(A, {0: Predictions(B[0].ids, LABELS, np.zeros((8, 4), np.float32))})


def test_a_sample_twice_is_refused() -> None:
    """Pooling a fold twice would count its samples twice."""
    with pytest.raises(NotComparable, match="A, seed 0 has 16 predictions of 8 samples"):
        compare({0: pool([A[0], A[0]])}, B)


# --- Files --------------------------------------------------------------------------------------------------------


def saved(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def test_file_without_subjects_is_read() -> None:
    """What version 0.1.0 wrote has ids, labels and logits, and is as good but for the subjects."""
    data = saved(test_ids=np.array(["x"]), test_labels=np.array([1]), test_logits=np.eye(1, 2))
    found = read_predictions(data, file=None)
    assert (found.ids, found.labels.tolist(), found.logits.tolist(), found.subjects) == (("x",), [1], [[1, 0]], None)


def test_folds_are_pooled_in_any_order() -> None:
    """Pooled folds compare like the whole, also when each side pools them in another order."""
    halves = [split(each, half) for each in (A[0], B[0]) for half in (slice(0, 5), slice(5, 8))]
    assert compare({0: pool(halves[:2])}, {0: pool(halves[:1:-1])}) == compare({0: A[0]}, {0: B[0]})


def split(predictions: Predictions, part: slice) -> Predictions:
    return Predictions(predictions.ids[part], predictions.labels[part], predictions.logits[part], SUBJECTS[part])


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 cut off", b"plain text", saved(test_ids=np.array([None]))])
def test_unusable_files_are_named(data: bytes) -> None:
    """Damage and pickles are data errors that say which file."""
    with pytest.raises(DataError, match=r"seed0\.npz: no predictions can be read"):
        read_predictions(data, file="seed0.npz")


def test_absent_part_is_told() -> None:
    """A run without validation has no validation predictions."""
    with pytest.raises(DataError, match="no predictions of the validation part"):
        read_predictions(saved(test_ids=np.array(["x"])), file=None, part="validation")


def test_comparison_is_strict_json() -> None:
    """What is answered holds no NaN."""
    json.dumps(compare(A, B).model_dump(mode="json"), allow_nan=False)


def drawn_systems(*, skill_a: float, skill_b: float) -> tuple[dict[int, Predictions], dict[int, Predictions]]:
    """Two systems over five seeds and 200 samples of four subjects."""
    rng = np.random.default_rng(0)
    labels, ids = rng.integers(0, 5, 200), tuple(map(str, range(200)))
    subjects = tuple(str(place % 4) for place in range(200))

    def system(skill: float) -> dict[int, Predictions]:
        noise = [rng.standard_normal((200, 5)).astype(np.float32) for _ in range(5)]
        return {
            seed: Predictions(ids, labels, drawn + skill * np.eye(5, dtype=np.float32)[labels], subjects)
            for seed, drawn in enumerate(noise)
        }

    return system(skill_a), system(skill_b)
