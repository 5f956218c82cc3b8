"""The service as a whole, as answered."""

from datetime import datetime
from typing import Self

from pydantic import Field

from api.schemas.common import Out
from store.models import WorkerSeen
from store.outlook import MOST_AHEAD


class WorkerOut(Out):
    """One worker process."""

    name: str
    lives: bool = Field(description="it was heard of within a lease, and has not said good-bye")
    queues: tuple[str, ...]
    device: str = Field(description="`cpu` or `cuda`")
    devices: tuple[str, ...] = Field(description="GPUs that its slots share out between them")
    slots: int = Field(description="runs side by side")
    leases: int = Field(description="runs that it holds, of all tenants")
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None

    @classmethod
    def of(cls, row: WorkerSeen, *, lives: bool, leases: int) -> Self:
        """A worker as it was last heard of."""
        return cls(
            name=row.name,
            lives=lives,
            queues=tuple(row.queues),
            device=row.device,
            devices=tuple(row.devices),
            slots=row.runs_at_once,
            leases=leases,
            started_at=row.started_at,
            seen_at=row.seen_at,
            stopped_at=row.stopped_at,
        )


class QueueOut(Out):
    """What one queue holds for the caller."""

    waiting: int = Field(description=f"runs free to start; of a device more than {MOST_AHEAD} count as one more")
    running: int
    workers: int = Field(description="that listen to it and live")


class SystemState(Out):
    """Workers, and what waits for them."""

    workers: tuple[WorkerOut, ...] = Field(description="those of the last day, the one seen last first")
    queues: dict[str, QueueOut]
    at: datetime = Field(description="the database's clock")
