"""The leaderboard: figures of every configuration, kept up as runs succeed, read with a constant number of queries."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal, assert_never

from sqlalchemy import ColumnElement, Select, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from pskd_core.config import Distill, JobSpec, NamedProtocol, NoTeachers
from pskd_core.data.columnar import SKELETON
from pskd_core.evaluation.metrics import OF_LOGITS, spread
from store import paging
from store.base import db_now, upsert
from store.errors import Conflict, NotFound
from store.models import TENANT, Configuration, ConfigurationResult, Dataset, Job, Run
from store.paging import Page
from store.seedstats import Tested, complete_seeds, over_subjects

Sort = Literal[
    "-accuracy", "accuracy", "-macro_f1", "macro_f1", "-parameters", "parameters", "-macs", "macs", "-bundle_bytes",
    "bundle_bytes", "-latency_ms", "latency_ms",
]  # fmt: skip
FURTHER = ("weighted_f1", *OF_LOGITS)  # figures that stand in a row's `figures`, by which nobody sorts
_TESTED = [field.name for field in fields(Tested)]
_Figure = InstrumentedAttribute[float | None]
_FIGURES: Mapping[str, _Figure | InstrumentedAttribute[int | None]] = {
    "accuracy": Configuration.accuracy_mean,
    "macro_f1": Configuration.macro_f1_mean,
    "parameters": Configuration.parameters,
    "macs": Configuration.macs,
    "bundle_bytes": Configuration.bundle_bytes,
    "latency_ms": Configuration.latency_ms,
}


def protocol_name(spec: JobSpec) -> str:
    """How tables name the split: a named one by its name, else by its kind."""
    return spec.protocol.name if isinstance(spec.protocol, NamedProtocol) else spec.protocol.kind


def method_name(spec: JobSpec) -> str:
    """How tables name the method: `none`, or the kind of the distillation loss."""
    match spec.method:
        case NoTeachers():
            return "none"
        case Distill():
            return spec.method.loss.kind
        case _ as never:
            assert_never(never)


def skeleton_substitute(spec: JobSpec, dataset: Dataset) -> str | None:
    """What a network of the job reads in the place of the dataset's own skeleton; null if none does."""
    return (dataset.report or {}).get("skeleton_substitute") if SKELETON in spec.streams else None


def record(session: Session, run: Run, job: Job, dataset: Dataset, tested: Tested, *, latency_ms: float | None) -> None:
    """Counts a run's test towards its configuration, in the transaction that finishes the run.

    Invariant: a repeat of (configuration, seed, fold) counts once, the first stays; the configuration's row is locked
    while its figures are computed, so that of two runs that finish together the second sees both.
    """
    configuration = _locked_configuration(session, job, dataset)
    result = {"seed": run.seed, "fold": run.fold, "run_id": run.id, **vars(tested)}
    insert = upsert(session, ConfigurationResult).values(configuration_id=configuration.id, **result)
    session.execute(insert.on_conflict_do_nothing(index_elements=["configuration_id", "seed", "fold"]))
    cost = run.result or {}
    configuration.parameters, configuration.macs = cost.get("parameters"), cost.get("macs")
    configuration.bundle_bytes, configuration.latency_ms = run.bundle_bytes, latency_ms
    refresh(session, configuration)


def configuration_id(job: Job, dataset: Dataset) -> str:
    """The row that a job's results count for."""
    identity = f"{job.tenant}\n{job.configuration_hash}\n{dataset.content_digest}"
    return hashlib.sha256(identity.encode()).hexdigest()


def _locked_configuration(session: Session, job: Job, dataset: Dataset) -> Configuration:
    spec, id_ = JobSpec.model_validate(job.spec), configuration_id(job, dataset)
    tested_folds = select(Run.fold).where(Run.job_id == job.id, Run.n_test > 0, Run.seed == spec.seeds[0])
    insert = upsert(session, Configuration).values(
        id=id_,
        tenant=job.tenant,
        configuration_hash=job.configuration_hash,
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        dataset_digest=dataset.content_digest,
        spec=job.spec,
        protocol=protocol_name(spec),
        method=method_name(spec),
        skeleton_substitute=skeleton_substitute(spec, dataset),
        folds=session.scalars(tested_folds.order_by(Run.fold_index)).all(),
    )
    # Written also if it is there, which locks it: a row that is just being deleted is made anew.
    session.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"updated_at": db_now()}))
    locked = select(Configuration).where(Configuration.id == id_).with_for_update(key_share=True)
    return session.scalars(locked, execution_options={"populate_existing": True}).one()


def refresh(session: Session, configuration: Configuration) -> None:
    """Computes a configuration's figures anew from its results."""
    rows = session.scalars(select(ConfigurationResult).where(ConfigurationResult.configuration_id == configuration.id))
    results = {(row.seed, row.fold): tested_of(row) for row in rows}
    seeds = complete_seeds(results, configuration.folds)
    configuration.n_seeds = len(seeds)
    configuration.n_incomplete_seeds = len({seed for seed, _ in results}) - len(seeds)
    configuration.updated_at = db_now()
    configuration.n_test = seeds[0].n if seeds else None
    for name in ("accuracy", "macro_f1"):
        for part, value in _figures([getattr(seed, name) for seed in seeds]).items():
            setattr(configuration, f"{name}_{part}", value)
    configuration.figures = further_figures(seeds)
    subjects = over_subjects(seeds) if seeds else None
    configuration.n_subjects = subjects.n if subjects else None
    interval = (subjects.interval_95 if subjects else None) or (None, None)
    configuration.accuracy_subjects_low, configuration.accuracy_subjects_high = interval
    session.flush()


def tested_of(result: ConfigurationResult) -> Tested:
    """What the test of one seed and fold gave."""
    return Tested(**{name: getattr(result, name) for name in _TESTED})


def further_figures(seeds: Sequence[Tested]) -> dict[str, dict[str, float | None]]:
    """Columns of each figure by which nobody sorts; those that a seed does not tell are left out."""
    of_seeds = {name: [getattr(seed, name) for seed in seeds] for name in FURTHER}
    return {name: _figures(values) for name, values in of_seeds.items() if values and None not in values}


def _figures(of_seeds: Sequence[float]) -> dict[str, float | None]:
    """Columns of one figure; null without seeds, which a row may lose with the jobs that are deleted."""
    if not of_seeds:
        return dict.fromkeys(("mean", "sd", "low", "high"))
    figures = spread(of_seeds)
    low, high = figures.interval_95 or (None, None)
    return {"mean": figures.mean, "sd": figures.sd, "low": low, "high": high}


def rows(
    session: Session,
    *,
    tenant: str = TENANT,
    dataset: str | None = None,
    protocol: str | None = None,
    method: str | None = None,
    sort: Sort = "-accuracy",
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Configuration]:
    """Rows by `sort` (leading minus: highest first); those without that figure come last.

    `dataset` is an id, a name or a content digest.

    Raises:
        BadCursor: the cursor is damaged or of another query.
    """
    filters = {"list": "leaderboard", "dataset": dataset, "protocol": protocol, "method": method, "sort": sort}
    figure = _FIGURES[sort.removeprefix("-")]
    statement = select(Configuration).where(Configuration.tenant == tenant, *_matching(dataset, protocol, method))
    after = paging.decode(cursor, filters, (float, str)) if cursor is not None else None
    # Two queries, each in the order of an index, instead of one that sorts every row for its nulls.
    found = _ranked(session, statement, figure, after, highest_first=sort.startswith("-"), limit=limit + 1)
    if len(found) <= limit:
        found += _unranked(session, statement, figure, after, limit=limit + 1 - len(found))
    return paging.cut(found, lambda row: (getattr(row, figure.key), row.id), filters, limit=limit)


def _matching(dataset: str | None, protocol: str | None, method: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if dataset is not None:
        names = (Configuration.dataset_id, Configuration.dataset_name, Configuration.dataset_digest)
        conditions.append(or_(*(name == dataset for name in names)))
    if protocol is not None:
        conditions.append(Configuration.protocol == protocol)
    if method is not None:
        conditions.append(Configuration.method == method)
    return conditions


def _ranked(
    session: Session,
    statement: Select[Configuration],
    figure: _Figure,
    after: paging.Key | None,
    *,
    highest_first: bool,
    limit: int,
) -> list[Configuration]:
    if after is not None and after[0] is None:
        return []  # the page begins among the unranked
    ranked = statement.where(figure.is_not(None))
    place = tuple_(figure, Configuration.id)
    if after is not None:
        ranked = ranked.where(place < after if highest_first else place > after)
    # By columns, not by `place`: PostgreSQL has no index order for a row value.
    columns: tuple[ColumnElement[Any] | InstrumentedAttribute[Any], ...] = (figure, Configuration.id)
    order = [column.desc() if highest_first else column.asc() for column in columns]
    return list(session.scalars(ranked.order_by(*order).limit(limit)))


def _unranked(
    session: Session,
    statement: Select[Configuration],
    figure: _Figure,
    after: paging.Key | None,
    *,
    limit: int,
) -> list[Configuration]:
    unranked = statement.where(figure.is_(None))
    if after is not None and after[0] is None:
        unranked = unranked.where(Configuration.id > after[1])
    return list(session.scalars(unranked.order_by(Configuration.id).limit(limit)))


def get(session: Session, configuration_id: str, *, tenant: str = TENANT) -> Configuration:
    """One row, by its id or the beginning of it.

    Raises:
        NotFound: no row's id begins so.
        Conflict: several do.
    """
    # Ids are hexadecimal, so all that begin with these letters lie between them and a "g": a range of the index.
    begins = Configuration.id.between(configuration_id, configuration_id + "g")
    rows = session.scalars(select(Configuration).where(begins, Configuration.tenant == tenant).limit(2)).all()
    if not rows:
        raise NotFound("row of the leaderboard", configuration_id)
    if len(rows) > 1:
        raise Conflict(f"several rows have an id that begins with {configuration_id!r}; give more of it")
    return rows[0]


def results(session: Session, configuration: Configuration) -> Sequence[ConfigurationResult]:
    """What a row's figures are made of: its tests, in order of seed and fold."""
    of_row = select(ConfigurationResult).where(ConfigurationResult.configuration_id == configuration.id)
    return session.scalars(of_row.order_by(ConfigurationResult.seed, ConfigurationResult.fold)).all()
