"""One accelerometer recording as somebody holds it: what it says, in g and at a constant rate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, assert_never

import numpy as np

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
_LOW_RATE_HZ = 15.0
MOST_G = 1e4  # beyond what any accelerometer measures; a network overflows far above it
_LARGEST_G = 20.0  # beyond what wrist sensors measure
MOST_FORMAT_BYTES = 128  # at the beginning of a file, which tell its container
_MOST_USUAL = 40.0  # in m/s², of the usual magnitude

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
    if rate_hz is not None and not 1 <= rate_hz <= 10_000:
        raise DataError(f"a rate of {rate_hz} Hz cannot be; state 1 to 10000", file=file)
    series = _read(data, file, with_time=rate_hz is None, stated=columns, unit_stated=unit is not None)
    _refuse_useless(series, file)
    unit, unit_doubts = _unit(series, unit, file)
    _refuse_impossible(series, unit, file)
    series = _without_dud(series, unit)
    even, rate_found, rate_doubts = _sampling(series, rate_hz, file)
    values_g = even.values / PER_G[unit]
    return SensorRecording(
        values_g=values_g.astype(np.float32),
        rate_hz=even.rate_hz,
        rate_found=rate_found,
        format=series.format,
        unit=unit,
        columns=series.columns,
        time_column=series.time_column if rate_found == "timestamps" else None,
        gravity=series.gravity if series.gravity is not None else holds_gravity(values_g),
        gaps=even.gaps,
        repairs=(*series.repairs, *even.repairs),
        warnings=(*series.warnings, *unit_doubts, *rate_doubts, *_doubts(even.rate_hz, values_g)),
    )


def _read(data: bytes | Path, file: str | None, *, with_time: bool, stated: Sequence[str], unit_stated: bool) -> Series:
    container = _container(_head(data))
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


def _head(data: bytes | Path) -> bytes:
    if isinstance(data, bytes):
        return data[:MOST_FORMAT_BYTES]
    with data.open("rb") as file:
        head = file.read(MOST_FORMAT_BYTES)
        file.seek(0)  # some systems share the place between all that open one /dev/fd
        return head


def is_text(data: bytes) -> bool:
    """Whether a file whose first `MOST_FORMAT_BYTES` these are is read, or refused, as text."""
    return _container(data) == "text"


def _container(data: bytes) -> _Container:
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


def _refuse_useless(series: Series, file: str | None) -> None:
    if (samples := len(series.values)) < _FEWEST_SAMPLES:
        detail = f"{samples} samples are too few to classify; at least {_FEWEST_SAMPLES} are needed"
        raise DataError(detail, file=file)
    if not series.values.any():
        raise DataError("every value is 0; this is no accelerometer at work", file=file)


def _refuse_impossible(series: Series, unit: Unit, file: str | None) -> None:
    most = MOST_G * PER_G[unit]
    if (beyond := np.abs(series.values) > most).any():
        sample, axis = divmod(int(beyond.argmax()), 3)
        row, column = series.place(sample, axis)
        detail = f"{series.values[sample, axis]:.3g} {unit} is more than {MOST_G:.0f} g; correct it, or state the unit"
        raise DataError(detail, file=file, row=row, column=column)


def _without_dud(series: Series, unit: Unit) -> Series:
    """Without a first sample of 0 0 0: loggers write it before their sensor has measured."""
    if series.values[0].any() or not holds_gravity(series.values / PER_G[unit]):
        return series
    time_s = None if series.time_s is None else series.time_s[1:]
    said = "the first sample was 0 0 0, which no sensor under gravity measures, and was left out"
    return replace(series, values=series.values[1:], time_s=time_s, repairs=(*series.repairs, said))


def _sampling(series: Series, rate_hz: float | None, file: str | None) -> tuple[Even, RateFound, tuple[str, ...]]:
    """Samples at a constant rate, how the rate was found, and a warning if it is a guess."""
    if rate_hz is not None:
        return Even(series.values, rate_hz), "stated", ()
    if series.time_s is not None:
        return evenly(series.values, series.time_s, file=file), "timestamps", ()
    if series.header_hz is not None:
        return Even(series.values, series.header_hz), "header", ()
    if series.rate_hz is not None:
        return Even(series.values, series.rate_hz), "assumed", ()
    guess = f"no times and no rate are given; {_ASSUMED_RATE_HZ:.0f} Hz was assumed"
    return Even(series.values, _ASSUMED_RATE_HZ), "assumed", (guess,)


def _unit(series: Series, stated: Unit | None, file: str | None) -> tuple[Unit, tuple[str, ...]]:
    """The unit, and a warning if only the size of the values tells it."""
    if known := stated or series.unit:
        return known, ()
    usual = float(np.median(np.linalg.norm(series.values, axis=1)))
    if usual > _MOST_USUAL:
        detail = (
            f"values of about {usual:.3g} are neither g nor m/s²; convert them, or state the unit ({', '.join(PER_G)})"
        )
        raise DataError(detail, file=file)
    # At rest it is 1 g or 9.8 m/s²; half of all samples above 4 g is no human movement.
    guess: Unit = "m/s^2" if usual > 4 else "g"
    return guess, (f"no unit is given; values of about {usual:.3g} were taken as {guess}",)


def holds_gravity(values_g: Array | FloatArray) -> bool | None:
    """Whether the usual magnitude is that of gravity, or of none at all."""
    usual = float(np.median(np.linalg.norm(values_g, axis=1)))
    return True if 0.7 < usual < 1.5 else False if usual < 0.4 else None


def _doubts(rate_hz: float, values_g: Array) -> Iterator[str]:
    if rate_hz < _LOW_RATE_HZ:
        yield f"{rate_hz:.3g} samples a second are few for a movement of the arm"
    if (largest := float(np.abs(values_g).max())) > _LARGEST_G:
        yield f"values reach {largest:.0f} g, more than such sensors measure"
