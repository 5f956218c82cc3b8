"""Whether a caller's tenant may store more."""

from functools import partial

from sqlalchemy.orm import Session

from api.deps import Services
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


def _check(session: Session, limit_bytes: int, tenant: str) -> bool:
    usage.check(usage.look(session, tenant=tenant).size_bytes, adding_bytes=0, limit_bytes=limit_bytes)
    return True
