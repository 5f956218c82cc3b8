"""Temperature, distance and thresholds against second implementations."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import mahalanobis

from pskd_core.evaluation.calibration import (
    HeldOut,
    Judged,
    calibrate,
    distances,
    embedding_space,
    fit_temperature,
    pool_held_out,
    softmax,
)
from pskd_core.shapes import FloatArray, IntArray


def drawn(*, n: int, temperature: float, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Logits of five classes, and labels as probable as the logits at that temperature say."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(scale=4, size=(n, 5)).astype(np.float32)
    chosen = (softmax(logits, temperature=temperature).cumsum(axis=1) > draw.random((n, 1))).argmax(axis=1)
    return logits, chosen.astype(np.int64)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found(temperature: float) -> None:
    """Labels drawn at a temperature give it back."""
    assert fit_temperature(*drawn(n=20_000, temperature=temperature)) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("n", [1, 7, 60])
def test_the_temperature_minimises_the_cross_entropy(n: int) -> None:
    """A general minimiser of the cross-entropy over the recordings and one unknown more finds the same place."""
    logits, labels = drawn(n=n, temperature=2.0, seed=n)
    targets = (np.eye(5)[labels] + 1 / (5 * n)) / (n + 1) * n  # the one more, spread over all recordings and classes

    def loss(log_temperature: float) -> float:
        return float(-(targets * np.log(softmax(logits, temperature=float(np.exp(log_temperature))))).sum())

    best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-8})
    assert fit_temperature(logits, labels) == pytest.approx(float(np.exp(best.x)), rel=1e-3)


def test_no_mistake_is_not_infallibility() -> None:
    """Ten right answers of ten leave more doubt than a thousand of a thousand, and neither leaves none."""
    few, many = (
        fit_temperature(5 * np.eye(5, dtype=np.float32)[np.arange(n) % 5], np.arange(n) % 5) for n in (10, 1000)
    )
    assert 0.05 < many < few


def test_distances_are_those_of_mahalanobis() -> None:
    """Distances equal scipy's to the nearest class mean, under the shrunk common covariance."""
    draw = np.random.default_rng(1)
    labels = np.repeat([0, 2], 40)  # class 1 was not trained
    points = (draw.normal(size=(80, 3)) * [1, 2, 3] + labels[:, None]).astype(np.float32)
    means = [points[labels == label].mean(axis=0) for label in (0, 2)]
    apart = points - np.array(means)[labels // 2]
    covariance = apart.T @ apart / 80
    inverse = np.linalg.inv(0.95 * covariance + 0.05 * np.trace(covariance) / 3 * np.eye(3))
    asked = draw.normal(size=(6, 3)).astype(np.float32) * 5
    expected = [min(mahalanobis(point, mean, inverse) for mean in means) for point in asked]
    assert distances(embedding_space(points, labels), asked) == pytest.approx(expected, rel=1e-4)


def test_alike_embeddings_have_a_space() -> None:
    """A network that says the same of everything is at no distance from it, and far from all else."""
    same = np.ones((4, 3), np.float32)
    space = embedding_space(same, np.array([0, 0, 1, 1]))
    assert distances(space, same) == pytest.approx(np.zeros(4), abs=1e-3)
    assert distances(space, 2 * same).min() > 1000


def test_thresholds_keep_what_validation_had_right() -> None:
    """95 of 100 right answers reach the least confidence, none is beyond the largest distance; wrong ones may be."""
    logits, labels = drawn(n=400, temperature=2.0)
    away = np.random.default_rng(2).random(400) * 9
    right = logits.argmax(axis=1) == labels
    away[np.flatnonzero(~right)[0]] = 1e6
    held_out = HeldOut(logits, labels, distances=away, gravity_free=np.float32(1 / 3) * logits)
    found = calibrate(held_out, test=Judged(logits, labels))
    confidences = softmax(logits, temperature=found.temperature).max(axis=1)
    assert (confidences[right] >= found.min_confidence).mean() == pytest.approx(0.95, abs=0.01)
    assert found.max_distance == away[right].max()
    assert found.gravity_free_temperature == pytest.approx(found.temperature / 3, rel=0.05)
    assert found.validation.ece_after < found.validation.ece_before
    assert found.test == found.validation


def test_a_network_that_is_never_right_is_calibrated() -> None:
    """Thresholds come from all recordings where none was labelled rightly."""
    logits = 5 * np.eye(5, dtype=np.float32)
    held_out = HeldOut(logits, (np.arange(5) + 1) % 5, distances=np.ones(5), gravity_free=None)
    found = calibrate(held_out, test=None)
    assert found.temperature > 5
    assert found.max_distance == 1


def test_inner_folds_calibrate_as_one_validation_part() -> None:
    """What three folds held out gives, pooled, what it would give as one part; a missing fold gives none."""
    logits, labels = drawn(n=90, temperature=2.0)
    away = np.random.default_rng(3).random(90)
    free = np.float32(0.5) * logits
    parts = [slice(0, 20), slice(20, 50), slice(50, 90)]
    folds = [HeldOut(logits[part], labels[part], away[part], free[part]) for part in parts]
    pooled = pool_held_out(folds)
    assert pooled is not None
    found, whole = calibrate(pooled, test=None), calibrate(HeldOut(logits, labels, away, free), test=None)
    assert found.model_copy(update={"rule": whole.rule}) == whole
    assert "inner folds" in found.rule
    assert pool_held_out([*folds, None]) is None
    assert pool_held_out([]) is None
