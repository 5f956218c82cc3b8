"""Answers that are files."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from fastapi.responses import Response, StreamingResponse

_CHUNK_BYTES = 2**18
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: equal folders give equal zips


def as_file(filename: str) -> dict[str, str]:
    """The header by which a browser saves an answer under this name."""
    return {"Content-Disposition": f'attachment; filename="{filename}"'}


def file_answer(file: Path, *, filename: str, media_type: str = "application/octet-stream") -> Response:
    """A file's bytes."""
    return _streamed(file.open("rb"), file.stat().st_size, filename, media_type)


def zip_answer(folder: Path, *, filename: str, scratch: Path) -> Response:
    """All files of a folder as a zip, which is written below `scratch` before it is sent."""
    archive = TemporaryFile(dir=scratch)  # noqa: SIM115 - closed when it has been sent
    with zipfile.ZipFile(archive, "w") as members:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            with path.open("rb") as source, members.open(member, "w") as target:
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
    size = archive.tell()
    archive.seek(0)
    return _streamed(archive, size, filename, "application/zip")


def _streamed(source: IO[bytes], size: int, filename: str, media_type: str) -> Response:
    def chunks() -> Iterator[bytes]:
        with source:
            while chunk := source.read(_CHUNK_BYTES):
                yield chunk

    headers = as_file(filename) | {"Content-Length": str(size)}
    return StreamingResponse(chunks(), headers=headers, media_type=media_type)
