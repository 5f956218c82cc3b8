"""Readings as a file holds them, and their way onto an even time grid."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pskd_core.errors import DataError

Array = npt.NDArray[np.float64]
Unit = Literal["g", "m/s^2", "mg", "g/64"]
STANDARD_GRAVITY = 9.80665  # m/s² in one g
PER_G: Mapping[Unit, float] = {"g": 1.0, "m/s^2": STANDARD_GRAVITY, "mg": 1000.0, "g/64": 64.0}  # of each in one g
Format = Literal[
    "table", "phyphox", "sensor_logger", "sensorlog", "androsensor", "physics_toolbox", "empatica_e4",
    "shimmer_consensys", "actigraph_csv", "wisdm", "geneactiv_bin", "axivity_cwa", "mat", "npy",
    "npz", "parquet", "float32",
]  # fmt: skip
LARGEST = 1e30  # what any value stays below: float32 holds it, and sums of it

# Clocks that deviate from an even grid by less than this share of a sample are taken as even: their digits are rounded.
EVEN = 0.1
RESAMPLED = "uneven times were resampled to a constant rate"
_GAP_STEPS, _GAP_S = 5, 0.2  # a pause this many usual steps long, and at least this long, is a gap
_MOST_GAPS = 10_000  # all of them are listed to whoever asks
_MOST_FILLED = 4  # grid samples per sample read, beyond which a recording is mostly gap


def place_in_array(sample: int, axis: int) -> tuple[int, str]:
    """Row and column of a value in a file of arrays, both counted from 1."""
    return sample + 1, f"{axis + 1}"


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """What a format's reader found. Values are finite."""

    values: Array  # (n, 3)
    columns: tuple[str, ...]  # where x, y and z were taken from
    format: Format
    unit: Unit | None = None  # as the file says
    time_s: Array | None = None  # (n,)
    time_column: str | None = None
    rate_hz: float | None = None  # nominal, as the format defines
    header_hz: float | None = None  # as the file's own header says
    gravity: bool | None = None  # as the columns' names say
    repairs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    place: Callable[[int, int], tuple[int, str]] = place_in_array  # (sample, axis) to row and column, for messages


@dataclass(frozen=True, slots=True, eq=False)
class Even:
    """Samples at a constant rate, and what was done to get there."""

    values: Array
    rate_hz: float
    gaps: tuple[tuple[float, float], ...] = ()  # (start, end) in seconds from the first sample
    repairs: tuple[str, ...] = ()


def longest_step_s(usual_s: float) -> float:
    """How far apart two samples may lie without a gap between them, where `usual_s` is the usual step."""
    return max(_GAP_STEPS * usual_s, _GAP_S)


def evenly(values: Array, time_s: Array, *, file: str | None) -> Even:
    """Put samples (n, 3) at their times onto an even grid: sorted, one a time, linear between neighbours.

    Raises:
        DataError: the times do not tell the samples' places, or are mostly gap.
    """
    values, time_s, repairs = _in_order(values, time_s, file)
    step = np.diff(time_s)
    pause = step > longest_step_s(float(np.median(step)))
    elapsed = time_s - time_s[0]
    rate_hz = usual_rate(len(values), float(elapsed[-1]), step[pause], file)
    samples = grid_samples(float(elapsed[-1]), len(values), rate_hz, file)
    gaps = tuple((round(elapsed[i], 3), round(elapsed[i + 1], 3)) for i in np.flatnonzero(pause).tolist())
    if gaps:
        repairs.append(bridged(len(gaps), float(step.max()), file))
    if not gaps and np.abs(elapsed * rate_hz - np.arange(len(elapsed))).max() < EVEN:
        return Even(values, rate_hz, gaps, tuple(repairs))
    grid_s = np.arange(samples) / rate_hz
    resampled = np.stack([np.interp(grid_s, elapsed, column) for column in values.T], axis=1)
    return Even(resampled, rate_hz, gaps, (*repairs, RESAMPLED))


def usual_rate(samples: int, duration_s: float, gaps_s: Array, file: str | None) -> float:
    """Samples a second where there is no gap; `gaps_s`: how long each is.

    Raises:
        DataError: beside the gaps, what is left of the time is nothing that can be told.
    """
    lasting_s = duration_s - float(gaps_s.sum())
    if lasting_s <= 0:
        raise DataError(f"{samples} samples lie scattered over {duration_s:.0f} s; cut the recording up", file=file)
    return (samples - 1 - len(gaps_s)) / lasting_s


def grid_samples(duration_s: float, samples: int, rate_hz: float, file: str | None) -> int:
    """How many samples the grid of a recording has.

    Raises:
        DataError: its times cannot be, or are mostly gap.
    """
    if not 1 <= rate_hz <= 10_000:
        raise DataError(
            f"the times mean {rate_hz:.3g} samples a second; check their unit, or state the rate", file=file
        )
    if (filled := round(duration_s * rate_hz) + 1) > _MOST_FILLED * samples:
        raise DataError(f"{samples} samples lie scattered over {duration_s:.0f} s; cut the recording up", file=file)
    return filled


def bridged(gaps: int, longest_s: float, file: str | None) -> str:
    """What is said of gaps.

    Raises:
        DataError: they are too many.
    """
    if gaps > _MOST_GAPS:
        raise DataError(f"{gaps} gaps are more than the {_MOST_GAPS} that are bridged; cut the recording up", file=file)
    return f"{gaps} gaps were bridged by straight lines, the longest of {longest_s:.2f} s"


def _in_order(values: Array, time_s: Array, file: str | None) -> tuple[Array, Array, list[str]]:
    """Samples sorted by time, the first of those that share one."""
    repairs: list[str] = []
    if backwards := int((np.diff(time_s) < 0).sum()):
        order = np.argsort(time_s, kind="stable")
        values, time_s = values[order], time_s[order]
        repairs.append(f"times ran backwards {backwards} times; the samples were sorted")
    fresh = np.diff(time_s, prepend=-np.inf) > 0
    if repeated := int((~fresh).sum()):
        repairs.append(left_out(repeated, len(time_s), file))
    return values[fresh], time_s[fresh], repairs


def left_out(repeated: int, samples: int, file: str | None) -> str:
    """What is said of samples that share another's time.

    Raises:
        DataError: they are more than half of all.
    """
    if 2 * repeated > samples:
        detail = f"{repeated} of {samples} samples repeat another's time; give finer times or state the rate"
        raise DataError(detail, file=file)
    return f"{repeated} samples that repeated another's time were left out"
