"""Named columns of numbers from whatever holds them: CSV, `.npy`, `.npz` or Parquet; the content tells which."""

import csv
import io
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Literal

import numpy as np

from pskd_core.data.arrays import parse_npy, parse_npz
from pskd_core.data.numbers import decoded
from pskd_core.data.problems import shortened
from pskd_core.data.series import Array
from pskd_core.data.texts import refuse_long_lines
from pskd_core.errors import DataError

TimeUnit = Literal["s", "ms", "us", "ns", "iso"]
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_MOST_ROWS = 10_000_000  # of which 24 hours at 100 Hz are 8.6 million; a page of one value holds as many as it likes
_MOST_BYTES = 1 << 29  # of a file's columns
_MOST_COLUMNS = 10_000  # of a text
_HOLES = {"", "nan", "na", "n/a", "null", "none", "-"}


_Row = tuple[int, Sequence[str]]  # its number in the file, and its fields


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Columns as they stand; NaN where a field is empty."""

    values: Array  # (n, columns)
    time_s: Array | None  # (n,), finite
    first_row: int  # of the file, from 1


def read_columns(
    data: bytes, columns: Sequence[str], *, file: str, time: str | None = None, time_unit: TimeUnit = "s"
) -> Table:
    """Read the columns of these names, and the time if its column is named.

    Text and Parquet have names (capitals do not matter); text without a header, and arrays, hold the columns in order,
    the time before them. An `.npz` may keep the time in an array `time` of its own; an array of more than two axes is
    taken as (rows, everything else).

    Raises:
        DataError: a column is not there, or a field is no number; names row (from 1) and column.
    """
    if data.startswith(b"\x93NUMPY"):
        return _from_array(parse_npy(data, file), columns, file, time, time_unit)
    if data.startswith(b"PK\x03\x04"):
        return _from_npz(data, columns, file, time, time_unit)
    if data.startswith(b"PAR1"):
        return _from_parquet(data, columns, file, time, time_unit)
    return _from_text(decoded(data), columns, file, time, time_unit)


# --- Text ---------------------------------------------------------------------------------------------------------


def _from_text(text: str, columns: Sequence[str], file: str, time: str | None, time_unit: TimeUnit) -> Table:
    if "\0" in text[:4096]:
        raise DataError("neither CSV nor .npy, .npz or Parquet", file=file)
    refuse_long_lines(text, file)
    first = text.lstrip("\n").split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    rows = ((reader.line_num, row) for row in reader if any(map(str.strip, row)))
    wanted = [time, *columns] if time is not None else list(columns)
    parsers = [_number] * len(wanted)
    if time is not None and time_unit == "iso":
        parsers[0] = _iso
    try:
        places, below = _text_places(rows, wanted, file)
        fields = list(zip(places, wanted, parsers, strict=True))
        first_row, numbers = _parsed(below, fields, file)
    except csv.Error as broken:
        raise DataError(f"not a CSV file ({broken})", file=file, row=reader.line_num) from broken
    if time is None:
        return Table(numbers, None, first_row)
    return Table(numbers[:, 1:], _seconds(numbers[:, 0], time_unit, time, file, first_row), first_row)


def _text_places(rows: Iterable[_Row], wanted: Sequence[str], file: str) -> tuple[Sequence[int], Iterable[_Row]]:
    """Where the columns stand, and the rows without the header."""
    rows = iter(rows)
    if (head := next(rows, None)) is None:
        raise DataError("the file is empty", file=file)
    number, fields = head
    if len(fields) > _MOST_COLUMNS:
        detail = f"{len(fields)} columns are more than the {_MOST_COLUMNS} that are looked at"
        raise DataError(detail, file=file, row=number)
    if not any(map(_is_number, fields)):
        return _places(fields, wanted, file), rows
    if len(fields) != len(wanted):
        detail = f"{len(fields)} columns without a header; {', '.join(wanted[:8])} were expected in this order"
        raise DataError(detail, file=file, row=number)
    return range(len(wanted)), chain([head], rows)


def _parsed(
    rows: Iterable[_Row], fields: Sequence[tuple[int, str, Callable[[str], float]]], file: str
) -> tuple[int, Array]:
    """The number of the first row, and what all hold: no field is kept as text, which takes eight times as much."""
    numbers, first_row, found = array("d"), 0, 0
    for found, row in enumerate(rows, start=1):
        first_row = first_row or row[0]
        if found > _MOST_ROWS:
            raise DataError(f"more than the {_MOST_ROWS} rows that are read at once; cut it up", file=file)
        for place, name, parse in fields:
            try:
                numbers.append(parse(row[1][place]))
            except (ValueError, IndexError):
                raise DataError(_fault(row[1], place), file=file, row=row[0], column=name) from None
    if not found:
        raise DataError("a header and no row", file=file)
    return first_row, np.frombuffer(numbers, np.float64).reshape(found, len(fields))


def _places(header: Sequence[str], wanted: Sequence[str], file: str) -> list[int]:
    found = [_plain(name) for name in header]
    places = []
    for name in wanted:
        if found.count(_plain(name)) != 1:
            said = "stands there twice" if _plain(name) in found else "is not there"
            names = ", ".join(name.strip() for name in header)[:300]
            raise DataError(f"column {name} {said}; it has {names}", file=file, row=1, column=name)
        places.append(found.index(_plain(name)))
    return places


def _plain(name: str) -> str:
    """`Head_X`, `head.x` and `head x` are one name."""
    return re.sub(r"[\s._-]+", ".", name.strip().lower())


def _fault(fields: Sequence[str], place: int) -> str:
    if place >= len(fields):
        return f"{len(fields)} fields; a value is missing"
    return f"{fields[place].strip()[:40]!r} cannot be read"


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        if word.strip().lower() in _HOLES:
            return np.nan
        raise


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return bool(re.match(r"\d{4}-\d\d-\d\d[T ]", word.strip()))
    return True


def _iso(word: str) -> float:
    """Seconds from the epoch; a time without an offset is taken as UTC."""
    moment = datetime.fromisoformat(word.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


# --- Arrays -------------------------------------------------------------------------------------------------------


def _from_array(
    array: Any, columns: Sequence[str], file: str, time: str | None, time_unit: TimeUnit, own_time: Any = None
) -> Table:
    flat = array.reshape(len(array), -1).astype(np.float64) if array.ndim >= 2 else array
    width = len(columns) + (1 if time is not None and own_time is None else 0)
    if array.ndim < 2 or flat.shape[1] != width or not len(flat):
        also = ", the time first" if width > len(columns) else ""
        detail = f"an array of shape {array.shape}; {width} columns a row were expected{also}"
        raise DataError(detail, file=file)
    if time is None:
        return Table(flat, None, 1)
    times = flat[:, 0] if own_time is None else np.asarray(own_time, np.float64).reshape(-1)
    if len(times) != len(flat):
        raise DataError(f"{len(times)} times for {len(flat)} rows", file=file, column=time)
    return Table(flat[:, width - len(columns) :], _seconds(times, time_unit, time, file, 1), 1)


def _from_npz(data: bytes, columns: Sequence[str], file: str, time: str | None, time_unit: TimeUnit) -> Table:
    arrays = parse_npz(data, file)
    own_time = arrays.pop(time or "time", None)
    if "values" in arrays:
        arrays = {"values": arrays["values"]}
    if len(arrays) != 1:
        held = ", ".join(arrays) or "none"
        raise DataError(f"one array, or one called `values`, was expected; it has {held}", file=file)
    return _from_array(next(iter(arrays.values())), columns, file, time, time_unit, own_time)


def _from_parquet(data: bytes, columns: Sequence[str], file: str, time: str | None, time_unit: TimeUnit) -> Table:
    held = open_parquet(data, file)
    header = held.schema_arrow.names
    wanted = [time, *columns] if time is not None else list(columns)
    names = [header[place] for place in _places(header, wanted, file)]
    table = read_parquet_columns(held, names, file)
    if not table.num_rows:
        raise DataError("it holds no row", file=file)
    arrays = [
        _parquet_column(table.column(name), name, file, is_time=name == names[0] and time is not None) for name in names
    ]
    values = np.stack(arrays[-len(columns) :], axis=1)
    time_s = None
    if time is not None:
        # A column of the type timestamp says its own unit.
        own: TimeUnit = "s" if str(table.column(names[0]).type).startswith("timestamp") else time_unit
        time_s = _seconds(arrays[0], own, time, file, 1)
    return Table(values, time_s, 1)


def open_parquet(data: bytes, file: str | None) -> Any:
    """A `pyarrow.parquet.ParquetFile`.

    Raises:
        DataError: pyarrow is not installed, or the file is damaged.
    """
    try:
        from pyarrow import ArrowException, BufferReader, parquet  # noqa: PLC0415 (an optional dependency)
    except ImportError as missing:
        detail = "Parquet needs pyarrow: `pip install 'pskd[parquet]'`, or store CSV, .npy or .npz"
        raise DataError(detail, file=file) from missing
    try:
        held = parquet.ParquetFile(BufferReader(data))
        _ = held.schema_arrow.names  # decoded only here
    except (ArrowException, OSError, UnicodeDecodeError) as broken:
        raise DataError(f"a damaged Parquet file ({str(broken)[:200]})", file=file) from broken
    return held


def read_parquet_columns(held: Any, names: Sequence[str], file: str | None) -> Any:
    """The columns of these names as a `pyarrow.Table`; what the file says of their size is judged before one is read.

    Raises:
        DataError: the file is damaged, has far too many rows or bytes, or a column holds no numbers.
    """
    from pyarrow import ArrowException  # noqa: PLC0415 (it opened the file)

    _refuse_beyond(held, names, file)
    for name in names:
        if not _holds_numbers(str(held.schema_arrow.field(name).type)):
            detail = f"it holds {str(held.schema_arrow.field(name).type)[:40]}, no numbers"
            raise DataError(f"{detail}; store numbers, or state the columns", file=file, column=shortened(name))
    try:
        return held.read(columns=list(names), use_threads=False)
    except (ArrowException, OSError) as broken:
        raise DataError(f"a damaged Parquet file ({str(broken)[:200]})", file=file) from broken


def _refuse_beyond(held: Any, names: Sequence[str], file: str | None) -> None:
    if twice := next((name for name in names if held.schema_arrow.names.count(name) > 1), None):
        raise DataError("two columns are called so; rename one", file=file, column=shortened(twice))
    groups = [held.metadata.row_group(number) for number in range(held.metadata.num_row_groups)]
    rows = max(held.metadata.num_rows, sum(group.num_rows for group in groups))
    if rows > _MOST_ROWS:
        detail = f"{rows} rows are more than the {_MOST_ROWS} that are read at once; cut it up"
        raise DataError(detail, file=file)
    # Of all columns: what is told of one alone ends the process where that is damaged (`terminate`, pyarrow 25).
    size = sum(group.total_byte_size for group in groups)
    if size > _MOST_BYTES:
        detail = f"its columns inflate to {size} bytes, more than the {_MOST_BYTES} that are read at once; cut it up"
        raise DataError(detail, file=file)


def _holds_numbers(kind: str) -> bool:
    """Whether a column of such a type of Arrow may hold samples or times; lists hold any number of values a row."""
    return re.match(r"u?int\d|float|halffloat|double|decimal|timestamp|date|time|bool|null", kind) is not None


def _parquet_column(column: Any, name: str, file: str, *, is_time: bool) -> Array:
    if is_time and str(column.type).startswith("timestamp"):
        return np.asarray(column.to_numpy(), "datetime64[ns]").astype(np.int64) / 1e9
    try:
        return np.asarray(column.to_numpy(), np.float64)
    except (ValueError, TypeError) as broken:
        raise DataError(f"it holds {column.type}, no numbers", file=file, column=name) from broken


def _seconds(times: Array, unit: TimeUnit, name: str, file: str, first_row: int) -> Array:
    if not (finite := np.isfinite(times)).all():
        row = first_row + int(np.flatnonzero(~finite)[0])
        raise DataError("a time is missing or not finite", file=file, row=row, column=name)
    return times * _SECONDS.get(unit, 1.0)
