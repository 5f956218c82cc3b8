"""Recordings in text tables: which columns are time, x, y and z, in which units, and their numbers."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Literal

import numpy as np

from pskd_core.data.problems import listed, shortened
from pskd_core.data.series import LARGEST, Array, Series, Unit
from pskd_core.errors import DataError

_LONGEST_HEADER = 200  # characters of one column's name that are looked at

TimeUnit = Literal["s", "ms", "us", "ns"]
_SECONDS: Mapping[TimeUnit, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

# What a column's name may be once its unit, blanks and signs are gone; the first kind that is there counts. `ax` comes
# after `x`, since loggers that write both mean gravity-free acceleration by it.
_SENSOR = r"(?:accelerometer|acceleration|accel|acc|gf)+"
_AXIS_NAMES = (
    rf"{_SENSOR}(?P<after>[xyz])|(?P<before>[xyz]){_SENSOR}",
    r"(?P<after>[xyz])(?:axis|value)?|axis(?P<before>[xyz])",
    r"a(?P<after>[xyz])",
    rf"(?:motion)?(?:linear|user){_SENSOR}(?P<after>[xyz])|(?P<before>[xyz])linear{_SENSOR}",
)
_TIME_NAME = re.compile(
    r"t|ts|time\w*|\w*time|\w*timestamp\w*|\w*elapsed\w*|epoch\w*|unix\w*|secs?|seconds?|ms|us|ns|(?:milli|micro|nano)\w*"
)
_UNIT_IN_NAME = re.compile(r"[(\[][^)\]]*(?:[)\]]|$)|_(?:g|ms2|mps2|s|ms|us|ns)$")
_METRES = re.compile(r"m\s*/\s*s\s*(?:\^|\*\*)?\s*[2²]|m/s/s|ms\^?-2|_ms2$|_mps2$")
_IN_G = re.compile(r"[(\[]\s*g\s*[)\]]|_g$|^gf[xyz]$")
_TIME_UNITS: Mapping[TimeUnit, re.Pattern[str]] = {
    "ms": re.compile(r"[(\[_ ](?:ms|msec)(?:[)\]]|\s*$)|^ms$|milli"),
    "us": re.compile(r"[(\[_ ](?:us|µs|μs)(?:[)\]]|\s*$)|^us$|micro"),
    "ns": re.compile(r"[(\[_ ]ns(?:[)\]]|\s*$)|^ns$|nano"),
    "s": re.compile(r"[(\[_ ](?:s|secs?|seconds?)(?:[)\]]|\s*$)|^secs?$|seconds"),
}


@dataclass(frozen=True, slots=True)
class _Table:
    """How the text is laid out."""

    text: str
    delimiter: str | None  # none: runs of blanks
    header: tuple[str, ...] | None
    skip: int  # lines before the first row of numbers
    first: tuple[str, ...]  # that row's fields

    def name(self, column: int) -> str:
        return self.header[column].strip() if self.header and column < len(self.header) else f"{column + 1}"

    def rows(self) -> Iterator[tuple[int, str]]:
        """The lines of numbers, each with its number in the file, from 1."""
        lines = enumerate(io.StringIO(self.text), start=1)
        return ((number, line) for number, line in lines if number > self.skip and line.strip())

    def place(self, columns: Sequence[int], sample: int, axis: int) -> tuple[int, str]:
        """Row and column, as messages name them, of a value in one of `columns`."""
        row, _ = next(islice(self.rows(), sample, None), (self.skip + sample + 1, ""))
        return row, shortened(self.name(columns[axis]))


@dataclass(frozen=True, slots=True)
class _Columns:
    axes: tuple[int, int, int]
    time: int | None = None
    warnings: tuple[str, ...] = ()


def read_table(text: str, *, file: str | None, with_time: bool) -> Series:
    """Read a CSV or TSV text.

    Args:
        text: the file.
        file: its name, for messages.
        with_time: whether a time column is wanted, or the caller knows the rate.

    Raises:
        DataError: no x, y and z can be told, or a value is no finite number (with row, counted in lines, and column).
    """
    table = _lay_out(text, file)
    columns = _by_header(table, file, with_time=with_time) if table.header else _by_content(table, file)
    time = columns.time if with_time else None
    wanted = columns.axes if time is None else (*columns.axes, time)
    numbers = _numbers(table, wanted, file)
    names = tuple(table.name(axis) for axis in columns.axes)
    return Series(
        values=numbers[:, :3],
        columns=names,
        unit=_unit(names),
        time_s=None if time is None else _in_seconds(numbers[:, 3], table.name(time)),
        time_column=None if time is None else table.name(time),
        warnings=columns.warnings,
        place=partial(table.place, columns.axes),
    )


# --- Layout -------------------------------------------------------------------------------------------------------


def _lay_out(text: str, file: str | None) -> _Table:
    lines = [(number, line) for number, line in enumerate(islice(io.StringIO(text), 64)) if line.strip()]
    stated = re.fullmatch(r'"?sep=([,;|\t])"?\s*', lines[0][1]) if lines else None
    lines = lines[1:] if stated else lines
    if not lines:
        raise DataError("the file is empty", file=file)
    # A row of numbers tells the delimiter better than a header, whose names may hold commas and blanks.
    sample = lines[min(1, len(lines) - 1)][1]
    delimiter = stated[1] if stated else next((sign for sign in "\t;," if sign in sample), None)
    if delimiter in (";", "\t") and re.search(r"\d,\d", sample):
        return _lay_out(text.replace(",", "."), file)
    (start, line), *rest = lines
    fields = _split(line, delimiter)
    if sum(map(_is_number, fields)) >= 3:
        return _Table(text, delimiter, None, start, fields)
    if not rest:
        raise DataError("one line only, and it holds no three numbers", file=file)
    header = tuple(name[:_LONGEST_HEADER] for name in _split(line.lstrip("#% "), delimiter))
    return _Table(text, delimiter, header, rest[0][0], _split(rest[0][1], delimiter))


def _split(line: str, delimiter: str | None) -> tuple[str, ...]:
    line = line.strip("\n")
    if delimiter is None:
        return tuple(line.split())
    try:
        return tuple(next(csv.reader([line], delimiter=delimiter)))
    except csv.Error:  # a field of 128 KiB
        return tuple(line.split(delimiter))


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


# --- Numbers ------------------------------------------------------------------------------------------------------


def _numbers(table: _Table, columns: Sequence[int], file: str | None) -> Array:
    """(n, columns), all finite."""
    stream = io.StringIO(table.text)
    for _ in range(table.skip):
        stream.readline()
    try:
        numbers = np.loadtxt(
            stream, delimiter=table.delimiter, usecols=columns, ndmin=2, comments=None, quotechar='"', encoding="utf-8"
        )
    except ValueError as broken:
        raise _fault(table, columns, file) or DataError(str(broken)[:200], file=file) from broken
    if not (np.abs(numbers) < LARGEST).all():
        raise _fault(table, columns, file) or DataError("a value is not finite", file=file)
    return numbers


def _fault(table: _Table, columns: Sequence[int], file: str | None) -> DataError | None:
    """The first value, row by row, that is no finite number."""
    for number, line in table.rows():
        fields = _split(line, table.delimiter)
        for column in sorted(columns):
            field = fields[column].strip() if column < len(fields) else ""
            if not _is_number(field) or not abs(float(field)) < LARGEST:
                detail = f"{field[:40]!r} is not a finite number" if field else "a value is missing"
                return DataError(detail, file=file, row=number, column=shortened(table.name(column)))
    return None


# --- Columns ------------------------------------------------------------------------------------------------------


def _by_header(table: _Table, file: str | None, *, with_time: bool) -> _Columns:
    axes = _named_axes(table, file)
    if not with_time:
        return _Columns(axes)
    named = [column for column, name in enumerate(table.header or ()) if _TIME_NAME.fullmatch(_squeezed(name))]
    numeric = [column for column in named if column < len(table.first) and _is_number(table.first[column])]
    if numeric:
        # Loggers write one time in several forms; the one that names its unit leaves nothing to guess.
        return _Columns(axes, min(numeric, key=lambda column: _time_unit(table.name(column)) is None))
    if named:
        detail = f"{table.first[named[0]][:40]!r} is not a number of s, ms, µs or ns; convert it, or state the rate"
        raise DataError(detail, file=file, row=table.skip + 1, column=shortened(table.name(named[0])))
    return _Columns(axes)


def _named_axes(table: _Table, file: str | None) -> tuple[int, int, int]:
    header = table.header or ()
    for pattern in _AXIS_NAMES:
        found: dict[str, list[int]] = {"x": [], "y": [], "z": []}
        for column, name in enumerate(header):
            if match := re.fullmatch(pattern, _squeezed(name)):
                found[match.groupdict()["after"] or match.groupdict()["before"]].append(column)
        if twice := next((columns for columns in found.values() if len(columns) > 1), None):
            names = " and ".join(repr(shortened(table.name(column))) for column in twice[:2])
            raise DataError(f"{names} could both be the same axis; keep one of them", file=file)
        if all(found.values()):
            return found["x"][0], found["y"][0], found["z"][0]
    raise DataError(f"no accelerometer x, y and z among the columns {listed(header)}; name them x, y, z", file=file)


def _squeezed(name: str) -> str:
    """A name without its unit, in small letters and nothing else."""
    return re.sub(r"[^a-z]", "", _UNIT_IN_NAME.sub("", name.strip().lower()))


def _by_content(table: _Table, file: str | None) -> _Columns:
    """Without a header: the column that grows is time, the other three are x, y and z in this order."""
    numeric = [column for column, field in enumerate(table.first) if _is_number(field)]
    if len(numeric) == 3:
        return _Columns((numeric[0], numeric[1], numeric[2]))
    numbers = dict(zip(numeric, _numbers(table, numeric, file).T, strict=True))
    rising = [column for column in numeric if _rises(numbers[column])]
    times = [column for column in rising if not _counts(numbers[column])]
    rest = [column for column in numeric if column not in rising]
    moving = [column for column in rest if np.ptp(numbers[column]) > 0]
    axes = rest if len(rest) in (3, 6) else moving
    if len(axes) not in (3, 6) or len(times) > 1:
        detail = f"{len(numeric)} columns without a header, and x, y, z cannot be told; add a header `time,x,y,z`"
        raise DataError(detail, file=file)
    taken = f"columns {axes[0] + 1}, {axes[1] + 1} and {axes[2] + 1} of {len(table.first)} were taken as x, y and z"
    return _Columns((axes[0], axes[1], axes[2]), times[0] if times else None, (f"without a header, {taken}",))


def _rises(values: Array) -> bool:
    step = np.diff(values)
    return len(step) > 1 and bool((step >= 0).mean() >= 0.95 and (step > 0).mean() >= 0.5)


def _counts(values: Array) -> bool:
    """Row numbers rather than times."""
    return bool((np.diff(values) == 1).all())


# --- Units --------------------------------------------------------------------------------------------------------


def _unit(names: Sequence[str]) -> Unit | None:
    lowered = [re.sub(r"\s+", " ", name.lower()) for name in names]
    metres, in_g = all(map(_METRES.search, lowered)), all(map(_IN_G.search, lowered))
    return "m/s^2" if metres else "g" if in_g else None


def _time_unit(name: str) -> TimeUnit | None:
    return next((unit for unit, pattern in _TIME_UNITS.items() if pattern.search(name.strip().lower())), None)


def _in_seconds(times: Array, name: str) -> Array:
    """Seconds from the first sample; a unit that the name does not say follows from the usual step."""
    elapsed: Array = times - times[0]
    steps = np.diff(elapsed)
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
    # Sampling lies between 2 and 1,000 Hz, so the four ranges of steps do not overlap.
    by_step: TimeUnit = "s" if usual <= 0.5 else "ms" if usual <= 500 else "us" if usual <= 500_000 else "ns"
    return np.multiply(elapsed, _SECONDS[_time_unit(name) or by_step])
