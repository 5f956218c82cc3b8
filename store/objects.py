"""The object store: bytes named by their SHA-256, in a folder or in S3, never half-written."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pskd_core.errors import DataError
from store.errors import ObjectDamaged, ObjectMissing

T = TypeVar("T")

_CHUNK_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
# A server knows no lock. Who removes an object leaves a mark for so long at most, and is done with it in half the time.
_MARK_S = 60.0
_AGAIN_S = 0.05


@dataclass(frozen=True)
class StoredObject:
    """One object as a listing shows it."""

    digest: str
    size_bytes: int
    age_s: float  # since it was last put


def _nothing() -> None:
    pass


class ObjectStore:
    """Content-addressed objects below one URL (a folder, or `s3://bucket/prefix`); a digest is 64 hex digits.

    Invariant: an object that can be seen is whole. In a folder it is written beside, synced and renamed; an S3 server
    shows an upload when it is complete. The cache on the local disk follows the same rule and holds checked bytes only.
    An object that is put is young again, whether it was there or not, and `remove` spares the young.
    """

    def __init__(self, url: str, *, cache_dir: Path) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        self._local = isinstance(self._fs, LocalFileSystem)
        self._cache = cache_dir
        if self._local:
            # A folder that cannot be made is `ping`'s to report: processes start also while a store is away.
            with contextlib.suppress(OSError):
                Path(self._root).mkdir(parents=True, exist_ok=True)

    def put_bytes(self, data: bytes) -> str:
        """Stores bytes and returns their digest."""
        digest = digest_of(data)
        if self._local:
            _write_beside(self._path(digest), lambda file: file.write(data))
        else:
            self._send(digest, lambda: self._fs.pipe_file(self._key(digest), data))
        return digest

    def put_file(self, path: Path) -> str:
        """Stores a file's bytes and returns their digest."""
        digest = _digest_of(path)
        if self._local:
            with path.open("rb") as source:
                _write_beside(self._path(digest), lambda file: shutil.copyfileobj(source, file, _CHUNK_BYTES))
        else:
            self._send(digest, lambda: self._fs.put_file(str(path), self._key(digest)))
        return digest

    def _send(self, digest: str, send: Callable[[], Any]) -> None:
        """Until the object is there and nobody is about to remove it.

        Whoever removes leaves a mark, then looks at the age, then removes, then takes the mark away. So an upload after
        that look finds the mark, or finds itself gone.
        """
        while True:
            send()
            if not self._is_marked(digest) and self.exists(digest):
                return
            time.sleep(_AGAIN_S)

    def _is_marked(self, digest: str) -> bool:
        try:
            return self._age_s(self._mark(digest)) < _MARK_S
        except FileNotFoundError:
            return False

    def _age_s(self, key: str) -> float:
        put_at: float = self._fs.modified(key).timestamp()
        return time.time() - put_at

    def _mark(self, digest: str) -> str:
        return f"{self._root}/going/{digest}"

    def put_tree(self, directory: Path, *, on_file: Callable[[], None] = _nothing) -> str:
        """Stores every file below a folder, then the list of them; returns the list's digest.

        `on_file` is called after each file.
        """
        listed = {}
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            listed[path.relative_to(directory).as_posix()] = self.put_file(path)
            on_file()
        return self.put_bytes(json.dumps(listed, sort_keys=True, separators=(",", ":")).encode())

    def age_s(self, digest: str) -> float:
        """Seconds since it was last put, by the store's clock then and this machine's now."""
        return self._age_s(self._key(digest))

    def exists(self, digest: str) -> bool:
        """Whether the object is there."""
        return bool(self._fs.exists(self._key(digest)))

    def size(self, digest: str) -> int:
        """Bytes of an object. Raises ObjectMissing."""
        try:
            return int(self._fs.size(self._key(digest)))
        except FileNotFoundError:
            raise ObjectMissing(f"there is no object {digest}") from None

    def tree_size(self, digest: str) -> int:
        """Bytes of a tree's files, as `size_of` counts them. Raises ObjectMissing, ObjectDamaged."""
        return sum(map(self.size, self.list_tree(digest).values()))

    def open(self, digest: str) -> IO[bytes]:
        """An object's bytes, to be read and closed; they are not checked. Raises ObjectMissing."""
        try:
            opened: IO[bytes] = self._fs.open(self._key(digest), "rb")
        except FileNotFoundError:
            raise ObjectMissing(f"there is no object {digest}") from None
        return opened

    def get_bytes(self, digest: str) -> bytes:
        """An object's bytes, checked. Raises ObjectMissing, ObjectDamaged."""
        with self.open(digest) as source:
            data = source.read()
        _check(digest, digest_of(data))
        return data

    def get_file(self, digest: str) -> Path:
        """An object as a read-only local file, checked once and cached. Raises ObjectMissing, ObjectDamaged."""
        cached = self._cache / "files" / digest
        if not cached.exists():
            self._fetch(digest, cached)
        return cached

    def fetch_file(self, digest: str, target: Path) -> None:
        """An object as the caller's own read-only file, checked. Raises ObjectMissing, ObjectDamaged."""
        self._fetch(digest, target)

    def list_tree(self, digest: str) -> dict[str, str]:
        """Digest of each file of a tree by its relative path. Raises ObjectMissing, ObjectDamaged."""
        listed: dict[str, str] = json.loads(self.get_bytes(digest))
        if outside := [name for name in listed if not stays_inside(name)]:
            raise ObjectDamaged(f"tree {digest} names {outside[0]!r}, which lies outside of it")
        return listed

    def get_tree(self, digest: str) -> Path:
        """A tree as a read-only local folder, checked once and cached. Raises ObjectMissing, ObjectDamaged."""
        cached = self._cache / "trees" / digest
        if cached.exists():
            return cached
        building = _beside(cached)
        try:
            self.fetch_tree(digest, building)
            _move_folder(building, cached)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return cached

    def fetch_tree(self, digest: str, folder: Path, *, on_file: Callable[[], None] = _nothing) -> None:
        """A tree as the caller's own read-only files, checked, in a new folder; `on_file` is called after each.

        Whoever deletes the tree takes nothing away from it. Raises ObjectMissing, ObjectDamaged; what is then in the
        folder is the caller's to remove.
        """
        folder.mkdir(parents=True)
        for name, file_digest in self.list_tree(digest).items():
            self._fetch(file_digest, folder / name)
            on_file()

    def delete_tree(self, digest: str, *, keep: str | None = None) -> None:
        """Deletes a tree and its files, but for what the tree `keep` consists of; no other may refer to them.

        What is gone already is no error.
        """
        try:
            files = self.list_tree(digest)
        except ObjectMissing:
            return
        kept = {keep, *self.list_tree(keep).values()} if keep is not None else set()
        for key in map(self._key, {*files.values(), digest} - kept):
            with suppress(FileNotFoundError):
                self._fs.rm_file(key)

    def stored(self) -> Iterator[StoredObject]:
        """All objects, in no order; those that come or go meanwhile may be missing."""
        now = time.time()
        if self._local:
            for path in Path(self._root).glob("*/*"):
                if _DIGEST.fullmatch(path.name):
                    with suppress(FileNotFoundError):
                        found = path.stat()
                        yield StoredObject(path.name, found.st_size, now - found.st_mtime)
            return
        for key, found in self._fs.find(self._root, detail=True).items():
            folder, _, name = key.rpartition("/")
            if _DIGEST.fullmatch(name) and folder.endswith(f"/{name[:2]}"):
                at = found.get("LastModified") or found["created"]
                yield StoredObject(name, found["size"], now - at.timestamp())

    def remove(self, digest: str, *, older_than_s: float) -> bool:
        """Removes an object unless it was put within this time; says whether it did.

        One process at a time may remove from a server; from a folder any number may.
        """
        with suppress(FileNotFoundError):
            return (
                self._remove_local(digest, older_than_s) if self._local else self._remove_remote(digest, older_than_s)
            )
        return False

    def _remove_local(self, digest: str, older_than_s: float) -> bool:
        path = self._path(digest)
        with held(path.parent, fcntl.LOCK_EX):
            if time.time() - path.stat().st_mtime < older_than_s:
                return False
            path.unlink()
            return True

    def _remove_remote(self, digest: str, older_than_s: float) -> bool:
        began_at = time.monotonic()
        self._fs.pipe_file(self._mark(digest), b"")
        try:
            if self._age_s(self._key(digest)) < older_than_s or time.monotonic() - began_at > _MARK_S / 2:
                return False
            self._fs.rm_file(self._key(digest))
            return True
        finally:
            with suppress(FileNotFoundError):
                self._fs.rm_file(self._mark(digest))

    def drop_cached(self, keep: Collection[str], *, older_than_s: float) -> None:
        """Forgets the local copies of all else; whoever has their files open goes on reading them."""
        for kind in ("trees", "files"):
            for cached in (self._cache / kind).glob("[0-9a-f]*"):
                with suppress(FileNotFoundError):
                    if cached.name in keep or time.time() - cached.stat().st_mtime < older_than_s:
                        continue
                    if kind == "trees":
                        self.drop_tree(cached.name)
                    else:
                        cached.unlink()

    def sweep(self, *, older_than_s: float) -> None:
        """Removes what killed processes left half-written so long ago, in the folder and in this machine's cache."""
        folders = [self._cache, Path(self._root)] if self._local else [self._cache]
        for left in (left for folder in folders for left in folder.glob("*/.*")):
            with suppress(FileNotFoundError):  # finished or swept meanwhile
                if time.time() - left.stat().st_mtime > older_than_s:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()

    def drop_tree(self, digest: str) -> None:
        """Forgets the local copy of a tree that turned out damaged: `get_tree` then fetches and checks it anew."""
        cached = self._cache / "trees" / digest
        dropped = _beside(cached)
        # Renamed first, so that nobody meets half a tree; whoever has its files open goes on reading them.
        with contextlib.suppress(FileNotFoundError):
            cached.rename(dropped)
        shutil.rmtree(dropped, ignore_errors=True)

    def ping(self) -> None:
        """Raises if the store cannot be reached."""
        if self._local:
            next(Path(self._root).iterdir(), None)
            return
        # `exists` answers "no" also where nobody answers; that no object has this digest is as good as any answer.
        with contextlib.suppress(FileNotFoundError):
            self._fs.info(self._key("0" * 64))

    def _fetch(self, digest: str, target: Path) -> None:
        """A checked copy; where the store is a folder on the same disk, a hard link to the object itself."""
        if self._local:
            _check(digest, _digest_of(self._path(digest)))
            if _linked(self._path(digest), target):
                return
        with self.open(digest) as source:
            _write_beside(target, lambda file: _check(digest, _copy_hashing(source, file)))

    def _key(self, digest: str) -> str:
        # Two letters of folder keep each folder small; a wrong digest must not lead anywhere else.
        if not _DIGEST.fullmatch(digest):
            raise ObjectMissing(f"{digest!r} is no digest")
        return f"{self._root}/{digest[:2]}/{digest}"

    def _path(self, digest: str) -> Path:
        return Path(self._key(digest))


def opened(objects: ObjectStore, tree: str, read: Callable[[Path], T]) -> T:
    """What lies in a stored tree, which was whole when it was put.

    Raises:
        ObjectMissing: there is no such tree.
        ObjectDamaged: the copy of it on this disk cannot be read, which is nothing that a caller could mend. The copy
            is dropped, so the next who asks has a fresh one.
    """
    try:
        return read(objects.get_tree(tree))
    except DataError as damaged:
        objects.drop_tree(tree)
        raise ObjectDamaged(f"the local copy of tree {tree} was dropped: {damaged}") from damaged


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder: what its tree takes in a store, but for the list of them."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def digest_of(data: bytes) -> str:
    """What names these bytes."""
    return hashlib.sha256(data).hexdigest()


def _check(expected: str, found: str) -> None:
    if found != expected:
        raise ObjectDamaged(f"object {expected} holds other bytes: their digest is {found}")


def _digest_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ObjectMissing(f"there is no object {path.name}") from None


def _copy_hashing(source: IO[bytes], target: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def stays_inside(name: str) -> bool:
    """Whether a relative path leads nowhere but below where it starts."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}")


def _write_beside(target: Path, fill: Callable[[IO[bytes]], Any]) -> None:
    """Writes a file that appears whole or not at all, also after a power cut."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target)
    try:
        with temporary.open("xb") as file:
            fill(file)
            file.flush()
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        with held(target.parent, fcntl.LOCK_SH) as folder:
            temporary.replace(target)
            os.fsync(folder)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def held(folder: Path, how: int) -> Iterator[int]:
    """A folder under a file lock, which the system frees however the process ends: who puts shares it, who removes has
    it alone, so that no file is replaced between the look at its age and its removal.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield descriptor
    finally:
        os.close(descriptor)


def _linked(source: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except FileExistsError:
        return True
    except OSError:  # another disk, or a file system without links
        return False
    return True


def _move_folder(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster, with the same bytes
            raise
