"""Installations without processes, to be backed up and restored."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, select, update

from store import archive, idempotency, keys, tally, webhooks, workers
from store.base import Base
from store.engine import Database
from store.keys import Scope
from store.lifecycle import RunState
from store.migrate import upgrade
from store.models import AliasChange, Dataset, ModelVersion, Run, Sweep, SweepTrial, TeacherAnswers
from store.objects import ObjectStore
from store.settings import Settings
from store.tally import Tallied
from tests.dumps.make_dumps import fill
from tests.recordings import add_classification

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
        self.put_objects(folder)
        upload, bundle = self.objects.put_bytes(b"recording"), self.tree(folder / "asked")
        with self.database.write() as session:
            add_classification(session, upload=upload, bundle=bundle)
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

    def put_objects(self, folder: Path) -> None:
        """The objects that rows name; a run that is under way gets a checkpoint."""
        predictions = self.objects.put_bytes(b"predictions")
        dataset, bundle, checkpoint = (self.tree(folder / name) for name in ("dataset", "bundle", "checkpoint"))
        with self.database.write() as session:
            session.execute(update(Dataset).where(Dataset.tree_digest.is_not(None)).values(tree_digest=dataset))
            session.execute(update(Run).where(Run.bundle_digest.is_not(None)).values(bundle_digest=bundle))
            session.execute(update(Run).where(Run.bundle_digest.is_not(None)).values(predictions_digest=predictions))
            session.execute(update(ModelVersion).values(bundle_digest=bundle))
            held = (Run.checkpoint_digest.is_not(None)) | (Run.state == RunState.RUNNING)
            session.execute(update(Run).where(held).values(checkpoint_digest=checkpoint, checkpoint_epoch=1, epoch=2))

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


def under_way(place: Place) -> Run:
    """The run that a worker had when the backup was made."""
    with place.database.read() as session:
        return session.scalars(select(Run).where(Run.state == RunState.RUNNING)).one()


def without(rows: dict[str, list[str]], run: Run, tables: set[str]) -> dict[str, list[str]]:
    """All rows but those of these tables, and of this run and its job."""
    told = {name: each for name, each in rows.items() if name not in tables}
    return {name: [row for row in each if run.id not in row and run.job_id not in row] for name, each in told.items()}


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
