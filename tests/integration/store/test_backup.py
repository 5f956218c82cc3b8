"""Backup and restore: the same rows and objects come back, on either kind of database, or nothing does."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, select, update
from sqlalchemy.exc import SQLAlchemyError

from store import archive, idempotency, keys, runs, tally, webhooks, workers
from store.archive import ArchiveError
from store.backup import backup
from store.base import Base
from store.claims import Claim
from store.collect import collect, uncollected
from store.engine import Database
from store.errors import StoreError
from store.keys import Scope
from store.lifecycle import RunState
from store.migrate import upgrade
from store.models import AliasChange, Dataset, Event, ModelVersion, Run, Sweep, SweepTrial, TeacherAnswers
from store.objects import ObjectStore
from store.restore import restore
from store.settings import Settings
from store.tally import Tallied
from tests.conftest import execute, with_database
from tests.dumps.make_dumps import fill
from tests.stored import add_ready_dataset, claim, submit

NOTED = {"event", "outbox", "tally"}  # tables in which a restore notes what became of runs that were under way
HOW_LONG_S = 60.0


@dataclass
class Place:
    """One installation without processes."""

    settings: Settings
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(self.settings.database_url)

    @property
    def objects(self) -> ObjectStore:
        return ObjectStore(self.settings.object_store_url, cache_dir=self.settings.cache_dir)

    def fill(self, folder: Path) -> None:
        """Rows in every table, and the objects that they name; one run is under way and has a checkpoint."""
        upgrade(self.settings.database_url)
        with self.database.write() as session:
            webhooks.create(session, url="https://example.org/hook")
        fill(self.database)
        predictions = self.objects.put_bytes(b"predictions")
        dataset, bundle, checkpoint = (self.tree(folder / name) for name in ("dataset", "bundle", "checkpoint"))
        with self.database.write() as session:
            session.execute(update(Dataset).where(Dataset.tree_digest.is_not(None)).values(tree_digest=dataset))
            session.execute(update(Run).where(Run.bundle_digest.is_not(None)).values(bundle_digest=bundle))
            session.execute(update(Run).where(Run.bundle_digest.is_not(None)).values(predictions_digest=predictions))
            session.execute(update(ModelVersion).values(bundle_digest=bundle))
            held = (Run.checkpoint_digest.is_not(None)) | (Run.state == RunState.RUNNING)
            session.execute(update(Run).where(held).values(checkpoint_digest=checkpoint, checkpoint_epoch=1, epoch=2))
            tally.note(session, Tallied.LEASE_LOST, "run")  # whose bound is infinite
            keys.create(session, name="ops", scopes=[Scope.ADMIN])
            idempotency.remember(session, "key", fingerprint="f" * 64, answer={"status": 202, "body": "{}"})
            workers.seen(session, "w", queues=["cpu"], device="cpu", devices=[], runs_at_once=1)
            session.add(TeacherAnswers(tenant="t", key="k", tree_digest="9" * 64, size_bytes=1))
            dataset_id = session.scalars(select(Dataset.id).order_by(Dataset.id)).first()
            model_id = session.scalars(select(ModelVersion.model_id)).first()
            assert dataset_id is not None
            assert model_id is not None
            odd = {"näme": [1, 2.5, None, {"deep": "\u2028"}], "a": "", "A": "\ufffd"}
            session.add(Sweep(id="swp_1", name="s", spec=odd, dataset_id=dataset_id, trials=2, at_once=1))
            session.flush()
            session.add(SweepTrial(sweep_id="swp_1", number=1, parameters=odd))
            session.merge(AliasChange(model_id=model_id, revision=99, alias="champion", actor="default", forced=True))

    def tree(self, folder: Path) -> str:
        folder.mkdir(parents=True)
        for name in ("a", "b"):
            (folder / name).write_bytes(os.urandom(50))
        return self.objects.put_tree(folder)

    def rows(self) -> dict[str, list[str]]:
        """Every row of every table that a backup holds, by the models and not as the archive reads it."""
        with self.database.read() as session:
            return {
                name: sorted(repr(tuple(row)) for row in session.execute(select(table)))
                for name, table in Base.metadata.tables.items()
                if name not in archive.LEFT_OUT
            }

    def tables(self) -> list[str]:
        with self.database.engine.connect() as connection:
            return inspect(connection).get_table_names()

    def environment(self) -> dict[str, str]:
        told = {"HOME": self.settings.home, "DATABASE_URL": self.settings.database_url}
        told["OBJECT_STORE_URL"] = self.settings.object_store_url
        return {**os.environ, **{f"PSKD_{name}": str(value) for name, value in told.items()}}

    def start(self, module: str, *arguments: str | Path) -> "subprocess.Popen[str]":
        command = [sys.executable, "-W", "error", "-m", module, *map(str, arguments)]
        return subprocess.Popen(
            command, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, module: str, *arguments: str | Path) -> str:
        process = self.start(module, *arguments)
        said, complained = process.communicate(timeout=HOW_LONG_S)
        assert process.returncode == 0, complained
        return said


Make = Callable[[str, str], Place]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes empty installations: `sqlite` beside a folder, `postgresql` beside a bucket."""
    made: list[Place] = []

    def make(kind: str, name: str) -> Place:
        home = tmp_path / name
        home.mkdir()
        if kind == "sqlite":
            made.append(Place(Settings(home=home)))
        else:
            url = request.getfixturevalue(f"empty_{name}")
            store = f"{request.getfixturevalue('s3')}/{tmp_path.name}/{name}"
            made.append(Place(Settings(home=home, database_url=url, object_store_url=store)))
        return made[-1]

    yield make
    for each in made:
        each.database.dispose()


@pytest.fixture
def empty_here(postgres_url: str) -> Iterator[str]:
    yield from empty_database(postgres_url)


@pytest.fixture
def empty_there(postgres_url: str) -> Iterator[str]:
    yield from empty_database(postgres_url)


def empty_database(server: str) -> Iterator[str]:
    name = f"backup_{uuid.uuid4().hex}"
    execute(server, f"CREATE DATABASE {name}")
    yield with_database(server, name)
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


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


def under_way(place: Place) -> Run:
    """The run that a worker had when the backup was made."""
    with place.database.read() as session:
        return session.scalars(select(Run).where(Run.state == RunState.RUNNING)).one()


def without(rows: dict[str, list[str]], run: Run, tables: set[str]) -> dict[str, list[str]]:
    """All rows but those of these tables, and of this run and its job."""
    told = {name: each for name, each in rows.items() if name not in tables}
    return {name: [row for row in each if run.id not in row and run.job_id not in row] for name, each in told.items()}


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


def remade(file: Path, changes: dict[str, Any], more: dict[str, bytes] | None = None) -> Path:
    """The archive with other fields in its list, and other members besides."""
    target = file.with_name("remade.zip")
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(target, "w") as copy:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename == archive.MANIFEST:
                content = json.dumps({**json.loads(content), **changes}).encode()
            copy.writestr(entry, content)
        for name, content in (more or {}).items():
            copy.writestr(zipfile.ZipInfo(name), content)
    return target


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


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
    process = here.start("store.backup", tmp_path / "all.zip")
    _, complained = process.communicate(timeout=HOW_LONG_S)
    assert process.returncode == 1
    assert complained.startswith("error: no backup was made: the database has no tables")
    assert complained.count("\n") == 1
    assert left(tmp_path) == []


# --- What a restore must refuse ----------------------------------------------------------------------------------


@pytest.fixture
def made(place: Make, tmp_path: Path) -> Path:
    """An archive with rows in every table."""
    here = place("sqlite", "here")
    here.fill(tmp_path)
    backup(here.settings, tmp_path / "all.zip")
    return tmp_path / "all.zip"


def assert_refused(there: Place, file: Path, message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        restore(there.settings, file)
    assert there.tables() == []
    assert list(there.objects.stored()) == []


def test_a_damaged_member_is_named(made: Path, place: Make) -> None:
    """One byte of one object is other than it was: nothing is restored, and the message names it."""
    with zipfile.ZipFile(made) as opened:
        entry = next(each for each in opened.infolist() if each.filename.startswith("objects/"))
    content = bytearray(made.read_bytes())
    content[entry.header_offset + 30 + len(entry.filename) + len(entry.extra) + 25] ^= 1
    made.write_bytes(content)
    assert_refused(place("sqlite", "there"), made, f"{entry.filename} is damaged")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_archive_is_refused(share: float, made: Path, place: Make) -> None:
    """Whatever is missing at its end."""
    content = made.read_bytes()
    made.write_bytes(content[: int(share * len(content))])
    assert_refused(place("sqlite", "there"), made, "is no whole backup")


@pytest.mark.parametrize("name", ["../evil", "/evil", "mlflow/../../evil", "objects/evil", "tables/../evil.jsonl"])
def test_a_hostile_member_is_refused(name: str, made: Path, place: Make) -> None:
    """No name leads out of its place, also if the list has it; nor does a name that no backup writes."""
    with zipfile.ZipFile(made) as opened:
        members = json.loads(opened.read(archive.MANIFEST))["members"]
    listed = {**members, name: {"size_bytes": 4, "sha256": digest_of(b"evil")}}
    hostile = remade(made, {"members": listed}, {name: b"evil"})
    there = place("sqlite", "there")
    with pytest.raises(ArchiveError, match="no backup does"):
        restore(there.settings, hostile, mlflow=there.settings.home / "mlflow")
    assert_refused(there, hostile, "no backup does")
    assert [path for path in made.parent.rglob("*") if path.name == "evil"] == []


def test_what_the_list_does_not_name_is_refused(made: Path, place: Make) -> None:
    """A member that was added, and an object under another's digest."""
    there = place("sqlite", "there")
    added = remade(made, {}, {f"objects/{digest_of(b'more')}": b"more"})
    assert_refused(there, added, "do not agree")
    name, member = f"objects/{digest_of(b'one')}", {"size_bytes": 5, "sha256": digest_of(b"other")}
    with zipfile.ZipFile(made) as opened:
        members = json.loads(opened.read(archive.MANIFEST))["members"]
    assert_refused(there, remade(made, {"members": {**members, name: member}}, {name: b"other"}), "is damaged")


def test_a_packed_member_is_refused(made: Path, place: Make, tmp_path: Path) -> None:
    """A backup is not packed, so nothing in it can be larger than it."""
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(archive.MANIFEST, b" " * 1_000_000)
    assert_refused(place("sqlite", "there"), bomb, "is packed")


def test_other_files_are_no_archives(place: Make, tmp_path: Path) -> None:
    """A file that is not there, a zip of something else, and a list of a version to come."""
    there, file = place("sqlite", "there"), tmp_path / "all.zip"
    assert_refused(there, file, "there is no")
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr(f"objects/{digest_of(b'')}", b"")
    assert_refused(there, file, "has no manifest.json")
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr(archive.MANIFEST, json.dumps({"format": 2}))
    assert_refused(there, file, "format in manifest.json is not as this version writes it")


def test_a_newer_schema_is_refused(made: Path, place: Make) -> None:
    """An archive of a version to come says which version that was."""
    newer = remade(made, {"revision": "9999", "product": "7.0.0"})
    assert_refused(place("sqlite", "there"), newer, r"version 7\.0\.0 and has schema 9999")


def test_a_used_installation_is_refused(made: Path, place: Make, tmp_path: Path) -> None:
    """Rows, objects and MLflow's files that are there already are named, and stay as they are."""
    there = place("sqlite", "there")
    stray = there.objects.put_bytes(b"stray")
    with pytest.raises(ArchiveError, match=stray):
        restore(there.settings, made)
    there.objects.remove(stray, older_than_s=0.0)
    folder = there.settings.home / "mlflow"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(b"curves")
    with pytest.raises(ArchiveError, match=r"mlflow\.db already"):
        restore(there.settings, made, mlflow=folder)
    assert (folder / "mlflow.db").read_bytes() == b"curves"
    upgrade(there.settings.database_url)
    with there.database.write() as session:
        add_ready_dataset(session, "mine")
    before = there.rows()
    with pytest.raises(ArchiveError, match="rows already, in table 'dataset'"):
        restore(there.settings, made)
    assert there.rows() == before
    assert list(there.objects.stored()) == []


def test_a_database_of_something_else_is_refused(made: Path, place: Make) -> None:
    """Its table is named, though it is empty."""
    there = place("sqlite", "there")
    with there.database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE wages (id INTEGER)")
    with pytest.raises(ArchiveError, match="'wages' of something else"):
        restore(there.settings, made)
    assert there.tables() == ["wages"]


# --- Repeated and upgraded ----------------------------------------------------------------------------------------


def test_a_killed_restore_is_repeated(place: Make, tmp_path: Path) -> None:
    """Killed while it puts objects it has shown nothing, and the same command once more brings all of it back."""
    here, there, file = place("sqlite", "here"), place("sqlite", "there"), tmp_path / "all.zip"
    here.fill(tmp_path)
    many = tmp_path / "many"
    many.mkdir()
    for number in range(200):
        (many / str(number)).write_text(str(number))
    with here.database.write() as session:
        held = Dataset.tree_digest.is_not(None)
        session.execute(update(Dataset).where(held).values(tree_digest=here.objects.put_tree(many)))
    backup(here.settings, file)
    process = there.start("store.restore", file)
    while not list(there.objects.stored()):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    assert process.communicate()[0] == ""
    assert there.tables() == []
    assert len(list(there.objects.stored())) < 200
    restore(there.settings, file)
    assert len(list(there.objects.stored())) > 200
    assert without(there.rows(), under_way(here), NOTED) == without(here.rows(), under_way(here), NOTED)


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
