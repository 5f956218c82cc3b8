"""Everything the core refuses, each with what it names; nothing here knows HTTP."""

import errno
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError


class PskdError(Exception):
    """Base of what the core raises on purpose; the message says what is wrong and how to mend it."""


class SpecError(PskdError):
    """A job spec is wrong. `errors` holds `{"pointer": …, "detail": …}` per fault (JSON pointers, RFC 6901)."""

    def __init__(self, detail: str, *, pointer: str = "", errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(detail)
        self.errors = errors or [{"pointer": pointer, "detail": detail}]

    @classmethod
    def from_validation(cls, invalid: ValidationError) -> "SpecError":
        """The faults of one pydantic validation."""
        errors = [
            {"pointer": json_pointer(error["loc"]), "detail": error["msg"].removeprefix("Value error, ")}
            for error in invalid.errors()
        ]
        return cls("; ".join(f"{error['pointer'] or '/'}: {error['detail']}" for error in errors), errors=errors)


# Tags of unions whose members differ by their fields alone; no field can be called so.
UNNAMED = frozenset({"[choices]", "[range]"})


def json_pointer(location: tuple[int | str, ...]) -> str:
    """RFC 6901 pointer of a pydantic error location; the union tags that pydantic inserts are left out."""
    tags = {"named", "loso", "subjects", "none", "trials", "inner_loso", "agcn", "resnet1d", "pskd", "distill"}
    tags |= {"progressive", "per_step", "frozen", "checkpoints", "synthetic", "path"}
    tags |= {"inception1d", "deepconvlstm", "gaf_resnet18", "tiny", "random_forest"}
    tags |= {"logits", "fitnet", "st", "at", "rkd", "sp", "cc", "average", "entropy", "ca_mkd", "acs"}
    tags |= {"grid", "random", "tpe"}
    unions = {"protocol", "validation", "method", "backbone", "loss", "weighting", "schedule", "source", "search"}
    parts = [
        str(part)
        for index, part in enumerate(location)
        if part not in UNNAMED and not (index and part in tags and location[index - 1] in unions)
    ]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


class DataError(PskdError):
    """Data cannot be used. Names the file and, where known, row (from 1) and column."""

    def __init__(
        self, detail: str, *, file: PurePath | str | None = None, row: int | None = None, column: str | None = None
    ) -> None:
        place = ", ".join(
            part
            for part in (
                str(file) if file is not None else "",
                f"row {row}" if row is not None else "",
                f"column {column}" if column is not None else "",
            )
            if part
        )
        super().__init__(f"{place}: {detail}" if place else detail)
        self.file = str(file) if file is not None else None
        self.row = row
        self.column = column


class ProtocolError(DataError):
    """The dataset lacks recordings that the protocol or the validation choice needs; `missing` names them."""

    def __init__(self, detail: str, *, missing: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.missing = missing


class NotComparable(PskdError):
    """Two results do not stand on the same data and seeds, so their difference would mean nothing."""


class NonFiniteLossError(PskdError):
    """A loss term is NaN or infinite. The run cannot go on."""

    def __init__(self, *, network: str, term: str, step: int, value: float) -> None:
        super().__init__(
            f"loss term {term} of {network} is {value} at step {step}; lower the learning rate or the term's weight"
        )
        self.network, self.term, self.step, self.value = network, term, step, value


class RankLost(PskdError):
    """One of a run's processes has ended before its time, and the run with it; it may go on from its checkpoint."""

    def __init__(self, detail: str, *, out_of_memory: bool = False, killed: bool = False) -> None:
        super().__init__(detail)
        self.out_of_memory = out_of_memory  # it has said so itself
        self.killed = killed  # by a signal, so it could say nothing


class CheckpointError(PskdError):
    """A checkpoint is damaged or belongs to another run."""


class ParityError(PskdError):
    """An exported network disagrees with its source."""

    def __init__(self, difference: float, tolerance: float) -> None:
        super().__init__(f"the exported network differs by {difference:.2e} from its source (allowed {tolerance:.0e})")


# Torch has no type of its own for the processor's memory, and nothing here imports torch.
_OUT_OF_MEMORY = (
    "out of memory", "DefaultCPUAllocator", "not enough memory", "allocate memory", "std::bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
)  # fmt: skip


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that there was no memory left, be it the processor's or a GPU's."""
    match error:
        case RankLost():
            return error.out_of_memory
        case MemoryError() | OSError(errno=errno.ENOMEM):
            return True
        case RuntimeError() | OSError():
            return any(phrase in str(error) for phrase in _OUT_OF_MEMORY)
        case _:
            return False


def problem_fields(error: DataError) -> dict[str, Any]:
    """The place a data error names, as plain data without empty entries."""
    fields = {"file": error.file, "row": error.row, "column": error.column}
    return {key: value for key, value in fields.items() if value is not None}
