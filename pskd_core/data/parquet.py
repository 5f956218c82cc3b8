"""Recordings in Parquet files, whose columns are called as those of text tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pskd_core.data.columns import open_parquet, read_parquet_columns
from pskd_core.data.headers import (
    LONGEST_HEADER,
    gravity_of,
    in_seconds,
    named_axes,
    stated_columns,
    time_columns,
    unit_of,
)
from pskd_core.data.layouts import doubts_of_format, format_of, unit_of_format
from pskd_core.data.problems import finite_float32, shortened
from pskd_core.data.series import Array, Series
from pskd_core.errors import DataError


def read_parquet(data: bytes, *, file: str | None, with_time: bool, stated: Sequence[str], unit_stated: bool) -> Series:
    """The columns that are called x, y and z, as in a text (`tables.read_table`).

    Raises:
        DataError: it is damaged or far too long, has no such columns, or a value is no finite number (with row and
            column).
    """
    held = open_parquet(data, file)
    header = [name[:LONGEST_HEADER] for name in held.schema_arrow.names]
    chosen = stated_columns(header, len(header), stated, file) if stated else named_axes(header, file)
    named = [column for column in time_columns(header) if column not in chosen.axes]
    time = chosen.time if chosen.time is not None or not named else named[0]
    time = time if with_time else None
    wanted = [*chosen.axes, *([] if time is None else [time])]
    whole = held.schema_arrow.names
    table = read_parquet_columns(held, [whole[column] for column in wanted], file)
    arrays = [_numbers(table.column(whole[column]), header[column], file) for column in wanted]
    names = tuple(header[axis] for axis in chosen.axes)
    found = format_of(header)
    return Series(
        values=finite_float32(np.stack(arrays[:3], axis=1), names, file=file).astype(np.float64),
        columns=names,
        format="parquet",
        unit=unit_of(names) or unit_of_format(found, names),
        time_s=None if time is None else _seconds(arrays[3], table.column(whole[time]), header[time], file),
        time_column=None if time is None else header[time],
        gravity=gravity_of(names),
        warnings=(*chosen.warnings, *doubts_of_format(found, unit_stated=unit_stated)),
        place=lambda sample, axis: (sample + 1, shortened(names[axis])),
    )


def _numbers(column: Any, name: str, file: str | None) -> Array:
    try:
        if str(column.type).startswith("timestamp"):
            return np.asarray(column.to_numpy(), "datetime64[ns]").astype(np.int64).astype(np.float64)
        return np.asarray(column.to_numpy(), np.float64)
    except (ValueError, TypeError, OverflowError) as broken:
        detail = f"it holds {str(column.type)[:40]}, no numbers; store numbers, or state the columns"
        raise DataError(detail, file=file, column=shortened(name)) from broken


def _seconds(times: Array, column: Any, name: str, file: str | None) -> Array:
    finite = np.isfinite(times) & np.asarray(column.is_valid())
    if not finite.all():
        row = int(finite.argmin()) + 1
        raise DataError("a time is missing or not finite", file=file, row=row, column=shortened(name))
    # A column of the type timestamp says its own unit.
    return in_seconds(times, "(ns)" if str(column.type).startswith("timestamp") else name)
