"""Zips of strangers, counted before anything in them is inflated.

A zip's directory says how large each member is, and `zipfile` inflates no more than it says; so what the directory
claims is a bound that holds, and can be judged before a byte is inflated.
"""

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO

from pskd_core.data.problems import shortened
from pskd_core.errors import DataError

# All that `zipfile` raises on a damaged, encrypted or foreign archive (NotImplementedError is a RuntimeError).
UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, struct.error, zlib.error)
# Deflate can reach 1,032, real recordings 17, one of a sensor that mostly sleeps 65.
MOST_RATIO = 200
FREE_BYTES = 1 << 24  # which anything may inflate to, whatever its ratio
_COMPRESSION = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_LOCAL_HEADER_BYTES = 30  # without name and extra field
_ENTRY = b"PK\x01\x02"  # how each entry of the directory begins
_END, _END_BYTES = b"PK\x05\x06", 22 + (1 << 16)  # the end's record with the longest comment
_LOCATOR_64, _END_64, _END_64_SIZE = b"PK\x06\x07", b"PK\x06\x06", 40  # of zip64, and where that holds the size
_CHUNK_BYTES = 1 << 20


@contextmanager
def opened_zip(
    source: Path | bytes, *, most_members: int, file: Path | str | None
) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """An archive and its files (no folders), all of which may be read.

    Args:
        source: the archive, or where it lies.
        most_members: entries that it may have, of files and folders.
        file: what messages call it.

    Raises:
        DataError: it has more entries, two of one name, some that share bytes, some that inflate beyond measure, links,
            or names that lead out of it.
        zipfile.BadZipFile: and the others of `UNREADABLE`: it is damaged.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
        if (counted := _entries(stream, most_members)) > most_members:
            detail = (
                f"a zip of more than {most_members} files; at most so many are looked at, so zip what is meant alone"
            )
            raise DataError(detail, file=file)
        stream.seek(0)
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            if len(entries) > counted:
                raise zipfile.BadZipFile("its directory is not where it ends")
            if not all(entry.filename for entry in entries):
                raise zipfile.BadZipFile("one of its files has no name")  # of which `is_dir` asks the last letter
            for entry in entries:
                _refuse_place(entry, file)
            _refuse_twice(entries, file)
            _refuse_overlap(entries, stream.seek(0, io.SEEK_END), file)
            _refuse_inflating(entries, file)
            yield archive, [entry for entry in entries if not entry.is_dir()]


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most_bytes: int) -> bytes:
    """At most `most_bytes` + 1 bytes of a member."""
    if member.compress_type not in _COMPRESSION:
        raise ValueError("its compression is neither `stored` nor `deflate`")
    # read(n) inflates no more than n bytes, whatever size the member claims.
    with archive.open(member) as file:
        return file.read(most_bytes + 1)


def inflates_beyond_measure(inflated_bytes: int, stored_bytes: int) -> bool:
    """Whether so few bytes become so many that they hold no recording."""
    return inflated_bytes > FREE_BYTES and inflated_bytes > MOST_RATIO * stored_bytes


def _entries(stream: IO[bytes], enough: int) -> int:
    """How many entries the directory has, at most: counted, since `zipfile` holds all of them as objects at once."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(size - _END_BYTES, 0))
    tail = stream.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + 16:
        raise zipfile.BadZipFile("it has no directory")
    (directory_bytes,) = struct.unpack_from("<I", tail, end + 12)
    record_64, locator_64 = tail[max(end - 76, 0) : max(end - 20, 0)], tail[max(end - 20, 0) : end]
    if locator_64.startswith(_LOCATOR_64) and record_64.startswith(_END_64):
        (directory_bytes,) = struct.unpack_from("<Q", record_64, _END_64_SIZE)
    # It ends where the record begins, or the zip64 record before that; the latter only adds bytes that are looked at.
    place = size - len(tail) + end
    left, found, last = min(directory_bytes + (1 << 10), place), 0, b""
    stream.seek(place - left)
    while left > 0 and found <= enough and (chunk := stream.read(min(left, _CHUNK_BYTES))):
        # The end of the chunk before may hold the beginning of an entry, and no whole one.
        found += (last + chunk).count(_ENTRY)
        left, last = left - len(chunk), chunk[-len(_ENTRY) + 1 :]
    return found


def _refuse_place(entry: zipfile.ZipInfo, file: Path | str | None) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        detail = f"{shortened(entry.filename)} is a link or a device and no file; zip the files themselves"
        raise DataError(detail, file=file)
    name = entry.filename
    if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        detail = f"the name {shortened(name)} leads out of the archive; zip the folder itself, with relative names"
        raise DataError(detail, file=file)


def _refuse_twice(entries: Sequence[zipfile.ZipInfo], file: Path | str | None) -> None:
    seen = set[str]()
    for entry in entries:
        if entry.filename in seen:
            detail = f"two of its files are called {shortened(entry.filename)}; which is meant cannot be told"
            raise DataError(detail, file=file)
        seen.add(entry.filename)


def _refuse_overlap(entries: Sequence[zipfile.ZipInfo], size: int, file: Path | str | None) -> None:
    """Each member has bytes of its own; entries that share some make gigabytes out of a small file."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    starts = [*(entry.header_offset for entry in ordered), size]
    for entry, (start, following) in zip(ordered, pairwise(starts), strict=True):
        if start + _LOCAL_HEADER_BYTES + entry.compress_size > following:
            detail = f"{shortened(entry.filename)} takes bytes of another of its {len(entries)} files; zip them anew"
            raise DataError(detail, file=file)


def _refuse_inflating(entries: Sequence[zipfile.ZipInfo], file: Path | str | None) -> None:
    claims = [(shortened(entry.filename), entry.file_size, entry.compress_size) for entry in entries]
    together = f"its {len(entries)} files", sum(claim[1] for claim in claims), sum(claim[2] for claim in claims)
    for name, inflated, stored in [*claims, together]:
        if inflates_beyond_measure(inflated, stored):
            detail = f"{name} would inflate to {inflated} bytes, more than {MOST_RATIO} times the {stored} that it has"
            raise DataError(f"{detail}; send what is meant alone", file=file)
