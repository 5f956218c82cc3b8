"""What the paper prints, as rows that may stand beside ours and are never ranked among them."""

from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import Field

from pskd_core.fields import Frozen

_FILE = "published.yaml"


class PublishedRow(Frozen):
    """One figure or pair of figures as printed, not measured here; fractions, never per cent."""

    source: Literal["published"] = "published"
    id: str = Field(description="of this list, such as `table1-13`")
    table: str = Field(description="`1` to `4`, or `figure 5`")
    kind: Literal["VAR", "SKAR", "MMAR", "SAR", "KD"] = Field(
        description="recognition from video, skeleton, several modalities or sensors; or knowledge distillation"
    )
    method: str
    citation: int | None = Field(description="number in the paper's references; null for the paper itself")
    test_input: str = Field(description="what is needed to classify")
    dataset: str
    layout: str = Field(description="of the datasets here that hold the same recordings")
    protocol: str = Field(description="as far as it is known")
    accuracy: float | None = Field(default=None, ge=0, le=1)
    f1: float | None = Field(default=None, ge=0, le=1, description="as printed; which F1 it is, is not stated")
    runs_here: Literal["yes", "stand_in", "no"]
    here: str = Field(description="what runs in its place, or why nothing does")
    run_with: str | None = Field(default=None, description="the command that runs it, without a dataset")
    note: str | None = None


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """Every row of the paper's Tables 1 to 4, then what its text says of Figure 5; in the paper's order."""
    held = yaml.safe_load((resources.files("pskd_core") / _FILE).read_text(encoding="utf-8"))
    return tuple(
        _row(table, row, place) for table in held["tables"] for place, row in enumerate(table["rows"], start=1)
    )


def _row(table: dict[str, Any], row: dict[str, Any], place: int) -> PublishedRow:
    shared = {key: value for key, value in table.items() if key != "rows"}
    figures = {key: round(row[key] / 100, 4) for key in ("accuracy", "f1") if key in row}  # printed with two decimals
    name = table["table"].replace(" ", "")
    prefix = f"table{name}" if name.isdigit() else name
    return PublishedRow.model_validate({**shared, **row, **figures, "id": f"{prefix}-{place}"})
