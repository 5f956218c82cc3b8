"""Aliases that move: which version may replace which, who moved them when and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from pskd_core.errors import NotComparable
from pskd_core.evaluation.comparison import Predictions, compare
from pskd_core.fields import Frozen
from store import outbox, paging, registry
from store.base import db_now
from store.errors import AliasMoved, GateRefused, NotFound
from store.keys import Bearer
from store.models import TENANT, AliasChange, Job, Model, ModelAlias, ModelVersion, Run
from store.paging import Page

Stored = Callable[[str], Predictions | None]  # predictions by digest; null if they cannot be had


class Scored(Frozen):
    """What a version reached on the test part of its fold."""

    version: int
    accuracy: float | None
    n: int | None


class Gate(Frozen):
    """How a version compared with the one that it was to replace."""

    passed: bool
    by: Literal["no_incumbent", "paired", "stated", "not_comparable"] = Field(
        description="paired: recording by recording; stated: by the accuracies that both were registered with"
    )
    detail: str
    candidate: Scored
    incumbent: Scored | None = None
    only_candidate: int | None = Field(default=None, description="test recordings that the candidate alone has right")
    only_incumbent: int | None = None
    p: float | None = Field(default=None, description="McNemar's exact test, two-sided")


@dataclass(frozen=True)
class Entrant:
    """A version with what it was tested on."""

    version: int
    scored: Scored
    dataset_digest: str
    protocol: dict[str, Any]
    fold: str
    predictions_digest: str | None


@dataclass(frozen=True)
class Candidacy:
    """A version that is to take an alias, and the alias as it stood when that was looked at."""

    model_id: str
    alias: str
    candidate: Entrant
    incumbent: Entrant | None
    revision: int | None  # of the alias; null: there is none yet


@dataclass(frozen=True)
class _Why:
    """Who changes an alias, with which key, and why."""

    actor: str
    bearer: Bearer | None
    reason: str | None
    forced: bool = False
    gate: Gate | None = None


def get_alias(session: Session, name: str, alias: str, *, tenant: str = TENANT) -> ModelAlias:
    """One alias of a model. Raises NotFound."""
    found = _alias(session, registry.get(session, name, tenant=tenant).model.id, alias)
    if found is None:
        raise NotFound("alias", f"{alias} of model {name}")
    return found


def consider(session: Session, name: str, alias: str, version: int, *, tenant: str = TENANT) -> Candidacy:
    """What a promotion would do. Raises NotFound: no such model or version."""
    candidate = registry.resolve(session, name, version=version, tenant=tenant)
    standing = _alias(session, candidate.model_id, alias)
    incumbent = None
    if standing is not None:
        incumbent = _entrant(session, registry.resolve(session, name, version=standing.version, tenant=tenant))
    revision = standing.revision if standing is not None else None
    return Candidacy(candidate.model_id, alias, _entrant(session, candidate), incumbent, revision)


def _entrant(session: Session, version: ModelVersion) -> Entrant:
    found = select(Job.spec, Run.fold, Run.predictions_digest).join(Run, Run.job_id == Job.id)
    spec, fold, digest = session.execute(found.where(Run.id == version.run_id)).one()
    tested = version.metrics.get("test") or {}
    scored = Scored(version=version.version, accuracy=tested.get("accuracy"), n=tested.get("n"))
    return Entrant(version.version, scored, version.dataset_digest, spec["protocol"], fold, digest)


def judge(candidacy: Candidacy, stored: Stored) -> Gate:
    """Whether the candidate is at least as often right as the incumbent, on the same test recordings.

    By what both said of every recording if that is stored; else by the accuracies they were registered with. What was
    tested on other data or otherwise cannot be judged, and does not pass.
    """
    candidate, incumbent = candidacy.candidate, candidacy.incumbent
    if incumbent is None:
        return Gate(passed=True, by="no_incumbent", detail="the alias is new", candidate=candidate.scored)
    if (reason := _obstacle(candidate, incumbent)) is not None:
        return _not_comparable(candidate, incumbent, reason)
    said = [entrant.predictions_digest and stored(entrant.predictions_digest) for entrant in (candidate, incumbent)]
    if said[0] and said[1]:
        return _paired(candidate, incumbent, said[0], said[1])
    return _stated(candidate, incumbent)


def _obstacle(candidate: Entrant, incumbent: Entrant) -> str | None:
    if candidate.dataset_digest != incumbent.dataset_digest:
        return "they were trained and tested on different data"
    if candidate.protocol != incumbent.protocol:
        return f"one was tested under protocol {candidate.protocol}, the other under {incumbent.protocol}"
    if candidate.fold != incumbent.fold:
        return f"one was tested on fold {candidate.fold!r}, the other on {incumbent.fold!r}"
    return None


def _not_comparable(candidate: Entrant, incumbent: Entrant, reason: str) -> Gate:
    detail = f"version {candidate.version} cannot be compared with version {incumbent.version}: {reason}"
    return Gate(
        passed=False, by="not_comparable", detail=detail, candidate=candidate.scored, incumbent=incumbent.scored
    )


def _paired(candidate: Entrant, incumbent: Entrant, said: Predictions, said_before: Predictions) -> Gate:
    try:
        found = compare({0: said}, {0: said_before})
    except NotComparable as unlike:
        return _not_comparable(candidate, incumbent, str(unlike))
    (pair,) = found.seeds
    now = Scored(version=candidate.version, accuracy=pair.accuracy_a, n=found.n)
    before = Scored(version=incumbent.version, accuracy=pair.accuracy_b, n=found.n)
    return Gate(
        passed=pair.only_a >= pair.only_b,
        by="paired",
        detail=f"{_figures(now, before)}; {pair.only_a} only the first has right, {pair.only_b} only the second",
        candidate=now,
        incumbent=before,
        only_candidate=pair.only_a,
        only_incumbent=pair.only_b,
        p=pair.p,
    )


def _stated(candidate: Entrant, incumbent: Entrant) -> Gate:
    now, before = candidate.scored, incumbent.scored
    if now.accuracy is None or before.accuracy is None:
        return _not_comparable(candidate, incumbent, "no test score of one of them is known")
    if now.n != before.n:
        return _not_comparable(candidate, incumbent, f"one was tested on {now.n} recordings, the other on {before.n}")
    passed = now.accuracy >= before.accuracy
    return Gate(passed=passed, by="stated", detail=_figures(now, before), candidate=now, incumbent=before)


def _figures(now: Scored, before: Scored) -> str:
    first, second = (f"version {each.version} has {each.accuracy:.1%}" for each in (now, before))
    return f"{first} of {now.n} test recordings right, {second}"


def promote(
    session: Session,
    candidacy: Candidacy,
    gate: Gate,
    *,
    actor: str,
    bearer: Bearer | None = None,
    reason: str | None = None,
    force: bool = False,
) -> ModelAlias:
    """Moves the alias, if it still stands where it stood when the gate was asked; all in this transaction.

    An alias that names the version already stays as it is, and its history too.

    Raises:
        AliasMoved: it was moved, made or deleted since.
        GateRefused: the gate does not let the version pass, and nobody forces it.
    """
    model = locked(session, candidacy.model_id)
    standing = _alias(session, candidacy.model_id, candidacy.alias)
    if (standing.revision if standing is not None else None) != candidacy.revision:
        raise AliasMoved(f"alias {candidacy.alias!r} was changed meanwhile; read it again")
    version = candidacy.candidate.version
    if session.get(ModelVersion, (model.id, version)) is None:
        raise NotFound("model", f"{model.name} version {version}")
    if standing is not None and standing.version == version:
        return standing
    if not gate.passed and not force:
        remedy = "`force` with a `reason` promotes it all the same"
        raise GateRefused(f"{gate.detail}; {remedy}", gate.model_dump(mode="json"))
    forced = force and not gate.passed
    why = _Why(actor, bearer, reason, forced=forced, gate=gate)
    _note(session, model, candidacy.alias, standing, version, why)
    if standing is None:
        standing = ModelAlias(model_id=model.id, alias=candidacy.alias, version=version, revision=model.revision)
        session.add(standing)
    else:
        standing.version, standing.revision, standing.updated_at = version, model.revision, db_now()
    session.flush()
    return standing


def remove(
    session: Session,
    name: str,
    alias: str,
    *,
    revision: int | None,
    actor: str,
    bearer: Bearer | None = None,
    reason: str | None = None,
    tenant: str = TENANT,
) -> None:
    """Deletes an alias; what it named stays. `revision` null: whatever it names.

    Raises:
        NotFound: there is none.
        AliasMoved: it does not stand at `revision`.
    """
    model = locked(session, get_alias(session, name, alias, tenant=tenant).model_id)
    standing = _alias(session, model.id, alias)
    if standing is None or revision not in {None, standing.revision}:
        raise AliasMoved(f"alias {alias!r} was changed meanwhile; read it again")
    drop(session, model, standing, actor=actor, bearer=bearer, reason=reason)


def drop(
    session: Session,
    model: Model,
    standing: ModelAlias,
    *,
    actor: str,
    bearer: Bearer | None = None,
    reason: str | None,
) -> None:
    """Deletes an alias of a locked model, and notes it."""
    _note(session, model, standing.alias, standing, None, _Why(actor, bearer, reason))
    session.delete(standing)
    session.flush()


def repeated(session: Session, candidacy: Candidacy, *, before: int, actor: str) -> bool:
    """Whether the alias's last change is what this request asks for again: its answer was lost on the way."""
    if candidacy.revision is None or candidacy.incumbent is None:
        return False
    last = session.get(AliasChange, (candidacy.model_id, candidacy.revision))
    return (
        last is not None
        and (last.before, last.actor) == (before, actor)
        and last.to_version == candidacy.candidate.version
    )


def history(
    session: Session, name: str, *, limit: int = 50, cursor: str | None = None, tenant: str = TENANT
) -> Page[AliasChange]:
    """What happened to the aliases of a model, newest first. Raises NotFound, BadCursor."""
    model = registry.get(session, name, tenant=tenant).model
    filters = {"list": "history", "model": model.id}
    found = select(AliasChange).where(AliasChange.model_id == model.id)
    if cursor is not None:
        (last,) = paging.decode(cursor, filters, (int,))
        found = found.where(AliasChange.revision < last)
    rows = session.scalars(found.order_by(AliasChange.revision.desc()).limit(limit + 1)).all()
    return paging.cut(rows, lambda row: (row.revision,), filters, limit=limit)


def locked(session: Session, model_id: str) -> Model:
    """The model's row, locked until the commit: of two changes the second sees the first."""
    found = select(Model).where(Model.id == model_id).with_for_update(key_share=True)
    model = session.scalars(found, execution_options={"populate_existing": True}).one_or_none()
    if model is None:
        raise NotFound("model", model_id)
    return model


def _alias(session: Session, model_id: str, alias: str) -> ModelAlias | None:
    found = select(ModelAlias).where(ModelAlias.model_id == model_id, ModelAlias.alias == alias)
    return session.scalars(found, execution_options={"populate_existing": True}).one_or_none()


def _note(
    session: Session,
    model: Model,
    alias: str,
    standing: ModelAlias | None,
    version: int | None,
    why: _Why,
) -> None:
    """The change in the history, and for MLflow if it knows any version of the model."""
    model.revision += 1
    session.add(
        AliasChange(
            model_id=model.id,
            revision=model.revision,
            alias=alias,
            from_version=standing.version if standing is not None else None,
            to_version=version,
            before=standing.revision if standing is not None else None,
            actor=why.actor,
            key_prefix=why.bearer.prefix if why.bearer is not None else None,
            key_name=why.bearer.name if why.bearer is not None else None,
            reason=why.reason,
            forced=why.forced,
            gate=why.gate.model_dump(mode="json") if why.gate is not None else None,
        )
    )
    of_model = select(ModelVersion.run_id).where(ModelVersion.model_id == model.id)
    if session.scalar(select(exists().where(Run.id.in_(of_model), Run.tracking_id.is_not(None)))):
        run_id = session.scalar(of_model.where(ModelVersion.version == version)) if version is not None else None
        payload = {"op": "alias", "name": registry.tracked_name(model), "alias": alias, "run_id": run_id}
        outbox.add(session, "mlflow", model.id, payload)
    session.flush()
