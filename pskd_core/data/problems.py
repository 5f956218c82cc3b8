"""What an import or a reader has to say about the data, as data."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pskd_core.errors import DataError
from pskd_core.fields import Frozen
from pskd_core.shapes import FloatArray


class Problem(Frozen):
    """One finding. `error`: something could not be used; `warning`: used, but look at it; `info`: good to know."""

    severity: Literal["error", "warning", "info"]
    detail: str
    file: str | None = None
    row: int | None = Field(default=None, description="from 1")
    column: str | None = None

    @classmethod
    def from_error(cls, error: DataError) -> "Problem":
        """An error that was survived by leaving its data out."""
        return cls(severity="error", detail=str(error), file=error.file, row=error.row, column=error.column)


def finite_float32(values: npt.NDArray[np.float64], columns: Sequence[str], *, file: str | None) -> FloatArray:
    """Values (n, columns) as float32.

    Raises:
        DataError: one of them is NaN, infinite or beyond float32; names its row (from 1) and column.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = values.astype(np.float32)
    if not (finite := np.isfinite(narrow)).all():
        row, column = np.argwhere(~finite)[0].tolist()
        detail = f"{values[row, column]} is not a finite number"
        raise DataError(detail, file=file, row=row + 1, column=columns[column])
    return narrow
