"""What an import or a reader has to say about the data, as data."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

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


class Findings:
    """A list of problems in which no kind of finding, however often it comes, takes more than its share of places."""

    def __init__(self, most_of_a_kind: int) -> None:
        self.problems: list[Problem] = []
        self._most = most_of_a_kind
        self._seen: Counter[str] = Counter()

    def add(self, kind: str, problem: Problem) -> None:
        """Keep the problem, or count it if there are enough of its kind."""
        self._seen[kind] += 1
        if self._seen[kind] <= self._most:
            self.problems.append(problem)

    def count_rest(self) -> None:
        """Say once for each kind how many were left unsaid."""
        for kind, seen in self._seen.items():
            if seen > self._most:
                detail = f"{kind}: {seen - self._most} more, of {seen}"
                self.problems.append(Problem(severity="warning", detail=detail))


_LONGEST_NAME = 40


def shortened(name: str) -> str:
    """A name that a file chose, at a length that a message can hold."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def listed(things: Iterable[object], *, most: int = 5) -> str:
    """The first of some things, and how many more there are."""
    names = [str(thing) for thing in things]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(shortened, names[:most])) + more


def finite_float32(
    values: npt.NDArray[Any], columns: Sequence[str], *, file: str | None, before: int = 0
) -> FloatArray:
    """Real values (n, columns) of any kind as float32; `before`: rows of the file before them.

    Raises:
        DataError: one of them is NaN, infinite or beyond float32; names its row (from 1) and column.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = values.astype(np.float32)
    if not (finite := np.isfinite(narrow)).all():
        row, column = divmod(int(finite.argmin()), finite.shape[1])
        detail = f"{values[row, column]} is not a finite number"
        raise DataError(detail, file=file, row=before + row + 1, column=columns[column])
    return narrow
