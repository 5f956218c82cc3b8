"""Recordings in text tables: which columns are time, x, y and z, in which units, and their numbers."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice, zip_longest

import numpy as np

from pskd_core.data.headers import (
    LONGEST_HEADER,
    Chosen,
    gravity_of,
    in_seconds,
    named_axes,
    stated_columns,
    time_columns,
    unit_of,
)
from pskd_core.data.layouts import Layout, doubts_of_format, format_of, recognised, unit_of_format
from pskd_core.data.problems import shortened
from pskd_core.data.series import LARGEST, Array, Series
from pskd_core.data.texts import refuse_long_lines
from pskd_core.errors import DataError

_MOST_UNIT_ROWS = 3  # below a header
_MOST_COLUMNS = 1000
_DAY = re.compile(r"^(\d{4})[/.](\d\d)[/.](\d\d)")
_MILLISECONDS = re.compile(r"(?<=:\d\d):(\d{3})$")  # AndroSensor writes 11:16:12:662
_SHORTEST_MOMENT = len("2024-05-01T10:00")


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

    def field(self, column: int) -> str:
        """What its first row holds there."""
        return self.first[column] if column < len(self.first) else ""

    def rows(self) -> Iterator[tuple[int, str]]:
        """The lines of numbers, each with its number in the file, from 1."""
        lines = enumerate(io.StringIO(self.text), start=1)
        return ((number, line) for number, line in lines if number > self.skip and line.strip())

    def place(self, columns: Sequence[int], sample: int, axis: int) -> tuple[int, str]:
        """Row and column, as messages name them, of a value in one of `columns`."""
        row, _ = next(islice(self.rows(), sample, None), (self.skip + sample + 1, ""))
        return row, shortened(self.name(columns[axis]))


def read_table(
    text: str, *, file: str | None, with_time: bool, stated: Sequence[str] = (), unit_stated: bool
) -> Series:
    """Read a CSV or TSV text.

    Args:
        text: the file.
        file: its name, for messages.
        with_time: whether a time column is wanted, or the caller knows the rate.
        stated: the columns that the caller names (`headers.stated_columns`), if any.
        unit_stated: whether the caller knows the unit.

    Raises:
        DataError: no x, y and z can be told, or a value is no finite number (with row, counted in lines, and column).
    """
    refuse_long_lines(text, file)
    layout = recognised(text, file)
    table = _lay_out(layout, file)
    chosen = _chosen(table, stated, file)
    time = _time(table, chosen, file) if with_time and layout.rate_hz is None else None
    in_numbers = time is not None and _is_number(table.field(time))
    numbers = _numbers(table, (*chosen.axes, time) if time is not None and in_numbers else chosen.axes, file)
    names = tuple(table.name(axis) for axis in chosen.axes)
    found = format_of(table.header) if table.header and layout.format == "table" else layout.format
    return Series(
        values=numbers[:, :3],
        columns=names,
        format=found,
        unit=unit_of(names) or layout.unit or unit_of_format(found, names),
        time_s=_time_s(table, time, numbers[:, 3] if in_numbers else None, file),
        time_column=None if time is None else table.name(time),
        header_hz=layout.rate_hz,
        gravity=gravity_of(names),
        warnings=(*chosen.warnings, *doubts_of_format(found, unit_stated=unit_stated)),
        place=partial(table.place, chosen.axes),
    )


def header_of(text: str, file: str | None) -> tuple[str, ...]:
    """The names of a text's columns; none if it has no header.

    Raises:
        DataError: it is no table.
    """
    return _lay_out(recognised(text, file), file).header or ()


# --- Layout -------------------------------------------------------------------------------------------------------


def _lay_out(layout: Layout, file: str | None) -> _Table:
    numbered = enumerate(islice(io.StringIO(layout.text), 64 + layout.skip))
    lines = [(number, line) for number, line in numbered if number >= layout.skip and line.strip()]
    stated = re.fullmatch(r'"?sep=([,;|\t])"?\s*', lines[0][1]) if lines else None
    lines = lines[1:] if stated else lines
    if not lines:
        raise DataError("the file is empty", file=file)
    # A row of numbers tells the delimiter better than a header, whose names may hold commas and blanks.
    sample = lines[min(1, len(lines) - 1)][1]
    delimiter = stated[1] if stated else next((sign for sign in "\t;," if sign in sample), None)
    if delimiter in (";", "\t") and re.search(r"\d,\d", sample):
        return _lay_out(replace(layout, text=layout.text.replace(",", ".")), file)
    for number, line in lines[:2]:
        _refuse_wide(line, delimiter, number + 1, file)
    (start, line), *rest = lines
    fields = _split(line, delimiter)
    if layout.names or sum(map(_is_number, fields)) >= 3:
        return _Table(layout.text, delimiter, layout.names, start, fields)
    if not rest:
        raise DataError("one line only, and it holds no three numbers", file=file)
    header = [name[:LONGEST_HEADER] for name in _split(line.lstrip("#% "), delimiter)]
    while len(rest) > 1 and _is_words(units := _split(rest[0][1], delimiter)) and rest[0][0] - start <= _MOST_UNIT_ROWS:
        header = [
            f"{name} ({unit.strip()})" if unit.strip() else name
            for name, unit in zip_longest(header, units, fillvalue="")
        ]
        rest = rest[1:]
    return _Table(layout.text, delimiter, tuple(header), rest[0][0], _split(rest[0][1], delimiter))


def _refuse_wide(line: str, delimiter: str | None, row: int, file: str | None) -> None:
    """Every column's name is looked at by several patterns."""
    if (columns := line.count(delimiter) + 1 if delimiter else len(line.split())) > _MOST_COLUMNS:
        detail = f"{columns} columns are more than the {_MOST_COLUMNS} that are looked at; leave the others out"
        raise DataError(detail, file=file, row=row)


def _is_words(fields: Sequence[str]) -> bool:
    """A row of units below a header."""
    return any(map(str.strip, fields)) and not any(_is_number(field) or _is_moment(field) for field in fields)


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


def _is_moment(field: str) -> bool:
    try:
        _moment(field)
    except ValueError:
        return False
    return True


def _moment(field: str) -> datetime:
    """A time in ISO 8601, or with the signs that loggers put in the places of `-` and `.`; without an offset it is UTC.

    Raises:
        ValueError: it is none, or a day alone.
    """
    text = _DAY.sub(r"\1-\2-\3", field.strip().strip('"')[:40])
    if len(text) < _SHORTEST_MOMENT:
        raise ValueError("a day is no moment")
    moment = datetime.fromisoformat(_MILLISECONDS.sub(r".\1", text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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


def _chosen(table: _Table, stated: Sequence[str], file: str | None) -> Chosen:
    if stated:
        return stated_columns(table.header or (), max(len(table.first), len(table.header or ())), stated, file)
    return named_axes(table.header, file) if table.header else _by_content(table, file)


def _by_content(table: _Table, file: str | None) -> Chosen:
    """Without a header: the column that grows is time, the other three are x, y and z in this order."""
    numeric = [column for column, field in enumerate(table.first) if _is_number(field)]
    moments = [column for column, field in enumerate(table.first) if column not in numeric and _is_moment(field)]
    if len(numeric) == 3:
        return Chosen((numeric[0], numeric[1], numeric[2]), moments[0] if moments else None)
    numbers = dict(zip(numeric, _numbers(table, numeric, file).T, strict=True))
    rising = [column for column in numeric if _rises(numbers[column])]
    times = moments or [column for column in rising if not _counts(numbers[column])]
    rest = [column for column in numeric if column not in rising]
    moving = [column for column in rest if np.ptp(numbers[column]) > 0]
    axes = rest if len(rest) in (3, 6) else moving
    if len(axes) not in (3, 6) or len(times) > 1:
        detail = (
            f"{len(numeric)} columns without a header, and x, y, z cannot be told; add a header `time,x,y,z`, or state "
            "the columns"
        )
        raise DataError(detail, file=file)
    taken = f"columns {axes[0] + 1}, {axes[1] + 1} and {axes[2] + 1} of {len(table.first)} were taken as x, y and z"
    return Chosen((axes[0], axes[1], axes[2]), times[0] if times else None, (f"without a header, {taken}",))


def _rises(values: Array) -> bool:
    step = np.diff(values)
    return len(step) > 1 and bool((step >= 0).mean() >= 0.95 and (step > 0).mean() >= 0.5)


def _counts(values: Array) -> bool:
    """Row numbers rather than times."""
    return bool((np.diff(values) == 1).all())


# --- Time ---------------------------------------------------------------------------------------------------------


def _time(table: _Table, chosen: Chosen, file: str | None) -> int | None:
    """The column of times: the one chosen, else one that is called so and holds numbers, or moments in ISO 8601."""
    if chosen.time is not None or not table.header:
        return chosen.time
    named = [column for column in time_columns(table.header) if column not in chosen.axes]
    for fits in (_is_number, _is_moment):
        if fitting := [column for column in named if fits(table.field(column))]:
            return fitting[0]
    if named:
        raise _no_time(table, named[0], table.field(named[0]), table.skip + 1, file)
    return None


def _time_s(table: _Table, column: int | None, numbers: Array | None, file: str | None) -> Array | None:
    if column is None or numbers is not None:
        return None if column is None or numbers is None else in_seconds(numbers, table.name(column))
    seconds = []
    for number, line in table.rows():
        fields = _split(line, table.delimiter)
        field = fields[column] if column < len(fields) else ""
        try:
            seconds.append(_moment(field).timestamp())
        except (ValueError, OverflowError):
            raise _no_time(table, column, field, number, file) from None
    return np.array(seconds) - seconds[0]


def _no_time(table: _Table, column: int, field: str, row: int, file: str | None) -> DataError:
    detail = (
        f"{field.strip()[:40]!r} is neither a number of s, ms, µs or ns nor a time in ISO 8601; convert it, or state "
        "the rate"
    )
    return DataError(detail, file=file, row=row, column=shortened(table.name(column)))
