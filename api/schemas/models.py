"""Registered models and their versions, as answered."""

from datetime import datetime
from typing import Self

from api.schemas.common import Json, Out, Paged
from store.models import ModelVersion
from store.registry import RegisteredModel


class ModelVersionSummary(Out):
    """One registered student."""

    version: int
    run_id: str
    dataset_name: str
    dataset_digest: str
    protocol: str
    bundle_digest: str
    bundle_bytes: int
    metrics: Json
    created_at: datetime


class ModelSummary(Out):
    """A model in a list."""

    name: str
    created_at: datetime
    aliases: dict[str, int]
    latest: ModelVersionSummary | None

    @classmethod
    def of(cls, registered: RegisteredModel, latest: ModelVersion | None) -> Self:
        """A model with its newest version."""
        return cls(
            name=registered.model.name,
            created_at=registered.model.created_at,
            aliases=registered.aliases,
            latest=None if latest is None else ModelVersionSummary.model_validate(latest),
        )


class ModelDetail(Paged[ModelVersionSummary]):
    """A model with a page of its versions, newest first."""

    name: str
    created_at: datetime
    aliases: dict[str, int]


class ModelVersionDetail(ModelVersionSummary):
    """One registered student, and where it comes from."""

    name: str
    aliases: tuple[str, ...]
    job_id: str
    seed: int
    fold: str
    classes: tuple[str, ...]
    inputs: tuple[str, ...]
    spec: Json
