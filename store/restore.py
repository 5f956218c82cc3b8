"""Brings a backup back into an installation that is empty: `python -m store.restore FILE`.

Invariant: the rows come last and in one transaction, with the schema that they belong to and its upgrade. Killed before
that, a restore has left objects that no row names, and is repeated by the same command.
"""

import argparse
import hashlib
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, column, func, insert, inspect, literal, select, table, text
from sqlalchemy.orm import Session

from store import classifications, datasets, runs
from store.archive import (
    LEFT_OUT,
    Archive,
    ArchiveError,
    columns_of,
    object_name,
    opened,
    own_tables,
    scratch,
    told,
    typed,
)
from store.base import Base, db_now, present
from store.lifecycle import DatasetState, RunState
from store.migrate import bring, revisions, transaction
from store.models import Dataset, Run
from store.objects import ObjectStore
from store.settings import Settings
from store.timelines import Classification

_AT_A_TIME = 1000
_EMPTY = "a backup is restored into an empty database and object store"


@dataclass(frozen=True)
class Restored:
    """What came back."""

    rows: int
    objects: int
    taken_at: str
    left_out: str

    def __str__(self) -> str:
        return f"restored {self.rows} rows and {self.objects} objects as they were at {self.taken_at}{self.left_out}"


def restore(settings: Settings, source: Path, *, mlflow: Path | None = None) -> Restored:
    """Puts back objects, then MLflow's files into `mlflow` if given, then all rows; upgrades an older schema.

    Runs and imports that were under way are free to be claimed; time has stood still for them.

    Raises:
        ArchiveError: the archive is damaged or of a newer version, or the target is not empty.
    """
    objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
    with opened(source) as archive, scratch(settings) as folder:
        manifest = archive.manifest
        if manifest.revision not in revisions():
            raise ArchiveError(
                f"{source} was made by version {manifest.product} and has schema {manifest.revision}, which this "
                "version does not know; restore it with that version or a newer one"
            )
        with transaction(settings.database_url) as connection:
            _refuse_used_database(connection)
        _refuse_other_objects(objects, archive)
        if mlflow is not None:
            _refuse_other_files(mlflow, archive)
        archive.verify()
        _put_objects(objects, archive, folder)
        if mlflow is not None:
            _put_files(mlflow, archive, folder)
        with transaction(settings.database_url) as connection:
            _refuse_used_database(connection)
            _put_rows(connection, archive)
    rows = sum(each.rows for each in manifest.tables.values())
    left_out = "" if mlflow is not None or not archive.mlflow() else "; MLflow's files in it were left out"
    return Restored(rows, len(archive.digests()), f"{manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC", left_out)


# --- What must be empty -------------------------------------------------------------------------------------------


def _refuse_used_database(connection: Connection) -> None:
    names = set(inspect(connection).get_table_names()) - {"alembic_version"}
    if others := sorted(names - Base.metadata.tables.keys()):
        raise ArchiveError(f"the database has a table {others[0]!r} of something else; {_EMPTY}")
    for name in sorted(names):
        if connection.scalar(select(literal(1)).select_from(table(name)).limit(1)):
            raise ArchiveError(f"the database has rows already, in table {name!r}; {_EMPTY}")


def _refuse_other_objects(objects: ObjectStore, archive: Archive) -> None:
    """Those of the archive may be there: an earlier try has put them."""
    ours = archive.digests()
    if other := next((each.digest for each in objects.stored() if each.digest not in ours), None):
        raise ArchiveError(f"the object store has objects already, such as {other}; {_EMPTY}")


def _refuse_other_files(folder: Path, archive: Archive) -> None:
    ours = archive.mlflow()
    for path in folder.rglob("*"):
        if path.is_file():
            member = ours.get(path.relative_to(folder).as_posix())
            if member is None or member.sha256 != _digest_of(path):
                raise ArchiveError(f"MLflow has {path} already; a backup is restored into an empty folder")


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- Objects and files --------------------------------------------------------------------------------------------


def _put_objects(objects: ObjectStore, archive: Archive, folder: Path) -> None:
    for digest in sorted(archive.digests()):
        if not objects.exists(digest):
            path = _extracted(archive, object_name(digest), folder)
            if objects.put_file(path) != digest:
                raise ArchiveError(f"{archive.path} has changed while it was read")
            path.unlink()


def _put_files(target: Path, archive: Archive, folder: Path) -> None:
    for name in archive.mlflow():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        _extracted(archive, f"mlflow/{name}", folder).replace(target / name)


def _extracted(archive: Archive, name: str, folder: Path) -> Path:
    path = folder / "member"
    with path.open("wb") as file:
        for chunk in archive.chunks(name):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return path


# --- Rows ---------------------------------------------------------------------------------------------------------


def _put_rows(connection: Connection, archive: Archive) -> None:
    """In the schema that they were written in, which is then upgraded."""
    for name in [*reversed(own_tables(connection)), "alembic_version"]:  # empty ones, of whatever version
        connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
    bring(connection, archive.manifest.revision)
    names = [name for name in own_tables(connection) if name not in LEFT_OUT]
    if wrong := sorted(archive.manifest.tables.keys() ^ set(names)):
        raise ArchiveError(f"{archive.path}: table {wrong[0]!r} does not belong to schema {archive.manifest.revision}")
    for name in names:
        _insert(connection, archive, name)
    bring(connection)
    with Session(connection) as session, session.begin():
        _free_claims(session, archive)


def _insert(connection: Connection, archive: Archive, name: str) -> None:
    columns, written = columns_of(connection, name), archive.manifest.tables[name].columns
    if wrong := sorted(columns.items() ^ written.items()):
        raise ArchiveError(
            f"{archive.path}: column {wrong[0][0]!r} of table {name!r} does not belong to schema "
            f"{archive.manifest.revision}"
        )
    rows = archive.rows(name)
    while batch := list(islice(rows, _AT_A_TIME)):
        connection.execute(insert(typed(name, columns)), batch)
    if connection.dialect.name == "postgresql":
        for number in (each for each, kind in columns.items() if kind == "integer"):
            _count_on(connection, name, number)


def _count_on(connection: Connection, name: str, number: str) -> None:
    """A column that the database counts by itself goes on after the highest number that is there."""
    sequence = connection.scalar(select(func.pg_get_serial_sequence(name, number)))
    if sequence is not None:
        following: ColumnElement[int] = func.coalesce(func.max(column(number)), 0) + 1
        connection.execute(select(func.setval(sequence, following, literal(False))).select_from(table(name)))


def _free_claims(session: Session, archive: Archive) -> None:
    """Takes runs, imports and classifications from workers that are gone, as if no time had passed since the backup."""
    now = present(session.scalar(select(db_now())))
    passed, over = now - archive.manifest.taken_at, now - timedelta(seconds=1)
    for run in session.scalars(select(Run).where(Run.state == RunState.RUNNING)):
        run.lease_expires_at = over
        run.claimed_at = run.claimed_at and run.claimed_at + passed
        run.deadline_at = run.deadline_at and run.deadline_at + passed
    imports = select(Dataset).where(Dataset.state == DatasetState.VALIDATING, Dataset.worker.is_not(None))
    for dataset in session.scalars(imports):
        dataset.lease_expires_at = over
    for row in session.scalars(select(Classification).where(Classification.worker.is_not(None))):
        row.lease_expires_at = over
    session.flush()
    while runs.reap(session, max_stalled_attempts=sys.maxsize):
        pass
    while datasets.reap(session, max_attempts=sys.maxsize):
        pass
    while classifications.reap(session, max_attempts=sys.maxsize):
        pass


def main() -> None:
    """Restore into what the environment's settings name."""
    parser = argparse.ArgumentParser(prog="python -m store.restore", description=main.__doc__)
    parser.add_argument("file", type=Path, help="as `python -m store.backup` made it")
    parser.add_argument("--mlflow", type=Path, metavar="FOLDER", help="where an MLflow server shall find its files")
    arguments = parser.parse_args()
    with told("not restored"):
        print(restore(Settings(), arguments.file, mlflow=arguments.mlflow))  # noqa: T201


if __name__ == "__main__":
    main()
