"""What every answer is made of."""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, JsonValue
from pydantic_core import CoreSchema

T = TypeVar("T")
Json = dict[str, JsonValue]


class Out(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Paged(Out, Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    next_cursor: str | None = Field(description="for the next page; null on the last one")


class Deletion(Out):
    """What a deletion removed."""

    removed: dict[str, int] = Field(
        description="how many `datasets`, `sweeps`, `jobs`, `leaderboard_rows`, `models`, `model_versions`, `aliases`, "
        "`classifications`"
    )


class ShownAs:
    """Shows a plain mapping in OpenAPI as what it must become: with a preset, only the whole can be validated."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, _core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(self._model.__pydantic_core_schema__)
