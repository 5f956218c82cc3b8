"""How far a network's word goes: a temperature for its probabilities, a distance from what it was trained on; in numpy.

Temperature scaling is that of Guo et al. (ICML 2017), the distance that of Lee et al. (NeurIPS 2018): Mahalanobis, to
the nearest class in the embedding, under one covariance for all classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pskd_core.bundle import Calibration, Reliability
from pskd_core.evaluation.comparison import read_part
from pskd_core.evaluation.metrics import Float64Array, expected_calibration_error
from pskd_core.shapes import FloatArray, IntArray

_COLDEST, _HOTTEST = 0.05, 20.0
_SHRINKAGE = 0.05  # of the covariance towards a sphere; there may be fewer clips than dimensions
_LOST = 5  # per cent of the right answers on validation that the least confidence would call unknown


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


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut(Judged):
    """What a network said of N ≥ 1 recordings that it was not trained on."""

    distances: Float64Array  # (N,) of these from the recordings that it was trained on
    gravity_free: FloatArray | None  # (N, K) logits without their gravity, if the network was trained with it
    recordings: str = "validation recordings"  # what a rule calls them


def calibrate(held_out: HeldOut, *, test: Judged | None) -> Calibration:
    """Temperature and thresholds from what was held out of training; the test part is only measured.

    Args:
        held_out: the validation part, or the pooled ones of inner folds.
        test: what to measure the temperature on besides.
    """
    labels, gravity_free = held_out.labels, held_out.gravity_free
    temperature = fit_temperature(held_out.logits, labels)
    right = held_out.logits.argmax(axis=1) == labels
    counted = right if right.any() else ~right
    confidences = softmax(held_out.logits, temperature=temperature).max(axis=1)
    return Calibration(
        temperature=temperature,
        gravity_free_temperature=None if gravity_free is None else fit_temperature(gravity_free, labels),
        min_confidence=float(np.percentile(confidences[counted], _LOST)),
        max_distance=max(float(held_out.distances[counted].max()), 1e-6),
        rule=f"unknown below the confidence that {100 - _LOST} % of the rightly labelled {held_out.recordings} reach, "
        "and farther from the training recordings than any of these",
        validation=_reliability(held_out, temperature),
        test=_reliability(test, temperature) if test is not None else None,
    )


def pool_held_out(folds: Sequence[HeldOut | None]) -> HeldOut | None:
    """What inner folds held out, to calibrate the network that was then trained on all; null if any fold is missing.

    Each recording was judged by a network that had not seen it. A distance is whitened by its own fold's covariance,
    so those of several folds are of one scale. The final network has seen more and is a little surer with reason; its
    thresholds are those of networks that had less.
    """
    there = [fold for fold in folds if fold is not None]
    if not there or len(there) < len(folds):
        return None
    free = [fold.gravity_free for fold in there if fold.gravity_free is not None]
    return HeldOut(
        logits=np.concatenate([fold.logits for fold in there]),
        labels=np.concatenate([fold.labels for fold in there]),
        distances=np.concatenate([fold.distances for fold in there]),
        gravity_free=np.concatenate(free) if len(free) == len(there) else None,
        recordings="recordings that inner folds held out",
    )


def read_held_out(data: bytes, *, file: str | None) -> HeldOut | None:
    """The validation part of what `Run.save_predictions` wrote; null of a forest and of files without distances.

    Raises:
        DataError: the file is damaged, or has no validation part.
    """
    held = read_part(data, file=file, part="validation")
    if "distances" not in held:  # files of version 0.1.0 lack them too
        return None
    return HeldOut(held["logits"], held["labels"], held["distances"], held.get("gravity_free"))


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
