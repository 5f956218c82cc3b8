"""Whatever two systems said, their comparison is fair to both."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pskd_core.evaluation.comparison import Predictions, compare, exact_sign_test
from pskd_core.shapes import IntArray

Systems = tuple[dict[int, Predictions], dict[int, Predictions]]
CLASSES = 3


@st.composite
def systems(draw: st.DrawFn) -> Systems:
    """Two systems over one to three seeds, on up to twelve samples of up to four subjects."""
    n, seeds = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    classes = st.lists(st.integers(0, CLASSES - 1), min_size=n, max_size=n)
    labels = np.array(draw(classes))
    subjects = tuple(map(str, draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))))

    def system() -> dict[int, Predictions]:
        return {seed: _said(np.array(draw(classes)), labels, subjects) for seed in range(seeds)}

    return system(), system()


def _said(classes: IntArray, labels: IntArray, subjects: tuple[str, ...]) -> Predictions:
    logits = np.eye(CLASSES, dtype=np.float32)[classes]
    return Predictions(tuple(f"r{row}" for row in range(len(labels))), labels, logits, subjects)


@given(systems())
@settings(max_examples=50, deadline=None)
def test_exchanging_the_two_turns_every_sign(both: Systems) -> None:
    """B against A says of B what A against B says of A."""
    a, b = both
    there, back = compare(a, b), compare(b, a)
    assert np.isclose(there.accuracy.difference.mean, -back.accuracy.difference.mean)
    assert np.isclose(there.macro_f1.difference.mean, -back.macro_f1.difference.mean)
    assert (there.samples.more_a, there.samples.more_b, there.samples.p) == (
        back.samples.more_b,
        back.samples.more_a,
        back.samples.p,
    )
    assert [pair.p for pair in there.seeds] == [pair.p for pair in back.seeds]
    assert (there.confusion_a, there.confusion_b) == (back.confusion_b, back.confusion_a)


@given(systems(), st.data())
@settings(max_examples=50, deadline=None)
def test_order_of_samples_means_nothing(both: Systems, data: st.DataObject) -> None:
    """B's samples in any other order give the same comparison."""
    a, b = both
    rows = data.draw(st.permutations(range(len(b[0].ids))))
    assert compare(a, {seed: _reordered(each, rows) for seed, each in b.items()}) == compare(a, b)


def _reordered(predictions: Predictions, rows: list[int]) -> Predictions:
    ids, subjects = (tuple(values[row] for row in rows) for values in (predictions.ids, predictions.subjects or ()))
    return Predictions(ids, predictions.labels[rows], predictions.logits[rows], subjects)


@given(systems())
@settings(max_examples=50, deadline=None)
def test_counts_and_figures_tell_the_same(both: Systems) -> None:
    """A seed's lead in accuracy is its discordant counts over N, its P is scipy's, and the subjects hold the mean."""
    found = compare(*both)
    for pair in found.seeds:
        assert np.isclose(pair.accuracy_a - pair.accuracy_b, (pair.only_a - pair.only_b) / found.n)
        discordant = pair.only_a + pair.only_b
        assert not discordant or np.isclose(pair.p, stats.binomtest(pair.only_a, discordant).pvalue)
    if found.subjects is not None:
        low, high = found.subjects.interval_95
        assert -1 <= low <= high <= 1


@given(st.integers(0, 300), st.integers(0, 300))
def test_sign_test_is_scipys(first: int, second: int) -> None:
    """Any split has scipy's P, and turning it round changes nothing."""
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert np.isclose(exact_sign_test(first, second), expected, rtol=1e-9, atol=0)
    assert exact_sign_test(first, second) == exact_sign_test(second, first)
