"""The object store, in a folder and behind a remote file system."""

import hashlib
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest

from store.errors import ObjectDamaged, ObjectMissing
from store.objects import ObjectStore


@pytest.fixture(params=["folder", "remote"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    """An empty store; `remote` is fsspec's file system in memory, reached as S3 would be."""
    memory = fsspec.filesystem("memory")
    url = str(tmp_path / "objects") if request.param == "folder" else f"memory://{tmp_path.name}"
    yield ObjectStore(url, cache_dir=tmp_path / "cache")
    memory.store.clear()


@pytest.fixture
def folder(tmp_path: Path) -> ObjectStore:
    """An empty store in a folder."""
    return ObjectStore(str(tmp_path / "objects"), cache_dir=tmp_path / "cache")


def _tree(root: Path) -> Path:
    (root / "deep" / "er").mkdir(parents=True)
    (root / "a.json").write_text("{}")
    (root / "deep" / "er" / "b.f32").write_bytes(os.urandom(3 << 20))
    (root / "deep" / "same.json").write_text("{}")
    return root


def _files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_bytes(objects: ObjectStore) -> None:
    """Bytes come back under the digest that is theirs; putting them again changes nothing."""
    digest = objects.put_bytes(b"hello")
    assert digest == objects.put_bytes(b"hello") == hashlib.sha256(b"hello").hexdigest()
    assert objects.get_bytes(digest) == b"hello"
    assert objects.exists(digest)
    with objects.open(digest) as source:
        assert source.read(2) == b"he"


def test_file(objects: ObjectStore, tmp_path: Path) -> None:
    """A file goes in and out without being held in memory, and is checked once."""
    path = tmp_path / "upload.zip"
    path.write_bytes(os.urandom(2 << 20))
    cached = objects.get_file(objects.put_file(path))
    assert cached.read_bytes() == path.read_bytes()
    assert objects.get_file(cached.name) == cached


def test_tree(objects: ObjectStore, tmp_path: Path) -> None:
    """A folder comes back file by file, and the same files have the same digest wherever they lie."""
    original = _tree(tmp_path / "first")
    digest = objects.put_tree(original)
    assert objects.put_tree(_tree_copy(original, tmp_path / "second")) == digest
    assert set(objects.list_tree(digest)) == set(_files(original))
    restored = objects.get_tree(digest)
    assert _files(restored) == _files(original)
    assert objects.get_tree(digest) == restored


def _tree_copy(source: Path, target: Path) -> Path:
    for name, data in _files(source).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
    return target


@pytest.mark.parametrize("digest", ["0" * 64, "../../etc/passwd", "", "0" * 63 + "/"])
def test_missing(objects: ObjectStore, digest: str) -> None:
    """What is not there, or is no digest, is missing; no name leads out of the store."""
    for get in (objects.open, objects.get_bytes, objects.get_file, objects.get_tree, objects.list_tree):
        with pytest.raises(ObjectMissing):
            get(digest)


def test_damage_is_found(folder: ObjectStore, tmp_path: Path) -> None:
    """Bytes that changed on the disk are never handed out, nor left in the cache."""
    digest = folder.put_tree(_tree(tmp_path / "tree"))
    victim = folder.list_tree(digest)["deep/er/b.f32"]
    path = tmp_path / "objects" / victim[:2] / victim
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    for get, name in ((folder.get_bytes, victim), (folder.get_file, victim), (folder.get_tree, digest)):
        with pytest.raises(ObjectDamaged):
            get(name)
    assert not list((tmp_path / "cache").rglob("*/*.f32"))
    assert not (tmp_path / "cache" / "trees" / digest).exists()


@pytest.mark.parametrize("name", ["../outside", "/absolute", "a/../../b", ""])
def test_tree_stays_inside(objects: ObjectStore, name: str) -> None:
    """A forged list of files cannot write outside of its folder."""
    inner = objects.put_bytes(b"x")
    forged = objects.put_bytes(f'{{"{name}": "{inner}"}}'.encode())
    with pytest.raises(ObjectDamaged):
        objects.get_tree(forged)


@contextmanager
def _disk_full_after(size_bytes: int) -> Iterator[None]:
    """Writes beyond this size fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_failed_put_leaves_nothing(folder: ObjectStore, tmp_path: Path) -> None:
    """A disk that is full in mid-write leaves neither an object nor a torso."""
    path = tmp_path / "big"
    path.write_bytes(b"x" * (4 << 20))
    with _disk_full_after(1 << 20), pytest.raises(OSError, match="File too large"):
        folder.put_file(path)
    assert _files(tmp_path / "objects") == {}
    assert folder.get_bytes(folder.put_file(path)) == path.read_bytes()


def test_objects_are_read_only(folder: ObjectStore, tmp_path: Path) -> None:
    """What the cache shares with the store by a link cannot be changed by accident."""
    restored = folder.get_tree(folder.put_tree(_tree(tmp_path / "tree")))
    stored = tmp_path / "objects" / folder.list_tree(restored.name)["a.json"][:2]
    assert all(path.stat().st_mode & 0o222 == 0 for path in (*stored.iterdir(), restored / "a.json"))
    assert os.path.samestat((restored / "a.json").stat(), next(stored.iterdir()).stat())


def test_many_at_once(folder: ObjectStore, tmp_path: Path) -> None:
    """Workers that put and get the same tree at the same time all see it whole."""
    original = _tree(tmp_path / "tree")
    digest = folder.put_tree(original)
    seen: list[dict[str, bytes]] = []

    def work() -> None:
        folder.put_tree(original)
        seen.append(_files(folder.get_tree(digest)))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [_files(original)] * 6
    assert [path.name for path in (tmp_path / "cache" / "trees").iterdir()] == [digest]


def test_ping(objects: ObjectStore) -> None:
    """A store that can be reached is silent, also before its first object."""
    objects.ping()
