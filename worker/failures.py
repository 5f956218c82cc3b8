"""Which errors end a piece of work, and with what cause; the others may pass, and a later attempt goes on."""

from safetensors import SafetensorError
from sqlalchemy.exc import InterfaceError, OperationalError

from pskd_core.errors import DataError, NonFiniteLossError, RankLost, SpecError, out_of_memory
from store.errors import ObjectDamaged, ObjectMissing, StorageFull
from store.lifecycle import FailureCause

REMEDY = "lower training.batch_size or the networks' widths, or run it where there is more memory"


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
    """What users read: the message of what is refused on purpose, with the type of anything else, and what helps."""
    if isinstance(error, NonFiniteLossError | SpecError | DataError | StorageFull):
        return str(error)
    told = str(error) if isinstance(error, RankLost) else f"{type(error).__name__}: {error}"
    return f"{told.rstrip('. ')}; {REMEDY}" if out_of_memory(error) else told
