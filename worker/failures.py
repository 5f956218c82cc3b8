"""Which errors end a piece of work, and with what cause; the others may pass, and a later attempt goes on."""

from safetensors import SafetensorError
from sqlalchemy.exc import InterfaceError, OperationalError

from pskd_core.errors import DataError, NonFiniteLossError, RankLost, SpecError, out_of_memory
from store.errors import ObjectDamaged, ObjectMissing, StorageFull
from store.lifecycle import FailureCause


def cause_of(error: Exception) -> FailureCause | None:
    """The cause with which `error` ends a run or an import; none if disk, database or object store are in trouble."""
    match error:
        case NonFiniteLossError():
            return FailureCause.NAN_LOSS
        case SpecError():
            return FailureCause.USER_ERROR
        case DataError():
            return FailureCause.DATA
        case StorageFull():
            return FailureCause.QUOTA
        case _ if out_of_memory(error):
            return FailureCause.OUT_OF_MEMORY
        case OSError() | OperationalError() | InterfaceError() | SafetensorError() | ObjectMissing() | ObjectDamaged():
            return None
        case RankLost():
            return None
        case _:
            return FailureCause.INTERNAL


def detail_of(error: Exception) -> str:
    """What users read: the message of what is refused on purpose or is ours, with the type of anything else."""
    if isinstance(error, NonFiniteLossError | SpecError | DataError | StorageFull | RankLost):
        return str(error)
    return f"{type(error).__name__}: {error}"
