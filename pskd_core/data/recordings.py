"""One accelerometer recording as somebody holds it: what it says, in g and at a constant rate."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, assert_never

import numpy as np
import numpy.typing as npt

from pskd_core.data.archives import kind_of_zip, read_zip
from pskd_core.data.arrays import read_mat_recording, read_npy, read_npz
from pskd_core.data.devices import AXIVITY, GENEACTIV, read_device
from pskd_core.data.parquet import read_parquet
from pskd_core.data.series import PER_G, Array, Even, Format, Series, Unit, evenly
from pskd_core.data.tables import read_table
from pskd_core.data.texts import decoded_text
from pskd_core.errors import DataError
from pskd_core.shapes import FloatArray

_ASSUMED_RATE_HZ = 50.0
_FEWEST_SAMPLES = 16
_FLOAT_BYTES, _AXES = 12, ("x", "y", "z")
_LOW_RATE_HZ = 15.0
MOST_G = 1e4  # beyond what any accelerometer measures; a network overflows far above it
_LARGEST_G = 20.0  # beyond what wrist sensors measure
MOST_FORMAT_BYTES = 128  # at the beginning of a file, which tell its container
_MOST_USUAL = 40.0  # in m/s², of the usual magnitude

DUD_LEFT_OUT = "the first sample was 0 0 0, which no sensor under gravity measures, and was left out"

BoolArray = npt.NDArray[np.bool_]
RateFound = Literal["timestamps", "header", "stated", "assumed"]
_Container = Literal["npy", "zip", "mat", "parquet", "device", "text"]


@dataclass(frozen=True, slots=True, eq=False)
class SensorRecording:
    """Samples and how they were understood."""

    values_g: FloatArray  # (n, 3)
    rate_hz: float
    rate_found: RateFound
    format: Format
    unit: Unit  # of the file
    columns: tuple[str, ...]  # taken as x, y and z
    time_column: str | None
    gravity: bool | None  # whether the samples hold it; none: cannot be told
    gaps: tuple[tuple[float, float], ...]  # (start, end) in seconds
    repairs: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        """Every sample stands for one sampling period."""
        return len(self.values_g) / self.rate_hz


def read_recording(
    data: bytes | Path,
    *,
    filename: str | None = None,
    rate_hz: float | None = None,
    unit: Unit | None = None,
    columns: Sequence[str] = (),
) -> SensorRecording:
    """Read a table, an array, or a file of a logger or device; the content tells which (docs/recordings.md has all).

    Args:
        data: the content, or the file that holds it.
        filename: for messages only.
        rate_hz: samples a second, if the caller knows; a time column is then not looked at.
        unit: of the values, if the caller knows.
        columns: names or numbers (from 1) of x, y and z, or of the time and these, if the caller knows.

    Raises:
        DataError: it is none of these, has no three finite axes, or values that cannot be; names row (from 1) and
            column where it can.
    """
    file = filename or (data.name if isinstance(data, Path) else None)
    refuse_rate(rate_hz, file)
    series = _read(data, file, with_time=rate_hz is None, stated=columns, unit_stated=unit is not None)
    return _understood(series, file, rate_hz=rate_hz, unit=unit)


def read_floats(data: bytes, *, rate_hz: float, unit: Unit, filename: str | None = None) -> SensorRecording:
    """Read bare samples, x, y and z as little-endian float32 one after the other, of which all must be stated.

    Raises:
        DataError: these are no whole samples, too few, or values that cannot be; names the sample (from 1).
    """
    refuse_rate(rate_hz, filename)
    if len(data) % _FLOAT_BYTES:
        raise DataError(f"{len(data)} bytes are no whole samples of x, y and z, 12 bytes each", file=filename)
    values = np.frombuffer(data, "<f4").reshape(-1, 3).astype(np.float64)
    series = Series(values, _AXES, "float32")
    if not np.isfinite(values).all():
        sample, axis = (int(place[0]) for place in np.nonzero(~np.isfinite(values)))
        row, column = series.place(sample, axis)
        raise DataError(f"{values[sample, axis]} is no acceleration", file=filename, row=row, column=column)
    return _understood(series, filename, rate_hz=rate_hz, unit=unit)


def _understood(series: Series, file: str | None, *, rate_hz: float | None, unit: Unit | None) -> SensorRecording:
    refuse_useless(len(series.values), moves=bool(series.values.any()), file=file)
    usual = cache(partial(usual_size, series.values))
    unit, unit_doubts = found_unit(series, unit, usual, file)
    _refuse_impossible(series, unit, file)
    if is_dud(series.values[0], usual, unit):
        series = _without_first(series)
    even, rate_found, rate_doubts = _sampling(series, rate_hz, file)
    values_g = (even.values / PER_G[unit]).astype(np.float32)
    return SensorRecording(
        values_g=values_g,
        rate_hz=even.rate_hz,
        rate_found=rate_found,
        format=series.format,
        unit=unit,
        columns=series.columns,
        time_column=series.time_column if rate_found == "timestamps" else None,
        gravity=series.gravity if series.gravity is not None else holds_gravity(values_g),
        gaps=even.gaps,
        repairs=(*series.repairs, *even.repairs),
        warnings=(*series.warnings, *unit_doubts, *rate_doubts, *doubts(even.rate_hz, float(np.abs(values_g).max()))),
    )


def refuse_rate(rate_hz: float | None, file: str | None) -> None:
    """Refuse a stated rate that cannot be."""
    if rate_hz is not None and not 1 <= rate_hz <= 10_000:
        raise DataError(f"a rate of {rate_hz} Hz cannot be; state 1 to 10000", file=file)


def _read(data: bytes | Path, file: str | None, *, with_time: bool, stated: Sequence[str], unit_stated: bool) -> Series:
    container = container_of(head_of(data))
    if container == "device":
        if stated:
            raise DataError("its format has no columns to state; leave them out", file=file)
        return read_device(data, file=file)
    content = data.read_bytes() if isinstance(data, Path) else data
    match container:
        case "npy":
            return read_npy(content, file=file, stated=stated)
        case "zip" if kind_of_zip(content, file) == "npz":
            return read_npz(content, file=file, stated=stated)
        case "zip":
            return read_zip(content, file=file, with_time=with_time, stated=stated, unit_stated=unit_stated)
        case "mat":
            return read_mat_recording(content, file=file, stated=stated)
        case "parquet":
            return read_parquet(content, file=file, with_time=with_time, stated=stated, unit_stated=unit_stated)
        case "text":
            text = decoded_text(content, file)
            return read_table(text, file=file, with_time=with_time, stated=stated, unit_stated=unit_stated)
        case _ as never:
            assert_never(never)


def head_of(data: bytes | Path) -> bytes:
    """The first `MOST_FORMAT_BYTES`."""
    if isinstance(data, bytes):
        return data[:MOST_FORMAT_BYTES]
    with data.open("rb") as file:
        head = file.read(MOST_FORMAT_BYTES)
        file.seek(0)  # some systems share the place between all that open one /dev/fd
        return head


def is_text(data: bytes) -> bool:
    """Whether a file whose first `MOST_FORMAT_BYTES` these are is read, or refused, as text."""
    return container_of(data) == "text"


def container_of(data: bytes) -> _Container:
    """By content: names of uploads are often wrong."""
    if data.startswith(b"\x93NUMPY"):
        return "npy"
    if data.startswith(b"PK\x03\x04"):
        return "zip"
    if data.startswith(b"PAR1"):
        return "parquet"
    if data.startswith((GENEACTIV, AXIVITY)):
        return "device"
    if data.startswith(b"\x89HDF") or (data.startswith(b"MATLAB") and data[126:128] in (b"IM", b"MI")):
        return "mat"
    return "text"


def refuse_useless(samples: int, *, moves: bool, file: str | None) -> None:
    """Refuse what is too short to classify, or nothing but zeros."""
    if samples < _FEWEST_SAMPLES:
        detail = f"{samples} samples are too few to classify; at least {_FEWEST_SAMPLES} are needed"
        raise DataError(detail, file=file)
    if not moves:
        raise DataError("every value is 0; this is no accelerometer at work", file=file)


def _refuse_impossible(series: Series, unit: Unit, file: str | None) -> None:
    if (beyond := impossible(series.values, unit)).any():
        sample, axis = divmod(int(beyond.argmax()), 3)
        raise impossible_value(series, sample, axis, float(series.values[sample, axis]), unit, file)


def impossible(values: Array, unit: Unit) -> BoolArray:
    """Which values (n, 3) no accelerometer measures."""
    beyond: BoolArray = np.abs(values) > MOST_G * PER_G[unit]
    return beyond


def impossible_value(series: Series, sample: int, axis: int, value: float, unit: Unit, file: str | None) -> DataError:
    """What is said of the first of them."""
    row, column = series.place(sample, axis)
    detail = f"{value:.3g} {unit} is more than {MOST_G:.0f} g; correct it, or state the unit"
    return DataError(detail, file=file, row=row, column=column)


def is_dud(first: Array, usual: Callable[[], float], unit: Unit) -> bool:
    """Whether the first sample (3,) is 0 0 0 under gravity: loggers write it before their sensor has measured."""
    return not first.any() and bool(gravity_in(usual() / PER_G[unit]))


def _without_first(series: Series) -> Series:
    time_s = None if series.time_s is None else series.time_s[1:]
    return replace(series, values=series.values[1:], time_s=time_s, repairs=(*series.repairs, DUD_LEFT_OUT))


def _sampling(series: Series, rate_hz: float | None, file: str | None) -> tuple[Even, RateFound, tuple[str, ...]]:
    """Samples at a constant rate, how the rate was found, and a warning if it is a guess."""
    if rate_hz is not None:
        return Even(series.values, rate_hz), "stated", ()
    if series.time_s is not None:
        return evenly(series.values, series.time_s, file=file), "timestamps", ()
    rate_hz, found, guess = rate_without_times(series)
    return Even(series.values, rate_hz), found, guess


def rate_without_times(series: Series) -> tuple[float, RateFound, tuple[str, ...]]:
    """The rate of a series that has no times, how it was found, and a warning if it is a guess."""
    if series.header_hz is not None:
        return series.header_hz, "header", ()
    if series.rate_hz is not None:
        return series.rate_hz, "assumed", ()
    guess = f"no times and no rate are given; {_ASSUMED_RATE_HZ:.0f} Hz was assumed"
    return _ASSUMED_RATE_HZ, "assumed", (guess,)


def usual_size(values: npt.NDArray[np.floating[Any]]) -> float:
    """The median magnitude of samples (n, 3)."""
    sizes = magnitudes(values)
    low, high = (len(sizes) - 1) // 2, len(sizes) // 2
    sizes.partition([low, high])  # np.median does this as well, and ten times as much beside
    return float((sizes[low] + sizes[high]) / 2)


def magnitudes(values: npt.NDArray[np.floating[Any]]) -> Array:
    """Of samples (n, 3)."""
    x, y, z = values.T.astype(np.float64)
    found: Array = np.sqrt(x * x + y * y + z * z)  # as `norm` along rows of three adds up, in a tenth of its time
    return found


def found_unit(
    series: Series, stated: Unit | None, usual: Callable[[], float], file: str | None
) -> tuple[Unit, tuple[str, ...]]:
    """The unit, and a warning if only the usual size of the values tells it."""
    if known := stated or series.unit:
        return known, ()
    if (size := usual()) > _MOST_USUAL:
        detail = (
            f"values of about {size:.3g} are neither g nor m/s²; convert them, or state the unit ({', '.join(PER_G)})"
        )
        raise DataError(detail, file=file)
    # At rest it is 1 g or 9.8 m/s²; half of all samples above 4 g is no human movement.
    guess: Unit = "m/s^2" if size > 4 else "g"
    return guess, (f"no unit is given; values of about {size:.3g} were taken as {guess}",)


def holds_gravity(values_g: Array | FloatArray) -> bool | None:
    """Whether samples (n, 3) hold gravity; none: their size does not tell."""
    return gravity_in(usual_size(values_g))


def gravity_in(usual_g: float) -> bool | None:
    """Whether the usual magnitude is that of gravity, or of none at all."""
    return True if 0.7 < usual_g < 1.5 else False if usual_g < 0.4 else None


def doubts(rate_hz: float, largest_g: float) -> Iterator[str]:
    """What is doubtful in the samples themselves."""
    if rate_hz < _LOW_RATE_HZ:
        yield f"{rate_hz:.3g} samples a second are few for a movement of the arm"
    if largest_g > _LARGEST_G:
        yield f"values reach {largest_g:.0f} g, more than such sensors measure"
