"""Hand features of a clip, for the classical baseline: what was used on worn sensors before networks were.

Each sensor gives its x, y, z and their vector's length m; each of these four gives, in this order:

1. of time: mean, standard deviation, minimum, maximum, median, interquartile range, skewness, excess kurtosis, mean
   absolute step from sample to sample, share of steps across the mean, and the means of the clip's four quarters;
2. of frequency, from the power spectrum without its constant part: the dominant frequency, the centroid and the entropy
   of the spectrum, and the shares of power in 1–2, 3–5, 6–10, 11–20 and more cycles a clip. A clip is stretched to a
   fixed length, so frequencies are in cycles a clip.

Then come the correlations xy, xz, yz. A sensor thus gives 4 · 22 + 3 = 91 features, in its own unit.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pskd_core.shapes import FloatArray

Array = npt.NDArray[np.float64]

FEATURES_A_SENSOR = 91
_BAND_STARTS = (1, 3, 6, 11, 21)  # cycles a clip
_TINY = 1e-12  # what keeps the moments of a constant channel at 0


def hand_features(values: FloatArray) -> FloatArray:
    """Features of one sensor.

    Args:
        values: (N, 3, T), T ≥ 2, in the sensor's unit.

    Returns:
        (N, 91), finite; a sample's row depends on that sample alone.
    """
    series = np.asarray(values, np.float64)
    length = np.linalg.norm(series, axis=1, keepdims=True)
    series = np.concatenate([series, length], axis=1)  # (N, 4, T)
    each = np.concatenate([_of_time(series), _of_frequency(series)], axis=2)  # (N, 4, 22)
    features = np.concatenate([each.reshape(len(series), -1), _correlations(series[:, :3])], axis=1)
    return np.asarray(features, np.float32)


def _of_time(series: Array) -> Array:
    """(N, C, T) → (N, C, 14)."""
    mean, sd = series.mean(axis=2), series.std(axis=2)
    centred = series - mean[..., None]
    standard = centred / np.maximum(sd, _TINY)[..., None]
    low, median, high = np.quantile(series, [0.25, 0.5, 0.75], axis=2)
    above = centred > 0
    quarters = [part.mean(axis=2) for part in np.array_split(series, 4, axis=2)]
    figures = [
        mean,
        sd,
        series.min(axis=2),
        series.max(axis=2),
        median,
        high - low,
        (standard**3).mean(axis=2),
        np.where(sd > _TINY, (standard**4).mean(axis=2) - 3, 0),
        np.abs(np.diff(series, axis=2)).mean(axis=2),
        (above[..., 1:] != above[..., :-1]).mean(axis=2),
        *quarters,
    ]
    return np.stack(figures, axis=2)


def _of_frequency(series: Array) -> Array:
    """(N, C, T) → (N, C, 8)."""
    power = np.abs(np.fft.rfft(series - series.mean(axis=2, keepdims=True), axis=2))[..., 1:] ** 2
    share = power / np.maximum(power.sum(axis=2, keepdims=True), _TINY)
    cycles = np.arange(1, share.shape[2] + 1)
    entropy = -(share * np.log(np.maximum(share, _TINY))).sum(axis=2)
    bounds = [*_BAND_STARTS, share.shape[2] + 1]
    bands = [share[..., first - 1 : last - 1].sum(axis=2) for first, last in pairwise(bounds)]
    return np.stack([share.argmax(axis=2) + 1.0, (share * cycles).sum(axis=2), entropy, *bands], axis=2)


def _correlations(axes: Array) -> Array:
    """(N, 3, T) → (N, 3)."""
    centred = axes - axes.mean(axis=2, keepdims=True)
    sd = np.maximum(axes.std(axis=2), _TINY)
    pairs = [(0, 1), (0, 2), (1, 2)]
    products = [
        (centred[:, one] * centred[:, other]).mean(axis=1) / (sd[:, one] * sd[:, other]) for one, other in pairs
    ]
    return np.stack(products, axis=1)
