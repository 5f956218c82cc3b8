"""A dataset on this machine as one file that can be sent."""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import wrap_file


@contextmanager
def as_zip(source: Path) -> Iterator[BinaryIO]:
    """The zip that `source` is, or one of the folder that it is, gone when the block ends."""
    if source.is_file():
        with source.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False) as archive:
            for member in sorted(path for path in source.rglob("*") if path.is_file()):
                archive.write(member, member.relative_to(source))
        yield file


@contextmanager
def with_bar(file: BinaryIO, console: Console) -> Iterator[BinaryIO]:
    """The same file, with a bar that shows how much of it has been read, if anybody looks."""
    if not console.is_terminal:
        yield file
        return
    size = file.seek(0, 2)
    file.seek(0)
    with wrap_file(file, size, description="uploading", console=console, transient=True) as shown:
        yield shown
