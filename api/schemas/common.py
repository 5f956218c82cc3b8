"""What every answer is made of."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

T = TypeVar("T")
Json = dict[str, JsonValue]


class Out(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Paged(Out, Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    next_cursor: str | None = Field(description="for the next page; null on the last one")
