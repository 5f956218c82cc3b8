"""Removes objects that no row names: `python -m store.collect [--dry-run]`."""

import argparse
import fcntl
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select, text, union

from store.engine import Database
from store.errors import ObjectMissing
from store.models import Dataset, ModelVersion, Run, TeacherAnswers
from store.objects import ObjectStore, held
from store.settings import Settings
from store.timelines import Classification

# All columns that name an object. A test finds those that are not here.
FILES = (
    Dataset.upload_digest,
    Run.predictions_digest,
    Classification.upload_digest,
    Classification.segments_digest,
    Classification.windows_digest,
)
TREES = (Dataset.tree_digest, Run.bundle_digest, ModelVersion.bundle_digest, Classification.bundle_digest)
# Trees that their owner deletes when it has a newer one, and can do without.
PASSING_TREES = (Run.checkpoint_digest, TeacherAnswers.tree_digest)
_LOCK = "pskd.collect"
_LEFT_S = 24 * 3600.0  # by then nobody is still writing


@dataclass(frozen=True)
class Collected:
    """What a collection removed, or with a dry run would remove."""

    objects: int
    size_bytes: int
    kept: int  # named by a row, or too young to tell

    def __str__(self) -> str:
        return f"{self.objects} objects of {self.size_bytes} bytes that no row names; {self.kept} objects stay"


def collect(database: Database, objects: ObjectStore, *, grace_s: float, dry_run: bool = False) -> Collected:
    """Removes objects that no row names and that were last put longer than `grace_s` ago.

    Objects are listed before rows are read, and looked at again before they go. Whoever names an object has put it
    before, and a put makes it young; so what is named within `grace_s` of its put is safe, and so is what is put again
    meanwhile. Killed in the middle it has removed less. With a grace of 0 nobody may be writing.

    Raises:
        ObjectMissing: a tree that a row names is not there, so its files cannot be told from others.
        ObjectDamaged: or it cannot be read.
    """
    with _alone(database.engine) as alone:
        listed = {each.digest: each for each in objects.stored()}
        if not alone:  # another process is at it, or makes a backup
            return Collected(0, 0, len(listed))
        named = _named(database, objects)
        removed = [
            each
            for digest, each in sorted(listed.items())
            if digest not in named
            and each.age_s >= grace_s
            and (dry_run or objects.remove(digest, older_than_s=grace_s))
        ]
    return Collected(len(removed), sum(each.size_bytes for each in removed), len(listed) - len(removed))


def forget_copies(database: Database, objects: ObjectStore, *, grace_s: float) -> None:
    """Removes from this machine's cache what no row names, and what killed processes left there half-written.

    Only what rows name is ever copied, and a copy younger than `grace_s` may have lost its row to a newer one while
    somebody reads it.
    """
    objects.drop_cached(_digests(database, (*FILES, *TREES, *PASSING_TREES)), older_than_s=grace_s)
    objects.sweep(older_than_s=_LEFT_S)


def _named(database: Database, objects: ObjectStore) -> set[str]:
    """Digests of all objects that rows name, and of the files of their trees."""
    passing = _digests(database, PASSING_TREES)
    lasting = _digests(database, TREES)
    named = _digests(database, FILES) | passing | lasting
    for tree in sorted(passing | lasting):
        try:
            named.update(objects.list_tree(tree).values())
        except ObjectMissing as missing:
            if tree in lasting:
                raise ObjectMissing(
                    f"{missing}, which a dataset or a model is stored under; bring it back from a backup first"
                ) from missing
    return named


def _digests(database: Database, columns: Collection) -> set[str]:  # type: ignore[type-arg]  # columns of text
    with database.read() as session:
        found = union(*(select(column).where(column.is_not(None)) for column in columns))
        return set(session.scalars(found))


@contextmanager
def uncollected(engine: Engine) -> Iterator[None]:
    """Nothing is collected until the block ends, neither what rows have ceased to name; waits for who is at it."""
    if engine.dialect.name != "postgresql":
        with held(_folder(engine), fcntl.LOCK_SH):
            yield
        return
    name = {"name": _LOCK}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock_shared(hashtext(:name))"), name)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock_shared(hashtext(:name))"), name)


@contextmanager
def _alone(engine: Engine) -> Iterator[bool]:
    """Whether no other process collects, or has it put off, until the block ends."""
    if engine.dialect.name != "postgresql":
        with ExitStack() as stack:
            try:
                stack.enter_context(held(_folder(engine), fcntl.LOCK_EX | fcntl.LOCK_NB))
                alone = True
            except BlockingIOError:
                alone = False
            yield alone
        return
    # Of its own, without a transaction, which would be cut off while it waits.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = {"name": _LOCK}
        taken = connection.scalar(text("SELECT pg_try_advisory_lock(hashtext(:name))"), name)
        try:
            yield bool(taken)
        finally:
            if taken:
                connection.execute(text("SELECT pg_advisory_unlock(hashtext(:name))"), name)


def _folder(engine: Engine) -> Path:
    """Where SQLite's file lies, which is locked in the place of a database that has such locks."""
    return Path(engine.url.database or "").absolute().parent


def main() -> None:
    """Collect once, as the settings of the environment say."""
    parser = argparse.ArgumentParser(prog="python -m store.collect", description=main.__doc__)
    parser.add_argument("--dry-run", action="store_true", help="count what would be removed, and remove nothing")
    arguments = parser.parse_args()
    settings = Settings()
    database = Database(settings.database_url)
    objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
    try:
        print(collect(database, objects, grace_s=settings.collect_grace_s, dry_run=arguments.dry_run))  # noqa: T201
    finally:
        database.dispose()


if __name__ == "__main__":
    main()
