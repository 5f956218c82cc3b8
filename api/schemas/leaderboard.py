"""Rows of the leaderboard, as answered."""

from typing import Literal, Self

from pydantic import Field

from api.schemas.common import Json, Out
from store.models import Configuration


class Statistic(Out):
    """A figure over seeds."""

    mean: float
    sd: float | None = Field(description="null with one seed, like the interval")
    low: float | None = Field(description="Student-t 95 % interval over seeds")
    high: float | None


class LeaderboardRow(Out):
    """One configuration over its seeds. Figures never stand without what they were measured on."""

    id: str
    source: Literal["measured"] = Field(description="measured here, not published elsewhere")
    dataset_id: str
    dataset_name: str
    dataset_digest: str
    protocol: str
    method: str
    n_seeds: int = Field(description="seeds with all their folds; 0 means not ranked")
    n_incomplete_seeds: int
    n_test: int | None
    accuracy: Statistic | None
    macro_f1: Statistic | None
    parameters: int | None
    macs: int | None
    bundle_bytes: int | None
    spec: Json

    @classmethod
    def of(cls, row: Configuration) -> Self:
        """A row of the leaderboard."""
        return cls(
            **{name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)},
            source="measured",
            accuracy=_statistic(row, "accuracy"),
            macro_f1=_statistic(row, "macro_f1"),
        )


def _statistic(row: Configuration, name: str) -> Statistic | None:
    if getattr(row, f"{name}_mean") is None:
        return None
    return Statistic(**{part: getattr(row, f"{name}_{part}") for part in Statistic.model_fields})
