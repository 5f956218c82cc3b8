"""Forms with a file, while they arrive."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from api.uploads import form_file
from store.errors import Conflict

NAME = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nutd\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="d.zip"\r\n\r\n'
PIECES = [bytes(65536)] * 100


class Form:
    """A request whose body arrives piece by piece; `left` are the pieces that nobody has asked for."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.left = pieces
        headers = [(b"content-type", b"multipart/form-data; boundary=b")]
        self.request = Request({"type": "http", "method": "POST", "headers": headers}, self._receive)

    async def _receive(self) -> Message:
        piece = self.left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.left)}


def test_a_file_may_be_refused_for_its_size_while_it_arrives(tmp_path: Path) -> None:
    """Of the file alone is counted what has come, piece by piece; once it is refused no more is asked for."""
    form, seen = Form([NAME + FILE, *PIECES, b"\r\n--b--\r\n"]), list[int]()

    def count(size: int) -> None:
        seen.append(size)
        if size > 3 * 65536:
            raise Conflict("full")

    async def read() -> None:
        async with form_file(form.request, folder=tmp_path, count=count):
            pass

    with pytest.raises(Conflict):
        asyncio.run(read())
    assert seen == [0, 65536, 2 * 65536, 3 * 65536, 4 * 65536]
    assert len(form.left) == 97
    assert list(tmp_path.iterdir()) == []


def received(form: Form, folder: Path, *, taken: str) -> tuple[list[dict[str, str]], int]:
    """What the check was asked, and the size of the file."""
    asked: list[dict[str, str]] = []

    async def check(fields: Mapping[str, str]) -> None:
        asked.append(dict(fields))
        if fields.get("name") == taken:
            raise Conflict("taken")

    async def read() -> int:
        async with form_file(form.request, folder=folder, fields=["name", "after"], check=check) as (file, _):
            return file.size or 0

    return asked, asyncio.run(read())


def test_a_form_may_be_refused_before_its_file_arrives(tmp_path: Path) -> None:
    """The fields that came first are checked once the file begins; no more of it is asked for, and nothing stays."""
    form = Form([NAME + FILE, *PIECES, b"\r\n--b--\r\n"])
    with pytest.raises(Conflict):
        received(form, tmp_path, taken="utd")
    assert len(form.left) == 101
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pieces", "known"),
    [
        ([NAME + FILE, *PIECES, b"\r\n--b--\r\n"], {"name": "utd"}),
        ([bytes([byte]) for byte in NAME + FILE] + [*PIECES, b"\r\n--b--\r\n"], {"name": "utd"}),
        ([FILE, *PIECES, b"\r\n", NAME, b"--b--\r\n"], {}),
    ],
    ids=["whole", "byte by byte", "after"],
)
def test_a_form_that_passes_is_read_whole(tmp_path: Path, pieces: list[bytes], known: dict[str, str]) -> None:
    """The check is asked once, with what came before the file, and changes nothing of what is read."""
    assert received(Form(pieces), tmp_path, taken="other") == ([known], 6_553_600)
