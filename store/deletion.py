"""Deleting on purpose: what refers to the thing is named and keeps it, or goes along. Objects go by collection."""

from collections import Counter
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.orm import Session

from store import leaderboard, promotion, registry, sweeps
from store.errors import IllegalTransition, NotFound, Reference, StillUsed
from store.keys import Bearer
from store.lifecycle import ENDED_JOB, ENDED_SWEEP
from store.models import (
    TENANT,
    Configuration,
    ConfigurationResult,
    Dataset,
    Job,
    Model,
    ModelAlias,
    ModelVersion,
    Outbox,
    Run,
    Sweep,
    SweepTrial,
)

Removed = Counter[str]  # how many of which kind

_CANCEL_FIRST = "be deleted; cancel it first"
_DELETED = "deleted"  # why a trial has no job any more


def delete_dataset(session: Session, dataset_id: str, *, force: bool = False, tenant: str = TENANT) -> Removed:
    """Deletes a dataset; with `force` also its jobs and sweeps, as `delete_job` does. An import under way ends.

    Raises:
        NotFound: no such dataset.
        StillUsed: jobs or sweeps are on it and nobody forces it, or a model of theirs is served.
        IllegalTransition: one of them has not ended.
    """
    # Waits for those who are about to refer to it, and keeps others away: they then find no dataset.
    locked = select(Dataset).where(Dataset.id == dataset_id, Dataset.tenant == tenant).with_for_update()
    dataset = session.scalars(locked).one_or_none()
    if dataset is None:
        raise NotFound("dataset", dataset_id)
    of_dataset = Job.dataset_id == dataset_id
    searching = session.scalars(select(Sweep).where(Sweep.dataset_id == dataset_id).order_by(Sweep.id)).all()
    _check_sweeps_ended(session, searching)
    found = [Reference("sweep", sweep.id, sweep.name) for sweep in searching]
    found += [Reference("job", job.id, job.name) for job in _ended_jobs(session, of_dataset)]
    _check_unused(f"dataset {dataset.name!r}", found, force=force)
    session.execute(delete(Sweep).where(Sweep.dataset_id == dataset_id))
    removed = Counter({"datasets": 1, "sweeps": len(searching)}) + _remove_jobs(session, of_dataset)
    _name_other_datasets(session, dataset_id)
    session.delete(dataset)
    session.flush()
    return removed


def delete_job(session: Session, job_id: str, *, force: bool = False, tenant: str = TENANT) -> Removed:
    """Deletes an ended job with its runs, curves and events.

    With `force` its results leave the leaderboard too, whose rows are computed anew from what others have measured, and
    so do the model versions that it registered. A version that an alias names is served, and keeps its job: where a
    served model comes from can always be told.

    Raises:
        NotFound: no such job.
        IllegalTransition: the job, or a sweep that it is a trial of, has not ended.
        StillUsed: results, versions or a sweep refer to it and nobody forces it, or an alias names such a version.
    """
    of_tenant = (Job.id == job_id) & (Job.tenant == tenant)
    jobs = _ended_jobs(session, of_tenant)
    if not jobs:
        raise NotFound("job", job_id)
    trying = select(Sweep).join(SweepTrial, SweepTrial.sweep_id == Sweep.id).where(SweepTrial.job_id == job_id)
    searching = session.scalars(trying).all()
    _check_sweeps_ended(session, searching)
    found = [Reference("sweep", sweep.id, sweep.name) for sweep in searching]
    found += [Reference("leaderboard row", row.id, row.dataset_name) for row in _rows_of(session, of_tenant)]
    found += [_as_reference(model, number) for model, number in _versions_of(session, of_tenant)]
    _check_unused(f"job {job_id}", found, force=force)
    return _remove_jobs(session, of_tenant)


def delete_sweep(session: Session, sweep_id: str, *, force: bool = False, tenant: str = TENANT) -> Removed:
    """Deletes an ended sweep; with `force` also the jobs of its trials, as `delete_job` does.

    Raises:
        NotFound: no such sweep.
        IllegalTransition: it has not ended.
        StillUsed: its trials have jobs and nobody forces it, or a model of theirs is served.
    """
    # Whoever is about to propose a trial waits, and then finds no sweep.
    locked = select(Sweep).where(Sweep.id == sweep_id, Sweep.tenant == tenant).with_for_update()
    sweep = session.scalars(locked).one_or_none()
    if sweep is None:
        raise NotFound("sweep", sweep_id)
    _check_sweeps_ended(session, [sweep])
    trials = select(SweepTrial.job_id).where(SweepTrial.sweep_id == sweep_id, SweepTrial.job_id.is_not(None))
    of_sweep = Job.id.in_(session.scalars(trials).all())
    found = [Reference("job", job.id, job.name) for job in _ended_jobs(session, of_sweep)]
    _check_unused(f"sweep {sweep_id}", found, force=force)
    session.execute(delete(Sweep).where(Sweep.id == sweep_id))
    return Counter({"sweeps": 1}) + _remove_jobs(session, of_sweep)


def delete_model(
    session: Session, name: str, *, bearer: Bearer | None = None, force: bool = False, tenant: str = TENANT
) -> Removed:
    """Deletes a model with its versions and history; with `force` also its aliases, so that nobody is served by it.

    The jobs that its versions come from stay.

    Raises:
        NotFound: no such model.
        StillUsed: an alias names one of its versions, and nobody forces it.
    """
    model = promotion.locked(session, registry.get(session, name, tenant=tenant).model.id)
    aliases = _drop_aliases(session, model, ModelAlias.model_id == model.id, f"model {name!r}", bearer, force=force)
    versions = session.scalars(select(ModelVersion.version).where(ModelVersion.model_id == model.id)).all()
    session.execute(delete(Model).where(Model.id == model.id))
    return Counter({"models": 1, "model_versions": len(versions), "aliases": aliases})


def delete_version(
    session: Session,
    name: str,
    version: int,
    *,
    bearer: Bearer | None = None,
    force: bool = False,
    tenant: str = TENANT,
) -> Removed:
    """Deletes one version; its number is not given again, and the model stays also without any.

    Raises:
        NotFound: no such version.
        StillUsed: an alias names it, and nobody forces it.
    """
    model = promotion.locked(session, registry.resolve(session, name, version=version, tenant=tenant).model_id)
    naming = (ModelAlias.model_id == model.id) & (ModelAlias.version == version)
    aliases = _drop_aliases(session, model, naming, f"version {version} of model {name!r}", bearer, force=force)
    gone = delete(ModelVersion).where(ModelVersion.model_id == model.id, ModelVersion.version == version)
    session.execute(gone)
    return Counter({"model_versions": 1, "aliases": aliases})


def _drop_aliases(
    session: Session, model: Model, naming: ColumnElement[bool], what: str, bearer: Bearer | None, *, force: bool
) -> int:
    aliases = session.scalars(select(ModelAlias).where(naming).order_by(ModelAlias.alias)).all()
    _check_unused(what, [Reference("alias", each.alias, model.name) for each in aliases], force=force)
    for standing in aliases:
        promotion.drop(session, model, standing, actor=model.tenant, bearer=bearer, reason=f"{what} was deleted")
    return len(aliases)


def _check_unused(what: str, found: Sequence[Reference], *, force: bool) -> None:
    if found and not force:
        raise StillUsed(f"{what} is still referred to by {_listed(found)}; `force=true` removes that along", found)


def _listed(found: Sequence[Reference]) -> str:
    named = [str(each) for each in found[:_MOST_NAMED]]
    return ", ".join(named) + (f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else "")


_MOST_NAMED = 10


def _check_sweeps_ended(session: Session, searching: Sequence[Sweep]) -> None:
    counts = sweeps.counts(session, [sweep.id for sweep in searching])
    for sweep in searching:
        if (state := sweeps.state_of(sweep, counts[sweep.id])) not in ENDED_SWEEP:
            raise IllegalTransition(f"sweep ({sweep.id})", state, f"lose a trial or {_CANCEL_FIRST}")


def _ended_jobs(session: Session, which: ColumnElement[bool]) -> Sequence[Job]:
    """These jobs, locked after their runs as all who write runs do, so that none begins again."""
    of_jobs = select(Run.id).join(Job, Job.id == Run.job_id).where(which).order_by(Run.id)
    session.execute(of_jobs.with_for_update(of=Run)).all()
    locked = select(Job).where(which).order_by(Job.id).with_for_update()
    jobs = session.scalars(locked, execution_options={"populate_existing": True}).all()
    for job in jobs:
        if job.state not in ENDED_JOB:
            raise IllegalTransition(f"job ({job.id})", job.state, _CANCEL_FIRST)
    return jobs


def _rows_of(session: Session, which: ColumnElement[bool]) -> Sequence[Configuration]:
    """Rows of the leaderboard with a result of these jobs, locked in order."""
    counted = (
        select(ConfigurationResult.configuration_id)
        .join(Run, Run.id == ConfigurationResult.run_id)
        .join(Job, Job.id == Run.job_id)
        .where(which)
    )
    locked = select(Configuration).where(Configuration.id.in_(counted)).order_by(Configuration.id).with_for_update()
    return session.scalars(locked, execution_options={"populate_existing": True}).all()


def _versions_of(session: Session, which: ColumnElement[bool]) -> Sequence[tuple[Model, int]]:
    found = (
        select(Model, ModelVersion.version)
        .join(ModelVersion, ModelVersion.model_id == Model.id)
        .join(Run, Run.id == ModelVersion.run_id)
        .join(Job, Job.id == Run.job_id)
        .where(which)
        .order_by(Model.name, ModelVersion.version)
    )
    return [(model, version) for model, version in session.execute(found)]


def _as_reference(model: Model, version: int) -> Reference:
    return Reference("model version", f"{model.name}/{version}", model.name)


def _remove_jobs(session: Session, which: ColumnElement[bool]) -> Removed:
    rows, versions = _rows_of(session, which), _versions_of(session, which)
    for model_id in sorted({model.id for model, _ in versions}):  # so that no alias comes to name one of them
        promotion.locked(session, model_id)
    _check_not_served(session, versions)
    runs = select(Run.id).join(Job, Job.id == Run.job_id).where(which)
    session.execute(delete(ModelVersion).where(ModelVersion.run_id.in_(runs)))
    session.execute(delete(ConfigurationResult).where(ConfigurationResult.run_id.in_(runs)))
    gone = _refresh(session, rows)
    trials = update(SweepTrial).where(SweepTrial.job_id.in_(select(Job.id).where(which)))
    session.execute(trials.values(job_id=None, cause=_DELETED, detail="its job was deleted"))
    session.execute(delete(Outbox).where(Outbox.kind == "mlflow", Outbox.sent_at.is_(None), Outbox.key.in_(runs)))
    ids = session.scalars(delete(Job).where(which).returning(Job.id)).all()
    return Counter({"jobs": len(ids), "model_versions": len(versions), "leaderboard_rows": gone})


def _check_not_served(session: Session, versions: Iterable[tuple[Model, int]]) -> None:
    served = [
        Reference("alias", alias, f"{model.name}/{version}")
        for model, version in versions
        for alias in session.scalars(
            select(ModelAlias.alias).where(ModelAlias.model_id == model.id, ModelAlias.version == version)
        )
    ]
    if served:
        raise StillUsed(
            f"a model that is served would lose what it comes from: {_listed(served)}; promote another version, or "
            "delete the alias or the model first",
            served,
        )


def _refresh(session: Session, rows: Sequence[Configuration]) -> int:
    """Computes rows anew that have lost results, and deletes those that have none left; says how many."""
    gone = 0
    for row in rows:
        if session.scalar(select(exists().where(ConfigurationResult.configuration_id == row.id))):
            leaderboard.refresh(session, row)
        else:
            session.delete(row)
            gone += 1
    session.flush()
    return gone


def _name_other_datasets(session: Session, dataset_id: str) -> None:
    """Rows that hold results on another dataset of the same content name that one from now on."""
    for row in session.scalars(select(Configuration).where(Configuration.dataset_id == dataset_id)).all():
        other = (
            select(Dataset.id, Dataset.name)
            .join(Job, Job.dataset_id == Dataset.id)
            .join(Run, Run.job_id == Job.id)
            .join(ConfigurationResult, ConfigurationResult.run_id == Run.id)
            .where(ConfigurationResult.configuration_id == row.id)
        )
        row.dataset_id, row.dataset_name = session.execute(other.order_by(Dataset.id).limit(1)).one()
    session.flush()
