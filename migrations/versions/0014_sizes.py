"""What objects take, and when what an ended job had left behind was removed."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_UNMEASURED = sa.text(
    "(checkpoint_digest IS NOT NULL AND checkpoint_bytes IS NULL)"
    " OR (predictions_digest IS NOT NULL AND predictions_bytes IS NULL)"
)
_STORED = ["tenant", "checkpoint_bytes", "predictions_bytes", "bundle_bytes"]


def upgrade() -> None:
    for name in ("upload_bytes", "tree_bytes"):
        op.add_column("dataset", sa.Column(name, sa.BigInteger(), nullable=True))
    for name in ("checkpoint_bytes", "predictions_bytes"):
        op.add_column("run", sa.Column(name, sa.BigInteger(), nullable=True))
    for name in ("checkpoints_removed_at", "curves_removed_at", "events_removed_at"):
        op.add_column("job", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_run_stored", "run", _STORED, unique=False)
    op.create_index(
        "ix_run_unmeasured",
        "run",
        ["tenant", "id"],
        unique=False,
        sqlite_where=_UNMEASURED,
        postgresql_where=_UNMEASURED,
    )
