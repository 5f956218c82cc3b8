"""Recordings that are labelled while nobody waits, as answered."""

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from api.schemas.classify import ServedModel
from api.schemas.common import Out
from pskd_core.long import LongOverview, Reading
from store.lifecycle import ClassificationState
from store.timelines import Classification


class Place(Out):
    """Where in a file it is that cannot be read; null where that cannot be told."""

    file: str | None = None
    row: int | None = None
    column: str | None = None


class LongSummary(Out):
    """A long classification in a list."""

    id: str
    state: ClassificationState
    filename: str = Field(description="of the recording")
    model: str
    version: int
    progress: float = Field(ge=0, le=1, description="part of the work that is done: reading, then labelling")
    cause: str | None = Field(description="`data`, `out_of_memory`, `quota`, `worker_lost`, `internal`")
    detail: str | None = Field(description="why it failed")
    place: Place | None = Field(description="where the file is at fault; null if it is not")
    created_at: datetime
    started_at: datetime | None = Field(description="the last time that a worker began")
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Classification) -> Self:
        """One as it stands."""
        return cls(**_fields(row))


class LongFound(LongOverview):
    """What a long recording shows as a whole."""

    model: ServedModel = Field(description="which model says so")


class LongDetail(LongSummary):
    """A long classification with what was found; its segments and windows are read at addresses of their own."""

    reading: Reading = Field(description="how the recording is read and labelled")
    overview: LongFound | None = Field(description="what was understood and found; null until it has succeeded")

    @classmethod
    def of(cls, row: Classification) -> Self:
        """One as it stands."""
        overview = row.overview
        if overview is not None:
            overview = overview | {"model": {**overview["model"], "name": row.model, "version": row.version}}
        return cls(**_fields(row), reading=row.reading, overview=overview)


def _fields(row: Classification) -> dict[str, Any]:
    same = LongSummary.model_fields.keys() - {"progress", "place"}
    return {name: getattr(row, name) for name in same} | {"progress": row.fraction, "place": row.place}
