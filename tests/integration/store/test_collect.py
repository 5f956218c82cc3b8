"""Collection of unreferenced objects: nothing that a row names goes, all else does, whoever writes meanwhile."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from store import collect as collecting
from store import datasets, runs
from store.base import Base
from store.collect import collect, forget_copies
from store.engine import Database
from store.errors import ObjectMissing
from store.objects import ObjectStore
from tests.stored import add_ready_dataset, claim, submit

OLD_S = 3600.0
NO_OBJECTS = {"content_digest", "dataset_digest"}  # of what something is, not of where it lies
NO_OBJECT = "api_key.digest"  # of a secret


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    root = (
        str(tmp_path / "objects") if request.param == "folder" else f"{request.getfixturevalue('s3')}/{tmp_path.name}"
    )
    return ObjectStore(root, cache_dir=tmp_path / "cache")


def tree(objects: ObjectStore, folder: Path) -> str:
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(os.urandom(40))
    return objects.put_tree(folder)


def test_what_rows_name_stays_and_all_else_goes(database: Database, objects: ObjectStore, tmp_path: Path) -> None:
    """Upload, dataset, checkpoint and their files stay; what nobody names is counted and goes."""
    kept, stray = tree(objects, tmp_path / "kept"), tree(objects, tmp_path / "stray")
    dataset, upload = tree(objects, tmp_path / "dataset"), objects.put_bytes(b"upload")
    with database.write() as session:
        row = add_ready_dataset(session)
        row.tree_digest, row.upload_digest = dataset, upload
        submit(session)
        runs.save_checkpoint(session, claim(session).claim, digest=kept, size_bytes=1, epoch=1)
    named = {kept, dataset, upload, *objects.list_tree(kept).values(), *objects.list_tree(dataset).values()}
    told = collect(database, objects, grace_s=0.0, dry_run=True)
    assert (told.objects, told.kept) == (3, len(named))
    assert told.size_bytes > 80
    assert objects.exists(stray)
    assert collect(database, objects, grace_s=OLD_S).objects == 0
    assert collect(database, objects, grace_s=0.0) == told
    assert {each.digest for each in objects.stored()} == named


def test_a_cache_forgets_what_no_row_names(database: Database, objects: ObjectStore, tmp_path: Path) -> None:
    """Copies of upload, dataset and checkpoint stay; others go when they are old, and so do half-written ones."""
    kept, stray, dataset = (tree(objects, tmp_path / name) for name in ("kept", "stray", "dataset"))
    upload, other = objects.put_bytes(b"upload"), objects.put_bytes(b"other")
    with database.write() as session:
        row = add_ready_dataset(session)
        row.tree_digest, row.upload_digest = dataset, upload
        submit(session)
        runs.save_checkpoint(session, claim(session).claim, digest=kept, size_bytes=1, epoch=1)
    copies = [*map(objects.get_tree, (kept, stray, dataset)), *map(objects.get_file, (upload, other))]
    half = tmp_path / "cache" / "trees" / ".half"
    half.mkdir()
    os.utime(half, (0, 0))
    forget_copies(database, objects, grace_s=OLD_S)
    assert [copy.exists() for copy in copies] == [True] * 5
    assert not half.exists()
    forget_copies(database, objects, grace_s=0.0)
    assert [copy.exists() for copy in copies] == [True, False, True, True, False]


def test_a_lost_tree_of_a_dataset_ends_the_collection(database: Database, objects: ObjectStore) -> None:
    """Without its list nobody knows the dataset's files, so nothing is removed."""
    with database.write() as session:
        add_ready_dataset(session)
    stray = objects.put_bytes(b"stray")
    with pytest.raises(ObjectMissing, match="backup"):
        collect(database, objects, grace_s=0.0)
    assert objects.exists(stray)


def test_a_put_makes_an_object_young(objects: ObjectStore) -> None:
    """An object that was there already is spared after it was put again, since a row may come to name it."""
    digest = objects.put_bytes(b"again")
    time.sleep(1.1)  # an S3 server counts whole seconds
    assert objects.put_bytes(b"again") == digest
    assert not objects.remove(digest, older_than_s=1.05)
    assert objects.remove(digest, older_than_s=0.0)
    assert not objects.remove(digest, older_than_s=0.0)


def test_nothing_goes_between_a_put_and_its_row(
    sqlite_url: str, objects: ObjectStore, request: pytest.FixtureRequest
) -> None:
    """Old objects that are put again while they are being removed are there after every put, time after time."""
    database, stop, lost = Database(sqlite_url), threading.Event(), list[str]()
    grace_s = 0.3 if "s3" not in request.node.callspec.id else 1.5  # an S3 server counts whole seconds
    bodies = [f"{number}".encode() for number in range(12)]

    def put() -> None:
        while not stop.is_set():
            for body in bodies:
                digest = objects.put_bytes(body)
                if not objects.exists(digest):
                    lost.append(digest)
            stop.wait(grace_s + 0.05)

    putter = threading.Thread(target=put)
    putter.start()
    try:
        until = time.monotonic() + 8 * grace_s + 2
        removed = 0
        while time.monotonic() < until:
            removed += collect(database, objects, grace_s=grace_s).objects
    finally:
        stop.set()
        putter.join()
        database.dispose()
    assert lost == []
    assert removed > 0


def test_every_digest_of_a_row_is_known_to_the_collection() -> None:
    """A new column that names an object must be told to the collection, or its objects would be removed."""
    columns = {*collecting.FILES, *collecting.TREES, *collecting.PASSING_TREES}
    known = {f"{column.class_.__tablename__}.{column.key}" for column in columns}
    found = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.name.endswith("digest") and column.name not in NO_OBJECTS
    }
    assert found - {NO_OBJECT} == known


def test_the_command_counts_before_it_removes(tmp_path: Path, sqlite_url: str) -> None:
    """`python -m store.collect --dry-run` says how much would go; without it, it goes."""
    objects = ObjectStore(str(tmp_path / "objects"), cache_dir=tmp_path / "cache")
    stray = objects.put_bytes(b"stray")
    environment = {**os.environ, "PSKD_HOME": str(tmp_path), "PSKD_DATABASE_URL": sqlite_url}
    environment["PSKD_COLLECT_GRACE_S"] = "0.001"
    command = [sys.executable, "-m", "store.collect"]
    for arguments, there in ((["--dry-run"], True), ([], False)):
        done = subprocess.run(
            [*command, *arguments], env=environment, check=True, capture_output=True, text=True, timeout=60
        )
        assert done.stdout.startswith("1 objects of 5 bytes")
        assert objects.exists(stray) is there


def test_a_dataset_being_imported_keeps_its_upload(database: Database, objects: ObjectStore) -> None:
    """What waits for its import is named by its row."""
    digest = objects.put_bytes(b"upload")
    with database.write() as session:
        datasets.create(session, name="mine", source={"kind": "upload"}, upload_digest=digest)
    assert collect(database, objects, grace_s=0.0).objects == 0
