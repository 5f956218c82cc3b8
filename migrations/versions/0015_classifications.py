"""Long recordings that are labelled while nobody waits."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_OPEN = sa.text("state IN ('queued', 'running', 'cancelling')")


def upgrade() -> None:
    json, time = sa.JSON(none_as_null=True), sa.DateTime(timezone=True)
    op.create_table(
        "classification",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("upload_digest", sa.Text(), nullable=True),
        sa.Column("upload_bytes", sa.BigInteger(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("bundle_digest", sa.Text(), nullable=True),
        sa.Column("reading", json, nullable=False),
        sa.Column("fraction", sa.Double(), nullable=False),
        sa.Column("overview", json, nullable=True),
        sa.Column("segments_digest", sa.Text(), nullable=True),
        sa.Column("segments_bytes", sa.BigInteger(), nullable=True),
        sa.Column("windows_digest", sa.Text(), nullable=True),
        sa.Column("windows_bytes", sa.BigInteger(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("place", json, nullable=True),
        sa.Column("created_at", time, nullable=False),
        sa.Column("started_at", time, nullable=True),
        sa.Column("finished_at", time, nullable=True),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", time, nullable=True),
        sa.Column("queued_at", time, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("stalled_attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_classification")),
    )
    op.create_index(op.f("ix_classification_tenant_id"), "classification", ["tenant", "id"], unique=False)
    op.create_index(
        "ix_classification_open", "classification", ["id"], unique=False, sqlite_where=_OPEN, postgresql_where=_OPEN
    )
