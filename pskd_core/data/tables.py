"""Recordings in text tables: which columns are time, x, y and z, in which units, and their numbers."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
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
    """How the text, or a piece of it, is laid out."""

    text: str
    delimiter: str | None  # none: runs of blanks
    header: tuple[str, ...] | None
    skip: int  # lines of the file before the first row of numbers
    first: tuple[str, ...]  # that row's fields
    decimal_comma: bool = False
    before: int = 0  # lines of the file before the text

    def name(self, column: int) -> str:
        return self.header[column].strip() if self.header and column < len(self.header) else f"{column + 1}"

    def field(self, column: int) -> str:
        """What its first row holds there."""
        return self.first[column] if column < len(self.first) else ""

    def rows(self) -> Iterator[tuple[int, str]]:
        """The lines of numbers, each with its number in the file, from 1."""
        lines = enumerate(io.StringIO(self.text), start=self.before + 1)
        return ((number, line) for number, line in lines if number > self.skip and line.strip())

    def piece(self, text: str, before: int) -> "_Table":
        """Another piece of the same file."""
        return replace(self, text=text.replace(",", ".") if self.decimal_comma else text, before=before)


Pieces = Callable[[], Iterable[tuple[str, int]]]  # a text again and again: whole lines, and how many come before them


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """What is known of a table before its rows are read: its beginning tells, or, without names, how columns go on."""

    series: Series  # without samples
    pieces: Pieces
    _table: _Table
    _chosen: Chosen
    _time: int | None
    _file: str | None

    def rows(self) -> Iterator[Array]:
        """Pieces (m, 3) of x, y and z, or (m, 4) with the time as the file has it, moments as Unix seconds."""
        for piece in _tables(self._table, self.pieces):
            yield self._read(piece)

    @property
    def time_in_numbers(self) -> bool:
        """Whether times are numbers, whose unit their name or their steps tell, rather than moments."""
        return self._time is not None and _is_number(self._table.field(self._time))

    def place(self, sample: int, axis: int) -> tuple[int, str]:
        """Row and column, as messages name them, of a value."""
        numbers = (number for piece in _tables(self._table, self.pieces) for number, _ in piece.rows())
        row = next(islice(numbers, sample, None), self._table.skip + sample + 1)
        return row, shortened(self._table.name(self._chosen.axes[axis]))

    def _read(self, piece: _Table) -> Array:
        if self._time is None:
            return _numbers(piece, self._chosen.axes, self._file)
        if self.time_in_numbers:
            return _numbers(piece, (*self._chosen.axes, self._time), self._file)
        moments = _moments(piece, self._time, self._file)
        return np.column_stack([_numbers(piece, self._chosen.axes, self._file), moments])


def _tables(table: _Table, pieces: Pieces) -> Iterator[_Table]:
    """The pieces that hold rows."""
    for text, before in pieces():
        piece = table.piece(text, before)
        if next(piece.rows(), None) is not None:
            yield piece


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
    found = outline(
        layout, lambda: [(layout.text, 0)], file=file, with_time=with_time, stated=stated, unit_stated=unit_stated
    )
    rows = np.concatenate(list(found.rows()))
    time_s = None
    if found.series.time_column is not None:
        time_s = in_seconds(rows[:, 3], found.series.time_column) if found.time_in_numbers else rows[:, 3] - rows[0, 3]
    return replace(found.series, values=rows[:, :3], time_s=time_s)


def outline(
    layout: Layout, pieces: Pieces, *, file: str | None, with_time: bool, stated: Sequence[str], unit_stated: bool
) -> Outline:
    """How to read a table of which the layout holds the beginning at least; arguments as of `read_table`.

    Raises:
        DataError: no x, y and z can be told.
    """
    table = _lay_out(layout, file)
    chosen = _chosen(table, pieces, stated, file)
    time = _time(table, chosen, file) if with_time and layout.rate_hz is None else None
    names = tuple(table.name(axis) for axis in chosen.axes)
    found = format_of(table.header) if table.header and layout.format == "table" else layout.format
    series = Series(
        values=np.empty((0, 3)),
        columns=names,
        format=found,
        unit=unit_of(names) or layout.unit or unit_of_format(found, names),
        time_column=None if time is None else table.name(time),
        header_hz=layout.rate_hz,
        gravity=gravity_of(names),
        warnings=(*chosen.warnings, *doubts_of_format(found, unit_stated=unit_stated)),
    )
    whole = Outline(series, pieces, table, chosen, time, file)
    return replace(whole, series=replace(series, place=whole.place))


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
        return replace(_lay_out(replace(layout, text=layout.text.replace(",", ".")), file), decimal_comma=True)
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
    for _ in range(table.skip - table.before):
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


def _chosen(table: _Table, pieces: Pieces, stated: Sequence[str], file: str | None) -> Chosen:
    if stated:
        return stated_columns(table.header or (), max(len(table.first), len(table.header or ())), stated, file)
    return named_axes(table.header, file) if table.header else _by_content(table, pieces, file)


def _by_content(table: _Table, pieces: Pieces, file: str | None) -> Chosen:
    """Without a header: the column that grows is time, the other three are x, y and z in this order."""
    numeric = [column for column, field in enumerate(table.first) if _is_number(field)]
    moments = [column for column, field in enumerate(table.first) if column not in numeric and _is_moment(field)]
    if len(numeric) == 3:
        return Chosen((numeric[0], numeric[1], numeric[2]), moments[0] if moments else None)
    course = _Course()
    for piece in _tables(table, pieces):
        course.go_on(_numbers(piece, numeric, file))
    rising = [column for column, rises in zip(numeric, course.rises, strict=True) if rises]
    counting = [column for column, counts in zip(numeric, course.counts, strict=True) if counts]
    times = moments or [column for column in rising if column not in counting]
    rest = [column for column in numeric if column not in rising]
    moving = [column for column, moves in zip(numeric, course.moves, strict=True) if moves and column in rest]
    axes = rest if len(rest) in (3, 6) else moving
    if len(axes) not in (3, 6) or len(times) > 1:
        detail = (
            f"{len(numeric)} columns without a header, and x, y, z cannot be told; add a header `time,x,y,z`, or state "
            "the columns"
        )
        raise DataError(detail, file=file)
    taken = f"columns {axes[0] + 1}, {axes[1] + 1} and {axes[2] + 1} of {len(table.first)} were taken as x, y and z"
    return Chosen((axes[0], axes[1], axes[2]), times[0] if times else None, (f"without a header, {taken}",))


@dataclass(slots=True, eq=False)
class _Course:
    """How columns go on from row to row; each property has an entry a column."""

    steps: int = 0
    _last: Array = field(default_factory=lambda: np.empty((0, 0)))  # row, of one
    _first: Array = field(default_factory=lambda: np.empty((0, 0)))
    _not_down: Array | float = 0.0  # how many steps
    _up: Array | float = 0.0
    _by_one: Array | float = 0.0
    moves: Sequence[bool] = ()  # whether not all values are the same

    def go_on(self, rows: Array) -> None:
        """Look at the next rows (m, columns)."""
        if not self.steps and not len(self._last):
            self._first, self.moves = rows[:1], [False] * rows.shape[1]
        step = np.diff(np.concatenate([self._last, rows]) if len(self._last) else rows, axis=0)
        self.steps += len(step)
        self._not_down = self._not_down + (step >= 0).sum(axis=0)
        self._up = self._up + (step > 0).sum(axis=0)
        self._by_one = self._by_one + (step == 1).sum(axis=0)
        self.moves = [was or now for was, now in zip(self.moves, (rows != self._first).any(axis=0), strict=True)]
        self._last = rows[-1:]

    @property
    def rises(self) -> Sequence[bool]:
        """Times, or row numbers."""
        most, some = self._not_down >= np.multiply(0.95, self.steps), self._up >= np.multiply(0.5, self.steps)
        return [self.steps > 1 and bool(rises) for rises in np.atleast_1d(most & some)]

    @property
    def counts(self) -> Sequence[bool]:
        """Row numbers rather than times."""
        return [bool(all_) for all_ in np.atleast_1d(np.equal(self._by_one, self.steps))]


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


def _moments(table: _Table, column: int, file: str | None) -> Array:
    """Unix seconds (n,)."""
    seconds = []
    for number, line in table.rows():
        fields = _split(line, table.delimiter)
        text = fields[column] if column < len(fields) else ""
        try:
            seconds.append(_moment(text).timestamp())
        except (ValueError, OverflowError):
            raise _no_time(table, column, text, number, file) from None
    return np.array(seconds)


def _no_time(table: _Table, column: int, field: str, row: int, file: str | None) -> DataError:
    detail = (
        f"{field.strip()[:40]!r} is neither a number of s, ms, µs or ns nor a time in ISO 8601; convert it, or state "
        "the rate"
    )
    return DataError(detail, file=file, row=row, column=shortened(table.name(column)))
