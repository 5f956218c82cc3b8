"""Registered models: names, versions, aliases."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from pskd_core.config import JobSpec
from store import paging
from store.base import new_id, present, upsert
from store.errors import NotFound
from store.leaderboard import method_name, protocol_name
from store.models import TENANT, AliasChange, Dataset, Job, Model, ModelAlias, ModelVersion, Run
from store.paging import Page

CHAMPION = "champion"
REGISTRATION = "registration"  # who named the first version


@dataclass(frozen=True)
class RegisteredModel:
    """A model with the versions its aliases name."""

    model: Model
    aliases: dict[str, int]


def model_name(job: Job, dataset_name: str) -> str:
    """The job's name as a slug, else `dataset-method`."""
    return _slug(job.name) or _slug(f"{dataset_name}-{method_name(JobSpec.model_validate(job.spec))}")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_.]+", "-", text.lower()).strip("-.")


def register_version(session: Session, run: Run, job: Job, dataset: Dataset) -> ModelVersion:
    """Makes the run's bundle the next version of the job's model; a model's first version becomes its `champion`.

    Invariant: the number comes from the model's row, which stays locked until the commit; a run registers once.
    """
    model_id, number, revision = _next_version(session, job.tenant, model_name(job, dataset.name))
    version = ModelVersion(
        model_id=model_id,
        version=number,
        run_id=run.id,
        bundle_digest=present(run.bundle_digest),
        bundle_bytes=present(run.bundle_bytes),
        metrics=run.result or {},
        dataset_name=dataset.name,
        dataset_digest=present(dataset.content_digest),
        protocol=protocol_name(JobSpec.model_validate(job.spec)),
    )
    session.add(version)
    session.flush()
    if number == 1:
        _crown(session, model_id, number, revision)
    return version


def _crown(session: Session, model_id: str, version: int, revision: int) -> None:
    """A model that has one version serves it; to replace it takes a promotion."""
    session.add(ModelAlias(model_id=model_id, alias=CHAMPION, version=version, revision=revision))
    session.add(
        AliasChange(
            model_id=model_id,
            revision=revision,
            alias=CHAMPION,
            to_version=version,
            actor=REGISTRATION,
            reason="the model's first version",
        )
    )
    session.flush()


def _next_version(session: Session, tenant: str, name: str) -> tuple[str, int, int]:
    """One statement, so that a model which is just being deleted is either counted on or made anew."""
    first = upsert(session, Model).values(id=new_id("mdl"), tenant=tenant, name=name, last_version=1, revision=1)
    counted = first.on_conflict_do_update(
        index_elements=["tenant", "name"],
        set_={"last_version": Model.last_version + 1, "revision": Model.revision + 1},
    ).returning(Model.id, Model.last_version, Model.revision)
    row = session.execute(counted).one()
    return row.id, row.last_version, row.revision


def resolve(
    session: Session, name: str, *, version: int | None = None, alias: str | None = None, tenant: str = TENANT
) -> ModelVersion:
    """The named version, or the alias's, or the champion's, or the newest. Raises NotFound."""
    of_model = (
        select(ModelVersion)
        .join(Model, Model.id == ModelVersion.model_id)
        .where(Model.tenant == tenant, Model.name == name)
    )
    pointed = (ModelAlias.model_id == ModelVersion.model_id) & (ModelAlias.version == ModelVersion.version)
    if version is not None:
        found = of_model.where(ModelVersion.version == version)
    elif alias is not None:
        found = of_model.join(ModelAlias, pointed).where(ModelAlias.alias == alias)
    else:
        champion_first = ((ModelAlias.alias == CHAMPION).desc().nulls_last(), ModelVersion.version.desc())
        with_champion = of_model.outerjoin(ModelAlias, pointed & (ModelAlias.alias == CHAMPION))
        found = with_champion.order_by(*champion_first).limit(1)
    row = session.scalars(found).one_or_none()
    if row is None:
        raise NotFound("model", _named(name, version, alias))
    return row


def _named(name: str, version: int | None, alias: str | None) -> str:
    if version is not None:
        return f"{name} version {version}"
    return f"{name} alias {alias}" if alias is not None else name


def tracked_name(model: Model) -> str:
    """What the model is called in MLflow, which knows no tenants."""
    return model.name if model.tenant == TENANT else f"{model.tenant}.{model.name}"


def version_of_run(session: Session, run_id: str) -> ModelVersion | None:
    """The version that a run registered, if it did."""
    return session.scalars(select(ModelVersion).where(ModelVersion.run_id == run_id)).one_or_none()


def get(session: Session, name: str, *, tenant: str = TENANT) -> RegisteredModel:
    """One model. Raises NotFound."""
    model = session.scalars(select(Model).where(Model.tenant == tenant, Model.name == name)).one_or_none()
    if model is None:
        raise NotFound("model", name)
    (registered,) = _with_aliases(session, [model])
    return registered


def versions(session: Session, model_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[ModelVersion]:
    """A model's versions, newest first. Raises BadCursor."""
    filters = {"list": "versions", "model": model_id}
    found = select(ModelVersion).where(ModelVersion.model_id == model_id)
    if cursor is not None:
        (last,) = paging.decode(cursor, filters, (int,))
        found = found.where(ModelVersion.version < last)
    rows = session.scalars(found.order_by(ModelVersion.version.desc()).limit(limit + 1)).all()
    return paging.cut(rows, lambda row: (row.version,), filters, limit=limit)


def page(
    session: Session, *, tenant: str = TENANT, limit: int = 50, cursor: str | None = None
) -> Page[RegisteredModel]:
    """Models by name. Raises BadCursor."""
    filters = {"list": "models"}
    found = select(Model).where(Model.tenant == tenant)
    if cursor is not None:
        (last,) = paging.decode(cursor, filters, (str,))
        found = found.where(Model.name > last)
    models = session.scalars(found.order_by(Model.name).limit(limit + 1)).all()
    registered = _with_aliases(session, models)
    return paging.cut(registered, lambda each: (each.model.name,), filters, limit=limit)


def _with_aliases(session: Session, models: Sequence[Model]) -> list[RegisteredModel]:
    aliases: dict[str, dict[str, int]] = {model.id: {} for model in models}
    for row in session.scalars(select(ModelAlias).where(ModelAlias.model_id.in_(aliases)).order_by(ModelAlias.alias)):
        aliases[row.model_id][row.alias] = row.version
    return [RegisteredModel(model, aliases[model.id]) for model in models]


def recent_versions(session: Session, model_ids: Sequence[str]) -> Sequence[ModelVersion]:
    """The newest version of each of these models: one query for a page of models."""
    newest = select(ModelVersion.model_id, func.max(ModelVersion.version)).where(ModelVersion.model_id.in_(model_ids))
    place = tuple_(ModelVersion.model_id, ModelVersion.version)
    return session.scalars(select(ModelVersion).where(place.in_(newest.group_by(ModelVersion.model_id)))).all()
