"""Recordings of any length: read from disk piece by piece, in a few passes, in the memory of some pieces.

What is found is what `read_recording` finds, which holds everything at once; only times that run backwards, which it
sorts, are refused.
"""

import codecs
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from pskd_core.data.arrays import outlined_npy
from pskd_core.data.blocks import Rows, median
from pskd_core.data.clocks import Clock
from pskd_core.data.layouts import recognised
from pskd_core.data.recordings import (
    DUD_LEFT_OUT,
    RateFound,
    SensorRecording,
    container_of,
    doubts,
    found_unit,
    gravity_in,
    head_of,
    impossible,
    impossible_value,
    is_dud,
    magnitudes,
    rate_without_times,
    read_recording,
    refuse_rate,
    refuse_useless,
)
from pskd_core.data.series import PER_G, Array, Series, Unit
from pskd_core.data.tables import outline
from pskd_core.data.texts import LONGEST_LINE, refuse_binary, refuse_long_lines
from pskd_core.errors import DataError

Told = Callable[[float], None]  # which share of the file one of the passes has read

PIECE_BYTES = 1 << 21
_ROW_BYTES = 16  # of a short row in a text, about
_HEAD_BYTES = 1 << 17  # of a text, which tell its layout
_WHOLE_BYTES = 64 << 20  # of a file whose format is not read piece by piece


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """A file that can be read again and again."""

    series: Series  # without samples
    rows: Callable[[], Iterable[Array]]  # (m, 3), or (m, 4) with times as the file has them
    time_in_numbers: bool  # else they are Unix seconds
    time_name: str = ""  # which may hold their unit


@dataclass(frozen=True, slots=True, eq=False)
class _Sampled:
    """Samples at a constant rate, still in the file's unit."""

    blocks: Iterable[Array]  # (m, 3)
    rate_hz: float
    rate_found: RateFound
    doubts: tuple[str, ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()
    repairs: tuple[str, ...] = ()


def read_long_recording(
    path: Path,
    *,
    scratch: Path,
    filename: str | None = None,
    rate_hz: float | None = None,
    unit: Unit | None = None,
    columns: Sequence[str] = (),
    told: Told = lambda _: None,
    piece_bytes: int = PIECE_BYTES,
) -> SensorRecording:
    """Read a text or a `.npy` of any length; a file of another format is read whole, up to 64 MiB.

    The samples are mapped from the disk, not held.

    Args:
        path: the file, which is read more than once.
        scratch: a folder on a disk, for at most 80 bytes a sample read; once the recording is gone nothing is there.
        filename: for messages only.
        rate_hz: as of `read_recording`.
        unit: as of `read_recording`.
        columns: as of `read_recording`.
        told: called with the share of the file that is read, again and again; what it raises ends the reading.
        piece_bytes: how much is parsed at once, about.

    Raises:
        DataError: as of `read_recording`; or times run backwards, or a file of another format is larger.
    """
    file = filename or path.name
    refuse_rate(rate_hz, file)
    source = _source(path, file, rate_hz, unit, columns, told, piece_bytes)
    if source is None:
        if path.stat().st_size > _WHOLE_BYTES:
            detail = f"its format is read whole, up to {_WHOLE_BYTES >> 20} MiB; cut it up, or save it as CSV or `.npy`"
            raise DataError(detail, file=file)
        return read_recording(path, filename=file, rate_hz=rate_hz, unit=unit, columns=columns)
    width = 3 if source.series.time_column is None else 4
    block_rows = max(piece_bytes // _ROW_BYTES, 1)
    with (
        closing(Rows(scratch, width, np.float64, block_rows=block_rows)) as raw,
        closing(Rows(scratch, 3, np.float32, block_rows=block_rows)) as even,
    ):
        for rows in source.rows():
            raw.append(rows)
        return _understood(source, raw, even, rate_hz, unit, file)


def _understood(
    source: _Source, raw: Rows, even: Rows, stated_hz: float | None, stated: Unit | None, file: str
) -> SensorRecording:
    """What `raw` is, as `read_recording` finds it out; `even` takes its samples in g."""
    series = source.series
    refuse_useless(raw.count, moves=any(block[:, :3].any() for block in raw.blocks()), file=file)
    usual = cache(lambda: median(lambda: (magnitudes(block[:, :3]) for block in raw.blocks())))
    unit, unit_doubts = found_unit(series, stated, usual, file)
    _refuse_impossible(raw, series, unit, file)
    dud = is_dud(next(raw.blocks())[0, :3], usual, unit)
    sampled = _sampled(source, raw, int(dud), stated_hz, file)
    largest_g = 0.0
    for block in sampled.blocks:
        values_g = (block / PER_G[unit]).astype(np.float32)
        largest_g = max(largest_g, float(np.abs(values_g).max()))
        even.append(values_g)
    gravity = series.gravity
    if gravity is None:
        gravity = gravity_in(median(lambda: map(magnitudes, even.blocks())))
    return SensorRecording(
        values_g=even.mapped(),
        rate_hz=sampled.rate_hz,
        rate_found=sampled.rate_found,
        format=series.format,
        unit=unit,
        columns=series.columns,
        time_column=series.time_column if sampled.rate_found == "timestamps" else None,
        gravity=gravity,
        gaps=sampled.gaps,
        repairs=(*series.repairs, *([DUD_LEFT_OUT] if dud else []), *sampled.repairs),
        warnings=(*series.warnings, *unit_doubts, *sampled.doubts, *doubts(sampled.rate_hz, largest_g)),
    )


def _refuse_impossible(raw: Rows, series: Series, unit: Unit, file: str) -> None:
    for number, block in enumerate(raw.blocks()):
        if (beyond := impossible(block[:, :3], unit)).any():
            sample, axis = divmod(int(beyond.argmax()), 3)
            value = float(block[sample, axis])
            raise impossible_value(series, number * raw.block_rows + sample, axis, value, unit, file)


def _sampled(source: _Source, raw: Rows, start: int, stated_hz: float | None, file: str) -> _Sampled:
    if stated_hz is not None:
        return _Sampled((block[:, :3] for block in raw.blocks(start)), stated_hz, "stated")
    if source.series.time_column is None:
        rate_hz, found, guess = rate_without_times(source.series)
        return _Sampled((block[:, :3] for block in raw.blocks(start)), rate_hz, found, guess)
    clock = Clock(raw, start=start, time_in_numbers=source.time_in_numbers, time_name=source.time_name, file=file)
    return _Sampled(clock.samples(), clock.rate_hz, "timestamps", (), clock.gaps, clock.repairs)


# --- Files --------------------------------------------------------------------------------------------------------


def _source(
    path: Path,
    file: str,
    rate_hz: float | None,
    unit: Unit | None,
    stated: Sequence[str],
    told: Told,
    piece_bytes: int,
) -> _Source | None:
    """None: it is read whole."""
    container, with_time = container_of(head_of(path)), rate_hz is None
    if container == "npy":
        found = outlined_npy(path, file=file, with_time=with_time, stated=stated, piece_bytes=piece_bytes, told=told)
        return None if found is None else _Source(*found, time_in_numbers=True)
    if container != "text":
        return None
    pieces = partial(_pieces, path, _encoding(path), file, told)
    head, _ = next(pieces(_HEAD_BYTES), ("", 0))
    refuse_binary(head, file)
    layout = recognised(head, file)
    if layout.format == "wisdm":  # its lines end in signs of their own, and tell persons apart
        return None
    table = outline(
        layout,
        partial(pieces, piece_bytes),
        file=file,
        with_time=with_time,
        stated=stated,
        unit_stated=unit is not None,
    )
    return _Source(table.series, table.rows, table.time_in_numbers, table.series.time_column or "")


def _encoding(path: Path) -> str:
    """That of a text, as `decoded_text` finds it."""
    with path.open("rb") as opened:
        start = opened.read(2)
        wide = start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        encoding = "utf-16" if wide else "utf-8-sig"
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            decoder.decode(start)
            while piece := opened.read(PIECE_BYTES):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return encoding


def _pieces(path: Path, encoding: str, file: str, told: Told, piece_bytes: int) -> Iterator[tuple[str, int]]:
    """A text in whole lines, and how many lines come before each piece."""
    size, before = path.stat().st_size, 0
    with path.open("rb") as data, io.TextIOWrapper(data, encoding) as opened:
        while text := opened.read(piece_bytes):
            text += opened.readline(LONGEST_LINE + 1)
            refuse_long_lines(text, file, before=before)
            yield text, before
            before += text.count("\n")
            told(min(data.tell() / size, 1.0))
