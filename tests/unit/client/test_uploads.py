"""A dataset as one file."""

import io
import zipfile
from pathlib import Path

from rich.console import Console

from client.uploads import as_zip, with_bar


def test_folder_becomes_a_zip_of_its_files(tmp_path: Path) -> None:
    """A folder is sent as a zip with the files' places within it."""
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "a.txt").write_text("content")
    with as_zip(tmp_path / "data") as file, zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["deep/a.txt"]
        assert archive.read("deep/a.txt") == b"content"


def test_zip_is_sent_as_it_is(tmp_path: Path) -> None:
    """A file is not packed again."""
    (tmp_path / "data.zip").write_bytes(b"anything")
    with as_zip(tmp_path / "data.zip") as file:
        assert file.read() == b"anything"


def test_bar_leaves_the_content_alone() -> None:
    """A file read through its progress bar, and read again from its start, has the same content."""
    console = Console(file=io.StringIO(), force_terminal=True)
    with with_bar(io.BytesIO(b"x" * 1000), console) as shown:
        assert shown.read() == b"x" * 1000
        shown.seek(0)
        assert shown.read(10) == b"x" * 10
