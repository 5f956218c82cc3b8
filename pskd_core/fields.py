"""What every checked document is made of: a frozen model, and the numbers and names that stand in its fields."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
SubjectId = Annotated[str, Field(min_length=1, max_length=64)]


class Frozen(BaseModel):
    """Immutable, closed to unknown fields; numbers may stand where text is meant (subject `1` is `"1"`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False)


def or_kind(kind: str) -> BeforeValidator:
    """Marks a union in which a mapping that names no `kind` means this one."""

    def named(value: Any) -> Any:
        return {"kind": kind, **value} if isinstance(value, dict) else value

    return BeforeValidator(named)
