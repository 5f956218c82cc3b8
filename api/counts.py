"""Counters of budgets in Redis; imported where a budget is set."""

import asyncio
import logging
import time
from typing import Any

from limits.aio.storage import RedisStorage
from prometheus_client import CollectorRegistry, Counter, Gauge
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

logger = logging.getLogger("api.limits")

WAIT_S = 0.05  # the most that a request waits for Redis
AGAIN_S = 1.0  # after trouble nobody waits for so long


class Counts:
    """Windows counted in Redis. Without Redis nothing is counted and everyone is let in, which is logged once."""

    def __init__(self, broker_url: str, registry: CollectorRegistry) -> None:
        self._pool = ConnectionPool.from_url(broker_url.replace("redis+socket://", "unix://"), socket_connect_timeout=1)
        over: Any = {"connection_pool": self._pool}  # which its types do not know
        self._storage = RedisStorage("async+redis://", implementation="redispy", **over)
        self._again_at = 0.0
        self._works = Gauge("pskd_rate_limits_enforced", "1 unless the counters cannot be reached", registry=registry)
        self._unchecked = Counter(
            "pskd_rate_limits_unchecked", "Requests let in because the counters could not be reached", registry=registry
        )
        self._works.set(1)

    async def take(self, key: str, *, amount: int, window_s: int) -> int | None:
        """How much of this window is taken once `amount` more is; none if that is not known within the wait."""
        if time.monotonic() < self._again_at:
            self._unchecked.inc()
            return None
        try:
            async with asyncio.timeout(WAIT_S):
                taken = await self._storage.incr(key, window_s, amount)
        except (RedisError, OSError) as trouble:  # a timeout is an OSError
            self._miss(trouble)
            return None
        if self._again_at:
            logger.info("rate limits are enforced again")
            self._again_at = 0.0
            self._works.set(1)
        return taken

    def _miss(self, trouble: Exception) -> None:
        if not self._again_at:
            logger.warning("rate limits are not enforced, everyone is let in: %s", str(trouble) or "no answer")
        self._again_at = time.monotonic() + AGAIN_S
        self._works.set(0)
        self._unchecked.inc()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.disconnect()
