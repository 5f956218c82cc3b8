"""What a tenant has stored, as answered."""

from typing import Self

from pydantic import Field

from api.schemas.common import Out
from store.usage import Usage


class KeptOut(Out):
    """All of one kind."""

    count: int
    size_bytes: int
    unmeasured: int = Field(
        description="objects of an older version whose size is not known yet; they count as 0 bytes"
    )


class UsageOut(Out):
    """What a tenant has stored, and may."""

    kinds: dict[str, KeptOut] = Field(
        description="`datasets` (uploads and files), `model_versions`, `runs` (predictions, students that are no "
        "version), `checkpoints`, `jobs`, `sweeps`, `classifications` (recordings that wait, timelines); an "
        "object counts under one kind, once for each row that names it"
    )
    size_bytes: int = Field(description="of all kinds")
    unmeasured: int
    limit_bytes: int | None = Field(description="null: there is none")
    left_bytes: int | None
    cached_bytes: int = Field(description="kept answers of teachers, which go by themselves and count for no limit")

    @classmethod
    def of(cls, found: Usage, *, limit_bytes: int | None) -> Self:
        """What was found, beside the limit."""
        return cls(
            kinds={name: KeptOut.model_validate(kept) for name, kept in found.kinds.items()},
            size_bytes=found.size_bytes,
            unmeasured=found.unmeasured,
            limit_bytes=limit_bytes,
            left_bytes=None if limit_bytes is None else max(limit_bytes - found.size_bytes, 0),
            cached_bytes=found.cached_bytes,
        )
