"""Workers that have been seen, deadlines, how long runs have run, and claims that share alike between tenants."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_CLAIMABLE = sa.text("state IN ('queued', 'retrying')")
_RUNNING = sa.text("state = 'running'")
_SERVED = sa.text("claimed_at IS NOT NULL")
_WAITING = sa.text("state IN ('validating', 'queued')")


def upgrade() -> None:
    op.create_table(
        "worker_seen",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("queues", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("devices", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("runs_at_once", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker_seen")),
    )
    op.add_column("run", sa.Column("deadline_s", sa.Double(), nullable=True))
    op.add_column("run", sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("run", sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("run", sa.Column("ran_s", sa.Double(), nullable=False, server_default="0"))
    op.add_column("run", sa.Column("last_end", sa.Text(), nullable=True))
    op.drop_index("ix_run_claim", "run")
    claim_order = ["device", "tenant", "rank", "created_at", "job_id", "position"]
    _partial("ix_run_claim", "run", claim_order, _CLAIMABLE)
    _partial("ix_run_running", "run", ["tenant"], _RUNNING)
    _partial("ix_run_served", "run", ["tenant", "claimed_at"], _SERVED)
    _partial("ix_job_waiting", "job", ["tenant"], _WAITING)


def _partial(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)
