"""Whether a caller's tenant may store more."""

from collections.abc import Callable
from functools import partial

from sqlalchemy.orm import Session

from api.auth import Caller
from api.deps import Services
from api.idempotency import Once
from store import usage


def check_not_full(session: Session, services: Services, *, tenant: str) -> None:
    """Refuses what would store something in the end. To sum up takes time, so a good answer holds for a second.

    Raises:
        StorageFull: the tenant has stored as much as it may.
    """
    limit_bytes = services.settings.tenant_storage_bytes
    if limit_bytes is not None:
        look = partial(_check, session, limit_bytes, tenant)
        services.recent.get(("storage", tenant), look)


def room_for_upload(services: Services, caller: Caller, once: Once) -> Callable[[int], None] | None:
    """Refuses an upload as soon as more of it has come than its tenant may store; none: nobody counts.

    The look that counts is the one of the transaction that names it; a repetition has its answer already.

    Raises:
        StorageFull: there is no room at all.
    """
    limit_bytes = services.settings.tenant_storage_bytes
    if limit_bytes is None:
        return None
    with services.database.read() as session:
        if once.seen(session):
            return None
        stored_bytes = usage.look(session, tenant=caller.tenant).size_bytes
    usage.check(stored_bytes, adding_bytes=0, limit_bytes=limit_bytes)
    return lambda size: usage.check(stored_bytes, adding_bytes=size, limit_bytes=limit_bytes)


def _check(session: Session, limit_bytes: int, tenant: str) -> bool:
    usage.check(usage.look(session, tenant=tenant).size_bytes, adding_bytes=0, limit_bytes=limit_bytes)
    return True
