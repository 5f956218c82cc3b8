"""Zips that loggers write: one text for each sensor, of which the accelerometer's is read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pskd_core.data.arrays import is_array
from pskd_core.data.headers import gravity_of, named_axes
from pskd_core.data.layouts import format_of
from pskd_core.data.problems import listed
from pskd_core.data.series import Series
from pskd_core.data.tables import header_of, read_table
from pskd_core.data.texts import decoded_text
from pskd_core.data.zips import UNREADABLE, opened_zip, read_member
from pskd_core.errors import DataError

_GT3X_MEMBERS = {"info.txt", "log.bin"}
_MOST_BYTES = 1 << 28  # of one text
MOST_MEMBERS = 100_000
_MOST_TEXTS = 200  # whose beginnings are looked at
_HEAD_BYTES = 1 << 14
_TEXT = re.compile(r"\.(?:csv|tsv|txt)$", re.IGNORECASE)
_ACCELERATION = re.compile(r"acc", re.IGNORECASE)
_UNCALIBRATED = re.compile(r"uncalibrated", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Text:
    """A member that may be the accelerometer's."""

    name: str
    columns: tuple[str, str, str]
    rank: int  # lower is better


def kind_of_zip(data: bytes, file: str | None) -> Literal["npz", "texts"]:
    """Whether a zip holds arrays or texts.

    Raises:
        DataError: the zip is damaged, one that `opened_zip` refuses, or a `.gt3x`.
    """
    try:
        with opened_zip(data, most_members=MOST_MEMBERS, file=file) as (_, members):
            names = {member.filename for member in members}
    except UNREADABLE as broken:
        raise DataError(f"a damaged zip or .npz ({broken})", file=file) from broken
    if names >= _GT3X_MEMBERS:
        raise DataError("ActiGraph's .gt3x is not read; export it from ActiLife as raw CSV", file=file)
    return "texts" if any(map(_is_text, names)) and not any(map(is_array, members)) else "npz"


def read_zip(data: bytes, *, file: str | None, with_time: bool, stated: Sequence[str], unit_stated: bool) -> Series:
    """The accelerometer's text of a logger's zip: with gravity rather than without.

    Raises:
        DataError: none of its texts is, several could be, or the one that is cannot be read.
    """
    try:
        with opened_zip(data, most_members=MOST_MEMBERS, file=file) as (archive, members):
            texts = [member for member in members if _is_text(member.filename)]
            heads = {member.filename: read_member(archive, member, _HEAD_BYTES) for member in texts[:_MOST_TEXTS]}
            chosen = _chosen(heads, file)
            content = read_member(archive, archive.getinfo(chosen.name), _MOST_BYTES)
    except UNREADABLE as broken:
        raise DataError(f"a damaged zip ({broken})", file=file) from broken
    if len(content) > _MOST_BYTES:
        raise DataError(f"{chosen.name[:100]} inflates to more than {_MOST_BYTES} bytes", file=file)
    place = f"{file}, {chosen.name[:100]}" if file else chosen.name[:100]
    text = decoded_text(content, place)
    series = read_table(text, file=place, with_time=with_time, stated=stated, unit_stated=unit_stated)
    if _UNCALIBRATED.search(chosen.name):  # as the phone measures it: iOS in g, Android in m/s²
        return replace(series, unit=None, warnings=())
    return series


def _is_text(name: str) -> bool:
    """Device and time are described below `meta/` by phyphox; a Mac adds shadows of files."""
    parts = name.split("/")
    shadow = parts[0] == "__MACOSX" or parts[-1].startswith("._")
    return bool(_TEXT.search(name)) and "meta" not in parts[:-1] and not shadow


def _chosen(heads: dict[str, bytes], file: str | None) -> _Text:
    texts = [text for name, head in heads.items() if (text := _understood(name, head, alone=len(heads) == 1))]
    if not texts:
        detail = f"no accelerometer among {listed(heads)}; send its file alone"
        raise DataError(detail, file=file)
    best = min(text.rank for text in texts)
    first, *others = [text for text in texts if text.rank == best]
    if others:
        both = listed([first.name, *(other.name for other in others)])
        raise DataError(f"{both} could all be the accelerometer's; send one of them", file=file)
    return first


def _understood(name: str, head: bytes, *, alone: bool) -> _Text | None:
    """What a member holds, by its header; where sensors share their columns' names, the member's own name tells."""
    try:
        header = header_of(decoded_text(head, name), name)
        axes = named_axes(header, name).axes
    except DataError:
        return _Text(name, ("1", "2", "3"), 3) if alone else None
    columns = (header[axes[0]], header[axes[1]], header[axes[2]])
    called = name.rpartition("/")[2].lower()
    says = all(_ACCELERATION.search(column) or column.lower().startswith("gf") for column in columns)
    if not says and not alone and not _ACCELERATION.search(called):
        return None
    free = gravity_of(columns) is False or "linear" in called
    if format_of(header) == "sensor_logger":  # its Accelerometer.csv has gravity taken out
        free = not called.startswith("total")
    return _Text(name, columns, (2 if not _UNCALIBRATED.search(called) else 1) if free else 0)
