"""More figures of a row: weighted F1, top 5, calibration error, the paper's F, and the latency of one window."""

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from alembic import op

from store.leaderboard import further_figures
from store.seedstats import Tested, complete_seeds

revision = "0016"
down_revision = "0015"

_JSON = sa.JSON(none_as_null=True)
_NEW = ("top5_accuracy", "ece", "paper_f")

run = sa.table("run", sa.column("id"), sa.column("report", _JSON))
configuration = sa.table("configuration", sa.column("id"), sa.column("folds", _JSON), sa.column("figures", _JSON))
result = sa.table(
    "configuration_result",
    *map(sa.column, ("configuration_id", "seed", "fold", "run_id", "accuracy", "macro_f1", "n", *_NEW)),
    sa.column("confusion", _JSON),
)


def upgrade() -> None:
    for name in _NEW:
        op.add_column("configuration_result", sa.Column(name, sa.Double(), nullable=True))
    op.add_column("configuration", sa.Column("figures", _JSON, nullable=False, server_default="{}"))
    op.add_column("configuration", sa.Column("latency_ms", sa.Double(), nullable=True))
    op.create_index("ix_configuration_latency_ms", "configuration", ["tenant", "latency_ms", "id"], unique=False)
    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    """Old results get theirs from the reports of their runs, since a repeat of them would not count."""
    found = sa.select(result, run.c.report["test"].label("test")).join_from(result, run, run.c.id == result.c.run_id)
    known: dict[str, dict[tuple[int, str], Tested]] = defaultdict(dict)
    for row in connection.execute(found).all():
        new = {name: _of(row.test, name) for name in _NEW}
        tested = Tested(row.accuracy, row.macro_f1, row.n, row.confusion, None, **new)
        known[row.configuration_id][row.seed, row.fold] = tested
        key = (result.c.configuration_id == row.configuration_id, result.c.seed == row.seed)
        connection.execute(result.update().where(*key, result.c.fold == row.fold).values(**new))
    for id_, folds in connection.execute(sa.select(configuration.c.id, configuration.c.folds)).all():
        figures = further_figures(complete_seeds(known[id_], folds))
        connection.execute(configuration.update().where(configuration.c.id == id_).values(figures=figures))


def _of(reported: Any, name: str) -> float | None:
    return reported.get(name) if isinstance(reported, dict) else None
