"""Backup and restore: the same rows and objects come back, on either kind of database, or nothing does."""

import signal
import sqlite3
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from store import classifications, runs
from store.archive import ArchiveError
from store.backup import backup
from store.claims import Claim
from store.collect import collect, uncollected
from store.errors import StoreError
from store.lifecycle import RunState
from store.migrate import upgrade
from store.models import Event, Run
from store.restore import restore
from tests.integration.store.places import HOW_LONG_S, NOTED, Make, Place, digest_of, remade, under_way, without
from tests.recordings import add_classification
from tests.stored import add_ready_dataset, claim, submit


@pytest.mark.parametrize(
    ("kind", "other"),
    [("postgresql", "postgresql"), ("sqlite", "postgresql"), ("postgresql", "sqlite")],
)
def test_everything_comes_back(kind: str, other: str, place: Make, tmp_path: Path) -> None:
    """Every row with all its values and every object, whichever databases and stores the two have."""
    here, there, file = place(kind, "here"), place(other, "there"), tmp_path / "all.zip"
    here.fill(tmp_path)
    before = here.rows()
    assert [name for name, rows in before.items() if not rows] == []
    assert "inf" in "".join(before["tally"])
    backup(here.settings, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert here.rows() == before
    restore(there.settings, file)
    held = under_way(here)
    assert without(there.rows(), held, NOTED) == without(before, held, NOTED)
    for name in NOTED:
        assert set(before[name]) <= set(there.rows()[name])
    assert {each.digest for each in there.objects.stored()} == {each.digest for each in here.objects.stored()}
    assert collect(there.database, there.objects, grace_s=0.0).objects == 0
    assert_goes_on(there, held)


def assert_goes_on(place: Place, held: Run) -> None:
    """The run that was under way is free, no time has passed for it, and the next worker begins at its checkpoint."""
    with place.database.write() as session:
        run = session.get_one(Run, held.id)
        assert (run.state, run.worker, run.token) == (RunState.RETRYING, None, held.token + 1)
        assert run.ran_s < HOW_LONG_S
        last = session.scalars(select(Event).where(Event.job_id == held.job_id).order_by(Event.seq.desc())).first()
        assert last is not None
        assert last.data["state"] == "retrying"
        claimed = claim(session)
        assert claimed.run_id == held.id
        assert (claimed.attempts, claimed.checkpoint_digest) == (2, held.checkpoint_digest)
        assert place.objects.get_tree(str(claimed.checkpoint_digest)).is_dir()


def test_time_stands_still_between_backup_and_restore(place: Make, tmp_path: Path) -> None:
    """A run whose deadline passed while there was only the archive is not over its time, and has not run meanwhile."""
    here, there, file = place("sqlite", "here"), place("sqlite", "there"), tmp_path / "all.zip"
    upgrade(here.settings.database_url)
    then = datetime.now(UTC) - timedelta(days=30)
    with here.database.write() as session:
        add_ready_dataset(session).tree_digest = here.tree(tmp_path / "tree")
        submit(session, resources={"deadline_s": 3600.0})
        run = session.get_one(Run, claim(session).run_id)
        run.claimed_at, run.deadline_at = then - timedelta(seconds=600), then + timedelta(seconds=3000)
    backup(here.settings, file)
    restore(there.settings, remade(file, {"taken_at": then.isoformat()}))
    with there.database.read() as session:
        run = session.scalars(select(Run)).one()
        assert run.state is RunState.RETRYING
        assert 600 <= run.ran_s < 600 + HOW_LONG_S


def test_a_recording_that_was_being_labelled_waits_after_a_restore(place: Make, tmp_path: Path) -> None:
    """Its worker is gone, its upload and its model are there, and the next worker takes it."""
    here, there, file = place("sqlite", "here"), place("sqlite", "there"), tmp_path / "all.zip"
    upgrade(here.settings.database_url)
    upload, bundle = here.objects.put_bytes(b"recording"), here.tree(tmp_path / "bundle")
    with here.database.write() as session:
        created = add_classification(session, upload=upload, bundle=bundle).id
        assert classifications.claim(session, worker="gone", lease_s=3600) is not None
    backup(here.settings, file)
    restore(there.settings, file)
    with there.database.write() as session:
        claimed = classifications.claim(session, worker="next", lease_s=30)
    assert claimed is not None
    assert (claimed.claim.id, claimed.attempts) == (created, 2)
    assert there.objects.get_bytes(claimed.upload_digest) == b"recording"
    assert there.objects.get_tree(claimed.bundle_digest).is_dir()


def test_mlflow_comes_back(place: Make, tmp_path: Path) -> None:
    """Its database, with what is in its log while a server runs, and its artifacts; without a folder they stay out."""
    here, there, file = place("sqlite", "here"), place("sqlite", "there"), tmp_path / "all.zip"
    upgrade(here.settings.database_url)
    folder, restored = here.settings.home / "mlflow", there.settings.home / "mlflow"
    (folder / "artifacts" / "1").mkdir(parents=True)
    (folder / "artifacts" / "1" / "MLmodel").write_text("flavors:")
    with closing(sqlite3.connect(folder / "mlflow.db")) as server:
        server.execute("PRAGMA journal_mode = WAL")
        server.execute("CREATE TABLE runs (id TEXT)")
        server.execute("INSERT INTO runs VALUES ('a')")
        server.commit()
        here.run("store.backup", file, "--mlflow", folder)
    assert "left out" in str(restore(place("sqlite", "without").settings, file))
    assert there.run("store.restore", file, "--mlflow", restored).startswith("restored 0 rows and 0 objects as they")
    with closing(sqlite3.connect(restored / "mlflow.db")) as server:
        assert server.execute("SELECT id FROM runs").fetchall() == [("a",)]
    assert (restored / "artifacts" / "1" / "MLmodel").read_text() == "flavors:"


# --- What a backup must survive ----------------------------------------------------------------------------------


def test_a_run_that_moves_on_keeps_a_checkpoint(place: Make, tmp_path: Path) -> None:
    """While a run saves and deletes checkpoints without a pause, each backup holds one of its run, whole."""
    here, stop = place("sqlite", "here"), threading.Event()
    here.fill(tmp_path)
    token = under_way(here).token
    run_id, failures = under_way(here).id, list[Exception]()

    def move() -> None:
        digest, epoch = None, 2
        try:
            while not stop.is_set():
                new, epoch = here.tree(tmp_path / f"moving-{epoch}"), epoch + 1
                with here.database.write() as session:
                    runs.save_checkpoint(session, Claim(run_id, token), digest=new, size_bytes=1, epoch=epoch)
                if digest is not None:
                    here.objects.delete_tree(digest, keep=new)
                digest = new
                stop.wait(0.02)
        except (StoreError, SQLAlchemyError, OSError) as error:
            failures.append(error)

    moving = threading.Thread(target=move)
    moving.start()
    try:
        files = [tmp_path / f"{number}.zip" for number in range(4)]
        for file in files:
            backup(here.settings, file)
    finally:
        stop.set()
        moving.join()
    assert failures == []
    epochs = [checkpoint_of(place("sqlite", file.stem), file, run_id) for file in files]
    assert epochs == sorted(epochs)
    assert epochs[0] < epochs[-1]


def checkpoint_of(there: Place, file: Path, run_id: str) -> int:
    """The epoch of the checkpoint that a restored run begins at, which must be there."""
    restore(there.settings, file)
    with there.database.read() as session:
        run = session.get_one(Run, run_id)
    assert there.objects.get_tree(str(run.checkpoint_digest)).is_dir()
    assert run.checkpoint_epoch is not None
    return run.checkpoint_epoch


def test_a_checkpoint_that_cannot_be_read_begins_afresh(place: Make, tmp_path: Path) -> None:
    """A run whose checkpoint is gone or damaged is backed up without it, as a worker would begin without it."""
    here, there, file = place("sqlite", "here"), place("sqlite", "there"), tmp_path / "all.zip"
    here.fill(tmp_path)
    held = under_way(here)
    here.objects.delete_tree(str(held.checkpoint_digest))
    backup(here.settings, file)
    restore(there.settings, file)
    with there.database.read() as session:
        run = session.get_one(Run, held.id)
        assert (run.checkpoint_digest, run.checkpoint_epoch) == (None, None)


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_an_installation_that_is_not_whole_is_named(damage: str, place: Make, tmp_path: Path) -> None:
    """Without a file of a dataset there is no backup, and the message names the object."""
    here, file = place("sqlite", "here"), tmp_path / "all.zip"
    here.fill(tmp_path)
    digest = digest_of(b"predictions")
    path = here.settings.home / "objects" / digest[:2] / digest
    path.unlink()
    if damage == "damaged":
        path.write_bytes(b"else")
    with pytest.raises(ArchiveError, match=digest):
        backup(here.settings, file)
    assert left(tmp_path) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_no_collection_while_a_backup_is_made(kind: str, place: Make, tmp_path: Path) -> None:
    """What no row names any more stays until the backup is done with it, since its rows may name it."""
    here = place(kind, "here")
    upgrade(here.settings.database_url)
    stray = here.objects.put_bytes(b"stray")
    with uncollected(here.database.engine):
        assert collect(here.database, here.objects, grace_s=0.0).objects == 0
    assert here.objects.exists(stray)
    assert collect(here.database, here.objects, grace_s=0.0).objects == 1


def test_a_killed_backup_leaves_no_archive(place: Make, tmp_path: Path) -> None:
    """Killed in the midst of an object it leaves nothing under its name; the next one clears what is left."""
    here, file, draft = place("sqlite", "here"), tmp_path / "pskd-1.zip", tmp_path / ".pskd-1.zip.partial"
    here.fill(tmp_path)
    large = tmp_path / "large"
    with large.open("wb") as sparse:
        sparse.truncate(150_000_000)
    with here.database.write() as session:
        held = Run.predictions_digest.is_not(None)
        session.execute(update(Run).where(held).values(predictions_digest=here.objects.put_file(large)))
    process = here.start("store.backup", file)
    while not draft.exists() or draft.stat().st_size < 1_000_000:
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(ArchiveError, match="another backup is writing"):
        backup(here.settings, file)
    process.kill()
    assert process.communicate()[0] == ""
    assert left(tmp_path) == [draft.name]
    backup(here.settings, tmp_path / "pskd-2.zip")
    assert left(tmp_path) == ["pskd-2.zip"]


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*zip*"))


def test_an_archive_is_not_overwritten(place: Make, tmp_path: Path) -> None:
    """A name that is taken is refused, and what lies there stays."""
    here, file = place("sqlite", "here"), tmp_path / "all.zip"
    upgrade(here.settings.database_url)
    file.write_bytes(b"precious")
    with pytest.raises(ArchiveError, match="is there already"):
        backup(here.settings, file)
    assert file.read_bytes() == b"precious"
    assert left(tmp_path) == ["all.zip"]


def test_without_a_schema_there_is_nothing_to_back_up(place: Make, tmp_path: Path) -> None:
    """The command says so, in one line and without a trace."""
    here = place("sqlite", "here")
    (here.settings.home / "pskd.db").touch()
    assert_no_backup(here, tmp_path / "all.zip", "the database has no tables")
    assert left(tmp_path) == []


def test_a_home_without_an_installation_is_named(place: Make, tmp_path: Path) -> None:
    """A home that was misspelt is not made, nor is the folder of a file."""
    here = place("sqlite", "here")
    assert_no_backup(here, tmp_path / "all.zip", f"there is no installation: {here.settings.home / 'pskd.db'}")
    assert list(here.settings.home.iterdir()) == []
    upgrade(here.settings.database_url)
    assert_no_backup(here, tmp_path / "away" / "all.zip", f"there is no folder {tmp_path / 'away'}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here"]


def assert_no_backup(here: Place, file: Path, reason: str) -> None:
    process = here.start("store.backup", file)
    _, complained = process.communicate(timeout=HOW_LONG_S)
    assert process.returncode == 1
    assert complained.startswith(f"error: no backup was made: {reason}")
    assert complained.count("\n") == 1
