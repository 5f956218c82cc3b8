"""The files of a dataset as a user holds it: a folder or one zip, read member by member and never unpacked."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from pskd_core.data.zips import UNREADABLE, opened_zip, read_member
from pskd_core.errors import DataError

_MOST_MEMBERS = 1_000_000  # UTD-MHAD has 1,722


class SourceFiles:
    """Relative names, sorted, and a bounded way to read each. Names are only keys: nothing is written under them."""

    def __init__(self, place: Path | str, readers: Mapping[str, Callable[[int], bytes]]) -> None:
        self.place = place
        self.names = tuple(sorted(readers))
        self._readers = readers

    def read(self, name: str, *, most_bytes: int) -> bytes:
        """The content of one file.

        Raises:
            DataError: it is larger than `most_bytes`, damaged, encrypted or cannot be read.
        """
        try:
            data = self._readers[name](most_bytes)
        except UNREADABLE as broken:
            raise DataError(f"cannot be read ({_cause(broken)})", file=name) from broken
        if len(data) > most_bytes:
            raise DataError(f"larger than the {most_bytes} bytes that such a file may have", file=name)
        return data


@contextmanager
def open_source(path: Path, *, label: str | None = None) -> Iterator[SourceFiles]:
    """The files below a folder, or within a zip.

    Args:
        path: where they lie.
        label: what messages call that place, if its path means nothing to the user.

    Raises:
        DataError: there is nothing, or a file that is no zip, or one that `opened_zip` refuses.
    """
    place = label or path
    if path.is_dir():
        yield SourceFiles(place, {name: partial(_read_file, path / name) for name in _names_below(path)})
        return
    with ExitStack() as stack:
        try:
            archive, members = stack.enter_context(opened_zip(path, most_members=_MOST_MEMBERS, file=place))
        except UNREADABLE as broken:
            raise DataError(f"neither a folder nor a readable zip ({_cause(broken)})", file=place) from broken
        named = {member.filename: member for member in members if not _is_shadow(member.filename)}
        yield SourceFiles(place, {name: partial(read_member, archive, member) for name, member in named.items()})


def _cause(broken: Exception) -> str:
    """What went wrong, without the path that an OSError's text holds."""
    return broken.strerror or "a system error" if isinstance(broken, OSError) else str(broken)


def _names_below(folder: Path) -> list[str]:
    names = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    return [name for name in names if not _is_shadow(name)]


def _is_shadow(name: str) -> bool:
    """Whether a file holds what a Mac knows of another, which has the same name but for `._` before it."""
    return name.rpartition("/")[2].startswith("._")


def _read_file(path: Path, most_bytes: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most_bytes + 1)
