"""Where a dataset's files come from: a folder or a zip, never unpacked."""

import zipfile
from pathlib import Path

import pytest

from pskd_core.data import source
from pskd_core.data.source import open_source
from pskd_core.errors import DataError


def made_zip(path: Path, members: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_folder_and_its_zip_hold_the_same(tmp_path: Path) -> None:
    """Names are relative and sorted, and contents equal, wherever the files lie."""
    (tmp_path / "folder" / "b").mkdir(parents=True)
    (tmp_path / "folder" / "b" / "2.txt").write_bytes(b"two")
    (tmp_path / "folder" / "1.txt").write_bytes(b"one")
    archive = made_zip(tmp_path / "folder.zip", {"b/2.txt": b"two", "1.txt": b"one", "b/": b""})
    for place in (tmp_path / "folder", archive):
        with open_source(place) as files:
            assert files.names == ("1.txt", "b/2.txt")
            assert files.read("b/2.txt", most_bytes=3) == b"two"


def test_what_a_mac_lays_beside_each_file_is_no_file_of_the_dataset(tmp_path: Path) -> None:
    """`._name` holds a Finder's notes on `name`, in zips as in folders of other file systems."""
    members = {"a/walk.csv": b"1,2,3", "__MACOSX/a/._walk.csv": b"notes", "a/._walk.csv": b"notes"}
    archive = made_zip(tmp_path / "mac.zip", members)
    (tmp_path / "folder" / "a").mkdir(parents=True)
    (tmp_path / "folder" / "a" / "walk.csv").write_bytes(b"1,2,3")
    (tmp_path / "folder" / "a" / "._walk.csv").write_bytes(b"notes")
    for place in (archive, tmp_path / "folder"):
        with open_source(place) as files:
            assert files.names == ("a/walk.csv",)


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """A member that inflates to 10 MB from 10 kB is cut off at the limit, in a zip and in a folder."""
    archive = made_zip(tmp_path / "bomb.zip", {"bomb": b"\0" * 10_000_000})
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "bomb").write_bytes(b"\0" * 1001)
    for place in (archive, tmp_path / "folder"):
        with open_source(place) as files, pytest.raises(DataError, match="bomb: larger than the 1000 bytes"):
            files.read("bomb", most_bytes=1000)


def test_a_zip_of_a_file_without_a_name_is_damaged(tmp_path: Path) -> None:
    """A name that begins with NUL is an empty one."""
    archive = made_zip(tmp_path / "nameless.zip", {"walk.csv": b"1,2,3"})
    archive.write_bytes(archive.read_bytes().replace(b"walk.csv", b"\0alk.csv"))
    with pytest.raises(DataError, match="one of its files has no name"), open_source(archive):
        pass


def test_a_path_that_leads_out_of_the_zip_is_refused(tmp_path: Path) -> None:
    """Nothing is ever written under a member's name, and names that would lead elsewhere are refused all the same."""
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "inner").mkdir()
    archive = made_zip(tmp_path / "inner" / "evil.zip", {"../secret": b"from the zip"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"the name \.\./secret leads out of the archive"), open_source(archive):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_member_is_named_and_the_others_read(tmp_path: Path) -> None:
    """One bad member does not spoil an archive."""
    archive = made_zip(tmp_path / "part.zip", {"bad": b"A" * 50, "good": b"B" * 50}, compression=zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"A" * 50, b"A" * 49 + b"C"))
    with open_source(archive) as files:
        with pytest.raises(DataError, match="bad: cannot be read"):
            files.read("bad", most_bytes=100)
        assert files.read("good", most_bytes=100) == b"B" * 50


def test_rare_compressions_are_refused(tmp_path: Path) -> None:
    """Only the two that every zip program writes are inflated."""
    archive = made_zip(tmp_path / "rare.zip", {"a": b"A" * 50}, compression=zipfile.ZIP_LZMA)
    with open_source(archive) as files, pytest.raises(DataError, match="neither `stored` nor `deflate`"):
        files.read("a", most_bytes=100)


def test_what_is_neither_folder_nor_zip_is_refused(tmp_path: Path) -> None:
    """A missing path, a text file and a cut zip say what was wanted."""
    whole = made_zip(tmp_path / "whole.zip", {"a": b"A"}).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-10])
    (tmp_path / "text").write_text("hello")
    for name in ("missing", "text", "cut.zip"):
        with pytest.raises(DataError, match="neither a folder nor a readable zip"), open_source(tmp_path / name):
            pass


def test_a_zip_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip can name millions of empty files in little space; beyond the limit it is refused, with the remedy."""
    monkeypatch.setattr(source, "_MOST_MEMBERS", 3)
    within = made_zip(tmp_path / "within.zip", dict.fromkeys("abc", b""))
    beyond = made_zip(tmp_path / "beyond.zip", dict.fromkeys("abcd", b""))
    with open_source(within) as files:
        assert len(files.names) == 3
    with (
        pytest.raises(DataError, match=r"beyond\.zip: a zip of more than 3 files; at most so many"),
        open_source(beyond),
    ):
        pass


@pytest.mark.parametrize("content", [None, b"hello"])
def test_a_label_stands_for_the_path(tmp_path: Path, content: bytes | None) -> None:
    """Where the path means nothing to the user, it is in no message: neither as the place nor as the cause."""
    path = tmp_path / "3f9a"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as refused, open_source(path, label="walk.zip"):
        pass
    assert refused.value.file == "walk.zip"
    assert "3f9a" not in str(refused.value)
