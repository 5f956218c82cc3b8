"""What each test subject had right, the interval over subjects that follows, and leaderboards by cost."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"

_COSTS = ("parameters", "macs", "bundle_bytes")


def upgrade() -> None:
    op.add_column("configuration_result", sa.Column("subjects", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("configuration", sa.Column("n_subjects", sa.Integer(), nullable=True))
    op.add_column("configuration", sa.Column("accuracy_subjects_low", sa.Double(), nullable=True))
    op.add_column("configuration", sa.Column("accuracy_subjects_high", sa.Double(), nullable=True))
    for cost in _COSTS:
        op.create_index(f"ix_configuration_{cost}", "configuration", ["tenant", cost, "id"], unique=False)
