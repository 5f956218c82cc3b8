"""Registered models and their versions, as answered."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from api.schemas.common import Json, Out, Paged
from pskd_core.fields import Frozen
from store.models import ModelVersion
from store.promotion import Gate
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


def _nameable(alias: str) -> str:
    # MLflow, where the alias is to be found too, keeps these for itself.
    if alias.lower() == "latest" or (alias[:1].lower() == "v" and alias[1:].isdecimal()):
        raise ValueError("names a version by itself; take another name, such as `champion`")
    return alias


AliasName = Annotated[
    str, Field(min_length=1, max_length=64, pattern="^[A-Za-z][A-Za-z0-9_-]*$"), AfterValidator(_nameable)
]


class Promotion(Frozen, strict=True, coerce_numbers_to_str=False):
    """Which version an alias is to name."""

    # Strict: `force` overrules a gate, so nothing but true is taken for it.

    version: int = Field(ge=1, le=2**31 - 1)
    reason: str | None = Field(default=None, min_length=1, max_length=1000, description="kept in the history")
    force: bool = Field(default=False, description="although the gate refuses it; needs a reason")

    @model_validator(mode="after")
    def _forced_for_a_reason(self) -> Self:
        if self.force and self.reason is None:
            raise ValueError("force needs a reason, which the history keeps")
        return self


class AliasOut(Out):
    """What an alias names; its `ETag` goes into `If-Match` of whoever changes it."""

    alias: str
    version: int
    updated_at: datetime


class AliasChangeOut(Out):
    """An alias came to name another version."""

    alias: str
    from_version: int | None = Field(description="null: the alias was new")
    to_version: int | None = Field(description="null: the alias was deleted")
    at: datetime
    actor: str = Field(description="the tenant")
    key_prefix: str | None = Field(description="how the API key began that did it; null where none was asked for")
    key_name: str | None
    reason: str | None
    forced: bool = Field(description="the gate had refused it")
    gate: Gate | None = Field(description="how both versions compared; null where nothing was compared")
