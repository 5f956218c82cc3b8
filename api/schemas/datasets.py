"""Datasets and their recordings, as they are asked for and answered."""

from datetime import datetime
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator

from api.schemas.common import Json, Out
from pskd_core.data.importing import ImportReport
from pskd_core.data.synthetic import SyntheticSource
from pskd_core.fields import Frozen
from store.lifecycle import DatasetState
from store.models import Dataset

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f/]+$")]


class PathSource(Frozen):
    """A folder or zip that the server can read; only where its operator allows it."""

    kind: Literal["path"]
    path: str = Field(min_length=1, max_length=4096, description="absolute")

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        if not PurePath(path).is_absolute():
            raise ValueError("must be absolute: the worker that reads it may have another working folder")
        return path


class UploadName(Frozen):
    """What an uploaded dataset is called."""

    name: Name


class ImportRequest(Frozen):
    """Asks for a dataset from something other than an upload."""

    name: Name
    source: Annotated[SyntheticSource | PathSource, Field(discriminator="kind")]


class DatasetSummary(Out):
    """A dataset in a list."""

    id: str
    name: str
    state: DatasetState
    cause: str | None
    detail: str | None = Field(description="why the import failed")
    created_at: datetime
    recordings: int | None = Field(description="null until it is ready")
    digest: str | None = Field(description="of the content; equal content has an equal digest")

    @classmethod
    def of(cls, row: Dataset) -> Self:
        """A dataset as it stands."""
        return cls(**_dataset_fields(row))


class DatasetDetail(DatasetSummary):
    """A dataset with what its import found."""

    source: Json
    report: ImportReport | None = Field(description="classes, subjects, protocols with their sizes, problems")

    @classmethod
    def of(cls, row: Dataset) -> Self:
        """A dataset as it stands."""
        return cls(**_dataset_fields(row), source=row.source, report=row.report)


def _dataset_fields(row: Dataset) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "state": row.state,
        "cause": row.cause,
        "detail": row.detail,
        "created_at": row.created_at,
        "recordings": row.report["recordings"] if row.report else None,
        "digest": row.content_digest,
    }


class StreamSummary(Out):
    """How much of one stream a recording has."""

    samples: int
    rate_hz: float


class RecordingSummary(Out):
    """A recording in a list."""

    id: str
    subject: str
    trial: str
    label: str
    duration_s: float
    streams: dict[str, StreamSummary]


class Series(Out):
    """Samples of one stream, thinned to what a plot can show."""

    unit: str
    rate_hz: float = Field(description="of these samples, after thinning")
    axes: tuple[str, ...] = Field(description="what the innermost numbers are")
    t_s: tuple[float, ...]
    values: list[Any] = Field(description="(samples, axes), or (samples[, persons], joints, axes) for the skeleton")


class Skeleton(Out):
    """The graph that joins the skeleton's points."""

    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...] = Field(description="(child, parent)")


class RecordingSeries(Out):
    """One recording's series for plotting."""

    recording: RecordingSummary
    series: dict[str, Series]
    skeleton: Skeleton | None
