"""What each test subject had right, the interval over subjects that follows, and leaderboards by cost."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from pskd_core.evaluation.metrics import subject_interval_95

revision = "0003"
down_revision = "0002"

_COSTS = ("parameters", "macs", "bundle_bytes")
_JSON = sa.JSON(none_as_null=True)

run = sa.table("run", sa.column("id"), sa.column("report", _JSON))
configuration = sa.table(
    "configuration",
    sa.column("id"),
    sa.column("folds", _JSON),
    *map(sa.column, ("n_subjects", "accuracy_subjects_low", "accuracy_subjects_high")),
)
result = sa.table(
    "configuration_result",
    *map(sa.column, ("configuration_id", "seed", "fold", "run_id")),
    sa.column("subjects", _JSON),
)

Subjects = dict[str, list[int]]  # [right, recordings] of each


def upgrade() -> None:
    op.add_column("configuration_result", sa.Column("subjects", _JSON, nullable=True))
    op.add_column("configuration", sa.Column("n_subjects", sa.Integer(), nullable=True))
    op.add_column("configuration", sa.Column("accuracy_subjects_low", sa.Double(), nullable=True))
    op.add_column("configuration", sa.Column("accuracy_subjects_high", sa.Double(), nullable=True))
    for cost in _COSTS:
        op.create_index(f"ix_configuration_{cost}", "configuration", ["tenant", cost, "id"], unique=False)
    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    """Old results get their subjects from the reports of their runs, since a repeat of them would not count."""
    reported = run.c.report["test"]["per_subject"].label("reported")
    columns = (result.c.configuration_id, result.c.seed, result.c.fold, reported)
    known: dict[str, dict[int, dict[str, Subjects | None]]] = {}
    for row in connection.execute(sa.select(*columns).join_from(result, run, run.c.id == result.c.run_id)).all():
        subjects = _subjects(row.reported)
        known.setdefault(row.configuration_id, {}).setdefault(row.seed, {})[row.fold] = subjects
        if subjects is not None:
            key = (result.c.configuration_id == row.configuration_id, result.c.seed == row.seed)
            connection.execute(result.update().where(*key, result.c.fold == row.fold).values(subjects=subjects))
    for id_, folds in connection.execute(sa.select(configuration.c.id, configuration.c.folds)).all():
        figures = _figures(list(known.get(id_, {}).values()), folds)
        connection.execute(configuration.update().where(configuration.c.id == id_).values(**figures))


def _subjects(reported: dict[str, Any] | None) -> Subjects | None:
    if not reported:
        return None
    return {name: [round(each["accuracy"] * each["n"]), each["n"]] for name, each in reported.items()}


def _figures(seeds: list[dict[str, Subjects | None]], folds: list[str]) -> dict[str, Any]:
    """Of a row's seeds that have all folds, if each of them tells its subjects apart."""
    tested = [seed[fold] for seed in seeds if seed.keys() >= set(folds) for fold in folds]
    pooled: dict[str, tuple[int, int]] = {}
    for subjects in tested:
        if subjects is None:
            return {"n_subjects": None}
        for name, (right, n) in subjects.items():
            before = pooled.get(name, (0, 0))
            pooled[name] = (before[0] + right, before[1] + n)
    if not pooled:
        return {"n_subjects": None}
    low, high = subject_interval_95(*zip(*pooled.values(), strict=True)) or (None, None)
    return {"n_subjects": len(pooled), "accuracy_subjects_low": low, "accuracy_subjects_high": high}
