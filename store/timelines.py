"""The table of recordings that are labelled while nobody waits, and of their timelines."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, db_now, new_id
from store.lifecycle import ClassificationState
from store.models import TENANT, Claimable, Large, partial_index


class Classification(Claimable, Base):
    """A recording that is to be labelled, or has been; the labelling is what workers claim.

    Invariant: the recording and the bundle are named until the labelling has ended, and no longer.
    """

    __tablename__ = "classification"

    id: Mapped[str] = mapped_column(primary_key=True, insert_default=lambda: new_id("cls"))
    tenant: Mapped[str] = mapped_column(default=TENANT)
    state: Mapped[ClassificationState] = mapped_column(default=ClassificationState.QUEUED)
    filename: Mapped[str]  # of the recording, as its owner knows it
    upload_digest: Mapped[str | None]  # the recording in the object store
    upload_bytes: Mapped[Large | None]
    model: Mapped[str]  # its name
    version: Mapped[int]
    bundle_digest: Mapped[str | None]  # of that version, which may be deleted meanwhile
    reading: Mapped[dict[str, Any]]  # how it is read and labelled: `pskd_core.long.Reading`
    fraction: Mapped[float] = mapped_column(default=0.0)  # done by the last attempt
    overview: Mapped[dict[str, Any] | None]  # `pskd_core.long.LongOverview`
    segments_digest: Mapped[str | None]  # a segment a line, in the object store
    segments_bytes: Mapped[Large | None]
    windows_digest: Mapped[str | None]  # a window a line
    windows_bytes: Mapped[Large | None]
    cause: Mapped[str | None]
    detail: Mapped[str | None]
    place: Mapped[dict[str, Any] | None]  # file, row and column of what cannot be read
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    started_at: Mapped[datetime | None]  # the last time
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index(None, "tenant", "id"),
        partial_index("ix_classification_open", "id", where="state IN ('queued', 'running', 'cancelling')"),
    )
