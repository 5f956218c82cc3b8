"""What every checked document is made of: a frozen model, and the numbers and names that stand in its fields."""

import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def readable(text: str) -> str:
    """The text, which reports and terminals may show as it is.

    Raises:
        ValueError: a control character (Unicode category Cc) stands in it.
    """
    if found := next((letter for letter in text if unicodedata.category(letter) == "Cc"), None):
        raise ValueError(f"the control character U+{ord(found):04X} stands in it; remove it")
    return text


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Name = Annotated[str, AfterValidator(readable)]
SubjectId = Annotated[str, Field(min_length=1, max_length=64)]


class Frozen(BaseModel):
    """Immutable, closed to unknown fields; numbers may stand where text is meant (subject `1` is `"1"`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False)


def or_kind(kind: str) -> BeforeValidator:
    """Marks a union in which a mapping that names no `kind` means this one."""

    def named(value: Any) -> Any:
        return {"kind": kind, **value} if isinstance(value, dict) else value

    return BeforeValidator(named)
