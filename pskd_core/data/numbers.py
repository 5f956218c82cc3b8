"""Tables that hold nothing but numbers, as datasets keep them: quick to read, and precise about what is no number."""

import io
from collections.abc import Sequence

import numpy as np

from pskd_core.data.series import Array
from pskd_core.data.texts import refuse_long_lines
from pskd_core.errors import DataError


def read_numbers(
    text: str, *, columns: int | None, file: str, delimiter: str | None = None, skip: int = 0, names: Sequence[str] = ()
) -> Array:
    """All rows (n, columns) of a text; blank lines do not count, and `nan` is a number.

    Args:
        text: the table.
        columns: how many there must be; none: as many as the first row has.
        file: its name, for messages.
        delimiter: none: runs of blanks.
        skip: lines of header.
        names: of the columns, for messages; their numbers (from 1) otherwise.

    Raises:
        DataError: there is no row, or a field is no number or missing; names row (in lines, from 1) and column.
    """
    refuse_long_lines(text, file)
    lines = io.StringIO(text)
    for _ in range(skip):
        lines.readline()
    if not text.strip() or not lines.read().strip():
        raise DataError("it holds no row", file=file)
    lines.seek(0)
    try:
        numbers = np.loadtxt(lines, delimiter=delimiter, skiprows=skip, ndmin=2, comments=None, quotechar='"')
    except ValueError as broken:
        raise _fault(text, columns, file, delimiter, skip, names) or DataError(str(broken), file=file) from broken
    if columns is not None and numbers.shape[1] != columns:
        detail = f"{numbers.shape[1]} columns; {columns} were expected"
        raise DataError(detail, file=file, row=skip + 1)
    return numbers


def decoded(data: bytes) -> str:
    """Text with one kind of line end."""
    text = data.decode("utf-8-sig", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def column_name(names: Sequence[str], column: int) -> str:
    """How messages call a column: by its name, or by its number from 1."""
    return names[column] if column < len(names) else f"{column + 1}"


def _fault(
    text: str, columns: int | None, file: str, delimiter: str | None, skip: int, names: Sequence[str]
) -> DataError | None:
    """The first field, row by row, that is no number."""
    for number, line in enumerate(text.split("\n"), start=1):
        if number <= skip or not line.strip():
            continue
        fields = line.split(delimiter)
        columns = columns or len(fields)
        for column, field in enumerate(fields):
            if not _is_number(field):
                detail = f"{field.strip()[:40]!r} is not a number" if field.strip() else "a value is missing"
                return DataError(detail, file=file, row=number, column=column_name(names, column))
        if len(fields) != columns:
            detail = f"{len(fields)} values; {columns} were expected"
            return DataError(detail, file=file, row=number)
    return None


def _is_number(field: str) -> bool:
    try:
        float(field.strip().strip('"'))
    except ValueError:
        return False
    return True
