"""Which errors end a piece of work, and with what cause; the others may pass, and a later attempt goes on."""

import errno

from safetensors import SafetensorError
from sqlalchemy.exc import InterfaceError, OperationalError

from pskd_core.errors import DataError, NonFiniteLossError, SpecError
from store.errors import ObjectDamaged, ObjectMissing
from store.lifecycle import FailureCause

# Torch has no type of its own for the processor's memory, and this module serves children that need no torch.
_OUT_OF_MEMORY = (
    "out of memory", "DefaultCPUAllocator", "not enough memory", "allocate memory", "std::bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
)  # fmt: skip


def cause_of(error: Exception) -> FailureCause | None:
    """The cause with which `error` ends a run or an import; none if disk, database or object store are in trouble."""
    match error:
        case NonFiniteLossError():
            return FailureCause.NAN_LOSS
        case SpecError():
            return FailureCause.USER_ERROR
        case DataError():
            return FailureCause.DATA
        case MemoryError() | RuntimeError() | OSError() if _out_of_memory(error):
            return FailureCause.OUT_OF_MEMORY
        case OSError() | OperationalError() | InterfaceError() | SafetensorError() | ObjectMissing() | ObjectDamaged():
            return None
        case _:
            return FailureCause.INTERNAL


def _out_of_memory(error: Exception) -> bool:
    refused = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    return refused or any(phrase in str(error) for phrase in _OUT_OF_MEMORY)


def detail_of(error: Exception) -> str:
    """What users read: the message of what is refused on purpose, with the type of anything else."""
    expected = isinstance(error, NonFiniteLossError | SpecError | DataError)
    return str(error) if expected else f"{type(error).__name__}: {error}"
