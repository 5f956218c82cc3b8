"""Makes a backup of an installation, which may be at work meanwhile: `python -m store.backup FILE`.

Invariant: every row is of one moment, and every object that they name is in the archive. Runs go on and delete the
checkpoints that they have done with, so these are copied first: a row then names what was copied, an earlier checkpoint
of the same run at worst. Nothing else goes while a backup is made, since collections wait for it.
"""

import argparse
import fcntl
import io
import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, NamedTuple

from sqlalchemy import Connection, Engine, inspect, select, text, union
from sqlalchemy.orm import InstrumentedAttribute

from store.archive import (
    LEFT_OUT,
    MLFLOW_DATABASE,
    ArchiveError,
    Manifest,
    Table,
    Writer,
    columns_of,
    is_object,
    line_of,
    object_name,
    own_tables,
    scratch,
    told,
    typed,
)
from store.base import db_now, present
from store.collect import FILES, TREES, uncollected
from store.engine import make_engine
from store.errors import ObjectDamaged, ObjectMissing
from store.lifecycle import RunEvent, RunState, run_states_before
from store.migrate import revisions
from store.models import Run
from store.objects import ObjectStore, held
from store.settings import Settings

# A backup reads for as long as it takes; the limits of requests would cut it off.
_POSTGRESQL_OPTIONS = "-c timezone=UTC"
_AT_A_TIME = 1000
_TRIES = 5
_LEFT_S = 24 * 3600.0
# Runs that may come to have another checkpoint.
_MOVING = frozenset[RunState]().union(*map(run_states_before, RunEvent))


@dataclass(frozen=True)
class Made:
    """What a backup holds."""

    file: Path
    rows: int
    objects: int
    size_bytes: int  # of the file

    def __str__(self) -> str:
        return f"{self.file}: {self.rows} rows and {self.objects} objects, {self.size_bytes} bytes"


class _Checkpoint(NamedTuple):
    digest: str
    epoch: int
    size_bytes: int


def backup(settings: Settings, target: Path, *, mlflow: Path | None = None) -> Made:
    """Writes all rows, the objects that they name and, if given, the folder of an MLflow server to a new file.

    Killed at any time, it leaves nothing under the file's name.

    Raises:
        ArchiveError: the file is there already, another backup writes it, or the installation lacks something.
    """
    engine = make_engine(settings.database_url, postgresql_options=_POSTGRESQL_OPTIONS)
    engine = engine.execution_options(postgresql_readonly=True)
    _refuse_absent(engine)
    objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
    objects.sweep(older_than_s=_LEFT_S)
    try:
        with (
            _appearing(target) as file,
            uncollected(engine),
            scratch(settings) as folder,
            closing(Writer(file)) as writer,
        ):
            manifest = _Copying(engine, objects, writer, folder).everything(mlflow)
    finally:
        engine.dispose()
    rows = sum(table.rows for table in manifest.tables.values())
    return Made(target, rows, sum(map(is_object, manifest.members)), target.stat().st_size)


class _Copying:
    """One backup under way."""

    def __init__(self, engine: Engine, objects: ObjectStore, writer: Writer, folder: Path) -> None:
        self._engine, self._objects, self._writer, self._folder = engine, objects, writer, folder
        self._copied: dict[str, _Checkpoint] = {}  # by run
        self._passing: set[str] = set()  # checkpoints that rows of the archive name

    def everything(self, mlflow: Path | None) -> Manifest:
        """All of it, in the order that keeps it whole; the manifest ends the archive."""
        with self._engine.connect() as connection:
            revision = _revision(connection)
        self._copy_checkpoints()
        with _snapshot(self._engine) as connection:
            if _revision(connection) != revision:
                raise ArchiveError("the schema was upgraded meanwhile; make the backup again")
            taken_at = present(connection.scalar(select(db_now())))
            tables = {name: self._dump(connection, name) for name in own_tables(connection) if name not in LEFT_OUT}
            files, trees = _named(connection, FILES, tables), _named(connection, TREES, tables)
        for digest in sorted(files | trees):
            self._copy_object(digest)
        for tree in sorted(trees):
            for digest in self._objects.list_tree(tree).values():
                self._copy_object(digest)
        for tree in sorted(self._passing):
            self._copy_tree(tree)
        if mlflow is not None:
            self._copy_mlflow(mlflow)  # later than the rows, whose notes for it are sent again after a restore
        members, product = self._writer.members, version("pskd")
        manifest = Manifest(product=product, revision=revision, taken_at=taken_at, tables=tables, members=members)
        self._writer.finish(manifest)
        return manifest

    def _copy_checkpoints(self) -> None:
        """Those of runs that may go on, first of those that do."""
        moving = select(Run.id).where(Run.state.in_(_MOVING), Run.checkpoint_digest.is_not(None))
        with self._engine.connect() as connection:
            ids = connection.scalars(moving.order_by(Run.state != RunState.RUNNING, Run.id)).all()
        for run_id in ids:
            self._copy_checkpoint(run_id)

    def _copy_checkpoint(self, run_id: str) -> None:
        """The run's newest; it may be gone for a newer one by the time that it is read."""
        tried = None
        for _ in range(_TRIES):
            with self._engine.connect() as connection:
                found = connection.execute(
                    select(Run.checkpoint_digest, Run.checkpoint_epoch).where(Run.id == run_id)
                ).one_or_none()
            if found is None or found[0] is None or found[0] == tried:
                return
            tried = found[0]
            if (size_bytes := self._copy_tree(tried)) is not None:
                self._copied[run_id] = _Checkpoint(tried, present(found[1]), size_bytes)
                return

    def _copy_tree(self, tree: str) -> int | None:
        """The size of the tree's files in bytes; none if it was not there, whole, until it was copied."""
        own = self._folder / tree
        try:
            listed, files = self._objects.get_bytes(tree), self._objects.list_tree(tree)
            self._objects.fetch_tree(tree, own)
            for name, digest in files.items():
                with (own / name).open("rb") as source:
                    self._add(digest, source)
            self._add(tree, io.BytesIO(listed))
        except (ObjectMissing, ObjectDamaged, FileNotFoundError):
            return None
        finally:
            shutil.rmtree(own, ignore_errors=True)
        return sum(self._writer.members[object_name(digest)].size_bytes for digest in files.values())

    def _dump(self, connection: Connection, name: str) -> Table:
        columns, count = columns_of(connection, name), 0

        def lines() -> Iterator[bytes]:
            nonlocal count
            found = connection.execution_options(yield_per=_AT_A_TIME).execute(select(typed(name, columns)))
            for row in map(dict, found.mappings()):
                count += 1
                yield line_of(self._resumable(row) if name == Run.__tablename__ else row, columns)

        self._writer.add_chunks(f"tables/{name}.jsonl", lines())
        return Table(columns=columns, rows=count)

    def _resumable(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """A run that names a checkpoint that is in the archive, or else none: it then begins afresh."""
        named: str | None = row["checkpoint_digest"]
        if named is None:
            return row
        if row["state"] in _MOVING:
            copied = self._copied.get(row["id"])
            if copied is None or copied.epoch > row["checkpoint_epoch"]:
                return {**row, "checkpoint_digest": None, "checkpoint_epoch": None, "checkpoint_bytes": None}
            named = copied.digest
            row = {**row, "checkpoint_digest": named, "checkpoint_epoch": copied.epoch}
            row["checkpoint_bytes"] = copied.size_bytes
        self._passing.add(named)
        return row

    def _copy_object(self, digest: str) -> None:
        try:
            with self._objects.open(digest) as source:
                self._add(digest, source)
        except ObjectMissing as missing:
            raise ArchiveError(_NOT_WHOLE.format(missing)) from missing
        if (found := self._writer.members[object_name(digest)].sha256) != digest:
            raise ArchiveError(_NOT_WHOLE.format(f"object {digest} holds other bytes: their digest is {found}"))

    def _add(self, digest: str, source: IO[bytes]) -> None:
        if object_name(digest) not in self._writer.members:
            self._writer.add(object_name(digest), source)

    def _copy_mlflow(self, folder: Path) -> None:
        """Its database first: what it names is then there, since a model is registered after its files are."""
        if (folder / MLFLOW_DATABASE).is_file():
            copy = self._folder / MLFLOW_DATABASE
            with closing(sqlite3.connect(folder / MLFLOW_DATABASE)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            with copy.open("rb") as file:
                self._writer.add(f"mlflow/{MLFLOW_DATABASE}", file)
        for path in sorted((folder / "artifacts").rglob("*")):
            with suppress(FileNotFoundError):  # deleted meanwhile
                if path.is_file():
                    with path.open("rb") as file:
                        self._writer.add(f"mlflow/{path.relative_to(folder).as_posix()}", file)


_NOT_WHOLE = "{}, and a row names it; bring it back, or delete the dataset or the job that it belongs to"


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees all tables at one moment, and holds up nobody."""
    if engine.dialect.name == "postgresql":  # SQLite sees nothing else
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.begin() as connection:
        yield connection


def _refuse_absent(engine: Engine) -> None:
    """SQLite would make what it does not find, and the object store its folder."""
    file = engine.url.database
    if engine.dialect.name == "sqlite" and not Path(file or "").is_file():
        raise ArchiveError(f"there is no installation: {file} does not exist; name another home")


def _revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        raise ArchiveError("the database has no tables of this service, so there is nothing to back up")
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if found not in revisions():
        raise ArchiveError(f"the database has schema {found}, of a newer version: make the backup with that version")
    return str(found)


def _named(
    connection: Connection, columns: Collection[InstrumentedAttribute[Any]], tables: Collection[str]
) -> set[str]:
    """The digests in these columns, of those tables that the schema of an older version has."""
    there = [column for column in columns if column.class_.__tablename__ in tables]
    return set(connection.scalars(union(*(select(column).where(column.is_not(None)) for column in there))))


@contextmanager
def _appearing(target: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name whole or not at all; one process at a time writes it."""
    if not target.parent.is_dir():
        raise ArchiveError(f"there is no folder {target.parent}; make it first, or name another file")
    for left in target.parent.glob(".pskd-*.zip.partial"):  # of backups that were killed
        with suppress(ArchiveError, FileNotFoundError), _locked(left):
            left.unlink()
    draft = target.with_name(f".{target.name}.partial")
    with _locked(draft) as file:
        try:
            _refuse_existing(target)
            file.truncate()
            yield file
            file.flush()
            os.fsync(file.fileno())
            draft.rename(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    with held(target.absolute().parent, fcntl.LOCK_SH) as folder:
        os.fsync(folder)


def _refuse_existing(target: Path) -> None:
    if target.exists():
        raise ArchiveError(f"{target} is there already; name another file")


@contextmanager
def _locked(draft: Path) -> Iterator[IO[bytes]]:
    """A file for its owner alone, under a lock that the system frees however the process ends."""
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.path.samestat(os.fstat(descriptor), draft.lstat())
        except (BlockingIOError, FileNotFoundError):
            mine = False
        if not mine:  # another process holds it, or was done with it just now
            raise ArchiveError(f"another backup is writing {draft}; wait for it, or name another file")
        yield file


def main() -> None:
    """Back up what the environment's settings name."""
    parser = argparse.ArgumentParser(prog="python -m store.backup", description=main.__doc__)
    parser.add_argument("file", type=Path, help="a zip that is not there yet; it will hold secrets")
    parser.add_argument("--mlflow", type=Path, metavar="FOLDER", help="with what an MLflow server keeps there")
    arguments = parser.parse_args()
    with told("no backup was made"):
        print(backup(Settings(), arguments.file, mlflow=arguments.mlflow))  # noqa: T201


if __name__ == "__main__":
    main()
