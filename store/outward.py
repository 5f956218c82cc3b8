"""The tables of what the service tells the world outside: figures, which monitoring reads, and webhooks."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, db_now, new_id


class Tally(Base):
    """Something that has happened `count` times; whoever counts adds a row, and the keeper folds rows into few."""

    __tablename__ = "tally"

    # SQLite numbers rows by itself only under INTEGER, which is as large there.
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    what: Mapped[str]  # of `tally.Tallied`
    label: Mapped[str]  # how it went, or to what; of few different ones
    bound_s: Mapped[float]  # each took at most so long: the bucket of a histogram; infinite where nothing is timed
    count: Mapped[int] = mapped_column(BigInteger, default=1)
    seconds: Mapped[float] = mapped_column(default=0.0)  # all of them together


class Webhook(Base):
    """Where a tenant wants to hear that its jobs have ended."""

    __tablename__ = "webhook"

    id: Mapped[str] = mapped_column(primary_key=True, insert_default=lambda: new_id("whk"))
    tenant: Mapped[str]
    url: Mapped[str]
    secret: Mapped[str]  # as it was shown, `whsec_…`: what signs must be known
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())

    __table_args__ = (Index(None, "tenant", "id"),)


class WebhookDelivery(Base):
    """One message to one webhook, due once its transaction has committed; sent at least once under one id.

    Invariant: `due_at` is null exactly when it was delivered or given up.
    """

    __tablename__ = "webhook_delivery"

    id: Mapped[str] = mapped_column(primary_key=True, insert_default=lambda: new_id("msg"))
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    kind: Mapped[str]  # "job.succeeded" | "job.failed" | "job.cancelled" | "webhook.test"
    body: Mapped[str]  # what is signed and sent, to the byte
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None] = mapped_column(insert_default=db_now())
    held_until: Mapped[datetime | None]  # somebody is sending it
    status: Mapped[int | None]  # of the last answer
    detail: Mapped[str | None]  # why the last attempt failed
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    delivered_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]  # given up

    __table_args__ = (
        Index(None, "webhook_id", "id"),
        Index(
            "ix_webhook_delivery_due",
            "webhook_id",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
    )
