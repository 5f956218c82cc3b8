"""The object store, in a folder and behind a remote file system."""

import hashlib
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest

from store.errors import ObjectDamaged, ObjectMissing
from store.objects import ObjectStore, size_of


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


def test_sizes(objects: ObjectStore, tmp_path: Path) -> None:
    """What a store says of a tree is what its folder took; nothing has the size of what is not there."""
    original = _tree(tmp_path / "tree")
    assert objects.tree_size(objects.put_tree(original)) == size_of(original) == (3 << 20) + 4
    assert objects.size(objects.put_bytes(b"hello")) == 5
    with pytest.raises(ObjectMissing):
        objects.size("0" * 64)


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
    digest = folder.list_tree(restored.name)["a.json"]
    stored = tmp_path / "objects" / digest[:2] / digest
    assert all(path.stat().st_mode & 0o222 == 0 for path in (stored, restored / "a.json"))
    assert os.path.samestat((restored / "a.json").stat(), stored.stat())


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


def test_delete_tree(objects: ObjectStore, tmp_path: Path) -> None:
    """A deleted tree takes its files along, leaves others alone, and may be deleted again."""
    digest, other = objects.put_tree(_tree(tmp_path / "tree")), objects.put_bytes(b"other")
    files = objects.list_tree(digest)
    for _ in range(2):
        objects.delete_tree(digest)
    assert not any(objects.exists(each) for each in [digest, *files.values()])
    assert objects.exists(other)


def test_delete_tree_keeps_what_its_successor_shares(objects: ObjectStore, tmp_path: Path) -> None:
    """Files of a later tree stay, and so does the later tree if it is the same one."""
    first = _tree(tmp_path / "tree")
    before = objects.put_tree(first)
    gone, *shared = sorted(first.rglob("*.*"))
    gone.write_bytes(b"another")
    after = objects.put_tree(first)
    objects.delete_tree(after, keep=after)
    objects.delete_tree(before, keep=after)
    assert shared
    assert not objects.exists(before)
    assert all(objects.exists(digest) for digest in objects.list_tree(after).values())


def test_sweep(folder: ObjectStore, tmp_path: Path) -> None:
    """What a killed process was writing is removed once it is old; what is being written, and all else, stays."""
    digest = folder.put_tree(_tree(tmp_path / "tree"))
    folder.get_tree(digest)
    whole = _files(tmp_path)
    for place in ("objects/aa", "cache/trees"):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / ".half").write_bytes(b"writ")
    (tmp_path / "cache" / "trees" / ".building").mkdir()
    folder.sweep(older_than_s=3600)
    assert len(_files(tmp_path)) == len(whole) + 2
    folder.sweep(older_than_s=-1)
    assert _files(tmp_path) == whole
    assert not (tmp_path / "cache" / "trees" / ".building").exists()


def test_ping(objects: ObjectStore) -> None:
    """A store that can be reached is silent, also before its first object."""
    objects.ping()


def test_a_folder_that_is_gone_is_noticed(folder: ObjectStore, tmp_path: Path) -> None:
    """The root is made with the store; from then on its absence means that the store is out of reach."""
    (tmp_path / "objects").rmdir()
    with pytest.raises(FileNotFoundError):
        folder.ping()


def test_a_root_that_cannot_be_made_is_noticed(tmp_path: Path) -> None:
    """A store is built although its folder cannot be, and says so when it is asked."""
    (tmp_path / "file").write_bytes(b"")
    objects = ObjectStore(str(tmp_path / "file" / "objects"), cache_dir=tmp_path / "cache")
    with pytest.raises(NotADirectoryError):
        objects.ping()


def test_a_server_that_is_gone_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 at a port where nobody listens is no store in which an object is merely missing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        dead = f"http://127.0.0.1:{server.getsockname()[1]}"
    for name, value in {
        "AWS_ENDPOINT_URL": dead,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    objects = ObjectStore("s3://bucket", cache_dir=tmp_path / "cache")
    with pytest.raises(Exception, match="Could not connect"):
        objects.ping()


def test_a_dropped_tree_is_fetched_anew(objects: ObjectStore, tmp_path: Path) -> None:
    """A local copy that was spoilt is gone after the drop, and the next one is whole; dropping twice is no error."""
    original = _tree(tmp_path / "tree")
    digest = objects.put_tree(original)
    spoilt = objects.get_tree(digest) / "a.json"
    spoilt.unlink()
    spoilt.write_text("spoilt")
    objects.drop_tree(digest)
    objects.drop_tree(digest)
    assert list((tmp_path / "cache" / "trees").iterdir()) == []
    assert _files(objects.get_tree(digest)) == _files(original)


def test_a_fetched_tree_is_ones_own(objects: ObjectStore, tmp_path: Path) -> None:
    """Nobody who deletes the tree takes it away; every file, stored or fetched, is a sign of life."""
    seen: list[str] = []
    original = _tree(tmp_path / "tree")
    digest = objects.put_tree(original, on_file=lambda: seen.append("stored"))
    objects.fetch_tree(digest, tmp_path / "own", on_file=lambda: seen.append("fetched"))
    objects.delete_tree(digest)
    assert _files(tmp_path / "own") == _files(original)
    assert seen == ["stored"] * 3 + ["fetched"] * 3
    with pytest.raises(ObjectMissing):
        objects.fetch_tree(digest, tmp_path / "none")
