"""What the store refuses; nothing here knows HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class StoreError(Exception):
    """Base of what the store raises on purpose."""


class NotFound(StoreError):
    """No such row for this tenant."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"there is no {kind} {key!r}")
        self.kind, self.key = kind, key


class Conflict(StoreError):
    """The request contradicts what is stored, for example a name already taken."""


class DatasetNotUsable(Conflict):
    """A job names a dataset whose import failed."""


@dataclass(frozen=True)
class Reference:
    """Something that refers to what is to be deleted."""

    kind: str  # "job", "sweep", "leaderboard row", "model version", "alias"
    id: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id} ({self.name})" if self.name else f"{self.kind} {self.id}"


class StillUsed(Conflict):
    """What is to be deleted is referred to."""

    def __init__(self, detail: str, references: Sequence[Reference]) -> None:
        super().__init__(detail)
        self.references = tuple(references)


class GateRefused(Conflict):
    """A version is no better than the one it would replace; `gate` holds the figures."""

    def __init__(self, detail: str, gate: dict[str, Any]) -> None:
        super().__init__(detail)
        self.gate = gate


class AliasMoved(StoreError):
    """An alias is not where the request supposes it to be."""


class IllegalTransition(Conflict):
    """The state machine has no such step."""

    def __init__(self, kind: str, state: str, event: str) -> None:
        super().__init__(f"a {kind} that is {state} cannot {event}")
        self.kind, self.state, self.event = kind, state, event


class LostLease(StoreError):
    """A writer's token is stale: someone else owns the row by now, so this writer must stop."""

    def __init__(self, kind: str, key: str, token: int) -> None:
        super().__init__(f"the lease of {kind} {key} with token {token} is lost")
        self.kind, self.key, self.token = kind, key, token


class OverTime(StoreError):
    """A run has run for longer than its deadline allows."""


class QuotaExceeded(StoreError):
    """A tenant has as much waiting as it may have."""


class StorageFull(StoreError):
    """A tenant has as much stored as it may have; `storage` holds the figures."""

    def __init__(self, *, stored_bytes: int, adding_bytes: int, limit_bytes: int) -> None:
        more = f", and {adding_bytes} more do not fit" if adding_bytes else ""
        super().__init__(
            f"this tenant has stored {stored_bytes} bytes of the {limit_bytes} that it may{more}; delete datasets, "
            "jobs, sweeps or models, or have the operator raise PSKD_TENANT_STORAGE_BYTES"
        )
        self.storage = {"stored_bytes": stored_bytes, "adding_bytes": adding_bytes, "limit_bytes": limit_bytes}


class KeyReused(StoreError):
    """An idempotency key came with another payload before."""


class KeyInFlight(Conflict):
    """A request with the same idempotency key has not been answered yet."""


class BadTarget(StoreError):
    """A webhook may not be sent there."""


class BadCursor(StoreError):
    """A page cursor is damaged or was made for other filters."""


class ObjectMissing(StoreError):
    """The object store has no such object."""


class ObjectDamaged(StoreError):
    """An object's bytes do not have the digest that names it."""
