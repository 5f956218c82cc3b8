"""How much each tenant has stored, and how much it may.

Each row that names an object counts with the object's size, so that deleting the row frees what it was counted with,
whoever else names the same bytes. A version of a model is its run's bundle and counts once; that a classification under
way names it too counts for nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from store.errors import StorageFull
from store.models import TENANT, UNMEASURED, Dataset, Job, Model, ModelVersion, Run, Sweep, TeacherAnswers
from store.timelines import Classification


@dataclass(frozen=True)
class Kept:
    """All rows of one kind."""

    count: int
    size_bytes: int = 0
    unmeasured: int = 0  # objects whose size is not known yet, which count as nothing


@dataclass(frozen=True)
class Usage:
    """What a tenant has stored."""

    kinds: Mapping[str, Kept]  # each object under one of them
    cached_bytes: int  # kept answers of teachers, which go by themselves and count for no limit

    @property
    def size_bytes(self) -> int:
        """Of all kinds."""
        return sum(kept.size_bytes for kept in self.kinds.values())

    @property
    def unmeasured(self) -> int:
        """Of all kinds."""
        return sum(kept.unmeasured for kept in self.kinds.values())


def look(session: Session, *, tenant: str = TENANT) -> Usage:
    """Sums by eight queries, whatever there is to count."""
    versions = _versions(session, tenant)
    cached = select(func.sum(TeacherAnswers.size_bytes)).where(TeacherAnswers.tenant == tenant)
    return Usage(
        kinds={
            "datasets": _datasets(session, tenant),
            "classifications": _classifications(session, tenant),
            "model_versions": versions,
            **_runs(session, tenant, versions),
            "jobs": Kept(_count(session, Job.tenant, tenant)),
            "sweeps": Kept(_count(session, Sweep.tenant, tenant)),
        },
        cached_bytes=int(session.scalar(cached) or 0),
    )


def check_room(session: Session, *, adding_bytes: int, limit_bytes: int | None, tenant: str = TENANT) -> None:
    """Refuses to store so much more; until the commit, others who add to the same tenant's objects wait.

    Raises:
        StorageFull: with the figures.
    """
    if limit_bytes is None:
        return
    if session.get_bind().dialect.name == "postgresql":  # on SQLite there is one writer at a time
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"pskd.storage.{tenant}"})
    check(look(session, tenant=tenant).size_bytes, adding_bytes=adding_bytes, limit_bytes=limit_bytes)


def check(stored_bytes: int, *, adding_bytes: int, limit_bytes: int) -> None:
    """Refuses to add so much to what is stored; with nothing to add, refuses what would add something later.

    Raises:
        StorageFull: with the figures.
    """
    if stored_bytes + max(adding_bytes, 1) > limit_bytes:
        raise StorageFull(stored_bytes=stored_bytes, adding_bytes=adding_bytes, limit_bytes=limit_bytes)


def _datasets(session: Session, tenant: str) -> Kept:
    sizes = func.sum(Dataset.upload_bytes), func.sum(Dataset.tree_bytes)
    unknown = _unknown(Dataset.upload_digest, Dataset.upload_bytes), _unknown(Dataset.tree_digest, Dataset.tree_bytes)
    count, upload, tree, *missing = _figures(session, Dataset.tenant == tenant, func.count(), *sizes, *unknown)
    return Kept(count, upload + tree, sum(missing))


def _classifications(session: Session, tenant: str) -> Kept:
    of_tenant = Classification.tenant == tenant
    sizes = (Classification.upload_bytes, Classification.segments_bytes, Classification.windows_bytes)
    count, *found = _figures(session, of_tenant, func.count(), *map(func.sum, sizes))
    return Kept(count, sum(found))


def _versions(session: Session, tenant: str) -> Kept:
    of_tenant = (Model.id == ModelVersion.model_id) & (Model.tenant == tenant)
    return Kept(*_figures(session, of_tenant, func.count(), func.sum(ModelVersion.bundle_bytes)))


def _runs(session: Session, tenant: str, versions: Kept) -> Mapping[str, Kept]:
    of_tenant = Run.tenant == tenant
    sizes = map(func.sum, (Run.checkpoint_bytes, Run.predictions_bytes, Run.bundle_bytes))
    count, checkpoints, *found = _figures(session, of_tenant, func.count(), func.count(Run.checkpoint_bytes), *sizes)
    checkpoint, predictions, bundle = found
    old = of_tenant & text(f"({UNMEASURED})")  # few or none, and in an index
    no_checkpoint, no_predictions = _figures(
        session,
        old,
        _unknown(Run.checkpoint_digest, Run.checkpoint_bytes),
        _unknown(Run.predictions_digest, Run.predictions_bytes),
    )
    return {
        "runs": Kept(count, predictions + bundle - versions.size_bytes, no_predictions),
        "checkpoints": Kept(checkpoints + no_checkpoint, checkpoint, no_checkpoint),
    }


def _figures(session: Session, which: ColumnElement[bool], *columns: ColumnElement[Any]) -> list[int]:
    """One row of counts and sums; a sum of nothing is 0."""
    return [int(figure or 0) for figure in session.execute(select(*columns).where(which)).one()]


def _count(session: Session, column: InstrumentedAttribute[str], tenant: str) -> int:
    return session.scalar(select(func.count()).where(column == tenant)) or 0


def _unknown(digest: InstrumentedAttribute[str | None], size: InstrumentedAttribute[int | None]) -> ColumnElement[int]:
    return func.sum(case((digest.is_not(None) & size.is_(None), 1), else_=0))
