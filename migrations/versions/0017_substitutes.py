"""What rows of the leaderboard say besides accuracy: whether a substitute of the skeleton was read."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_JSON = sa.JSON(none_as_null=True)
# How imports of before told of a skeleton that is not the dataset's own, and what is said now.
_SUBSTITUTES = {
    "SUBSTITUTE SKELETON": "2-D poses estimated from the dataset's video",
    "the skeleton is that of 43 optical markers": "43 optical markers in the place of joints",
}

dataset = sa.table("dataset", sa.column("id"), sa.column("report", _JSON))
configuration = sa.table(
    "configuration",
    *map(sa.column, ("id", "dataset_id", "skeleton_substitute")),
    sa.column("spec", _JSON),
)


def upgrade() -> None:
    op.add_column("configuration", sa.Column("skeleton_substitute", sa.Text(), nullable=True))
    _mark_substitutes(op.get_bind())


def _mark_substitutes(connection: sa.Connection) -> None:
    """Datasets of before say it among their problems; their rows are marked if a network reads the skeleton."""
    for id_, report in connection.execute(sa.select(dataset.c.id, dataset.c.report)).all():
        if (substitute := _substitute(report)) is None:
            continue
        said = report | {"skeleton_substitute": substitute}
        connection.execute(dataset.update().where(dataset.c.id == id_).values(report=said))
        rows = sa.select(configuration.c.id, configuration.c.spec).where(configuration.c.dataset_id == id_)
        reading = [row for row, spec in connection.execute(rows).all() if _reads_skeleton(spec)]
        marked = configuration.update().where(configuration.c.id.in_(reading))
        connection.execute(marked.values(skeleton_substitute=substitute))


def _substitute(report: dict[str, Any] | None) -> str | None:
    details = [problem["detail"] for problem in (report or {}).get("problems", ())]
    return next((said for begins, said in _SUBSTITUTES.items() if any(d.startswith(begins) for d in details)), None)


def _reads_skeleton(spec: dict[str, Any]) -> bool:
    networks = [spec["student"], *spec["method"].get("teachers", ())]
    return any("skeleton" in network["inputs"] for network in networks)
