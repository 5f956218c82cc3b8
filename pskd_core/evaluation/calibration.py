"""How far a network's word goes: a temperature for its probabilities, a distance from what it was trained on; in numpy.

Temperature scaling is that of Guo et al. (ICML 2017), the distance that of Lee et al. (NeurIPS 2018): Mahalanobis, to
the nearest class in the embedding, under one covariance for all classes.
"""

import math
from dataclasses import dataclass

import numpy as np

from pskd_core.bundle import Calibration, Reliability
from pskd_core.evaluation.metrics import Float64Array, expected_calibration_error
from pskd_core.shapes import FloatArray, IntArray

_COLDEST, _HOTTEST = 0.05, 20.0
_SHRINKAGE = 0.05  # of the covariance towards a sphere; there may be fewer clips than dimensions
_LOST = 5  # per cent of the right answers on validation that the least confidence would call unknown
_RULE = (
    f"unknown below the confidence that {100 - _LOST} % of the rightly labelled validation recordings reach, and "
    "farther from the training recordings than any of these"
)


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Where a network's training recordings lie in its embedding."""

    whitening: FloatArray  # (D, D), to be multiplied from the left
    centres: FloatArray  # (classes that were trained, D), whitened


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a network said of N recordings, and what they were."""

    logits: FloatArray  # (N, K)
    labels: IntArray  # (N,)


def calibrate(
    validation: Judged, *, distances: Float64Array, gravity_free: FloatArray | None, test: Judged | None
) -> Calibration:
    """Temperature and thresholds from the validation part; the test part is only measured.

    Args:
        validation: N ≥ 1 recordings.
        distances: (N,) of these from the training recordings.
        gravity_free: (N, K) logits of the same recordings without their gravity, for a network trained with it.
        test: what to measure the temperature on besides.
    """
    temperature = fit_temperature(validation.logits, validation.labels)
    right = validation.logits.argmax(axis=1) == validation.labels
    counted = right if right.any() else ~right
    confidences = softmax(validation.logits, temperature=temperature).max(axis=1)
    return Calibration(
        temperature=temperature,
        gravity_free_temperature=None if gravity_free is None else fit_temperature(gravity_free, validation.labels),
        min_confidence=float(np.percentile(confidences[counted], _LOST)),
        max_distance=max(float(distances[counted].max()), 1e-6),
        rule=_RULE,
        validation=_reliability(validation, temperature),
        test=_reliability(test, temperature) if test is not None else None,
    )


def softmax(logits: FloatArray, *, temperature: float) -> Float64Array:
    """Probabilities (N, K) at a temperature."""
    scaled = (logits.astype(np.float64) - logits.max(axis=1, keepdims=True)) / temperature
    exponentials = np.exp(scaled)
    found: Float64Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return found


def fit_temperature(logits: FloatArray, labels: IntArray) -> float:
    """The temperature of least cross-entropy over N ≥ 1 recordings and one more, of which nothing is known.

    Without that one a network that makes no mistake in few recordings would be taken for infallible. The cross-entropy
    is convex in the inverse temperature, so its slope is bisected; the result lies in [0.05, 20].
    """
    values = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    said = values[np.arange(len(labels)), labels].sum() + values.mean()  # of the one more: all classes alike
    wanted = said / (len(labels) + 1)
    cold, hot = math.log(_COLDEST), math.log(_HOTTEST)
    for _ in range(50):
        middle = (cold + hot) / 2
        expected = (softmax(values, temperature=math.exp(middle)) * values).sum(axis=1).mean()
        cold, hot = (middle, hot) if expected > wanted else (cold, middle)
    return math.exp((cold + hot) / 2)


def embedding_space(embeddings: FloatArray, labels: IntArray) -> Space:
    """The classes' means and their common covariance, from the training recordings' embeddings (N, D)."""
    points = embeddings.astype(np.float64)
    centres = np.stack([points[labels == label].mean(axis=0) for label in np.unique(labels)])
    apart = points - centres[np.searchsorted(np.unique(labels), labels)]
    covariance = apart.T @ apart / len(points)
    size = max(float(np.trace(covariance)) / len(covariance), 1e-12)
    shrunk = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * size * np.eye(len(covariance))
    whitening = np.linalg.inv(np.linalg.cholesky(shrunk))
    return Space(whitening.astype(np.float32), (centres @ whitening.T).astype(np.float32))


def distances(space: Space, embeddings: FloatArray) -> Float64Array:
    """Mahalanobis distance (N,) of embeddings (N, D) from the nearest class."""
    points = embeddings.astype(np.float64) @ space.whitening.T.astype(np.float64)
    found: Float64Array = np.stack([np.linalg.norm(points - centre, axis=1) for centre in space.centres]).min(axis=0)
    return found


def _reliability(judged: Judged, temperature: float) -> Reliability:
    return Reliability(
        n=len(judged.labels),
        ece_before=expected_calibration_error(judged.logits, judged.labels),
        ece_after=expected_calibration_error(judged.logits / temperature, judged.labels),
    )
