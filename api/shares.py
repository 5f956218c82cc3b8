"""What of one process a tenant may hold at a time, so that none keeps the others out."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyio import CapacityLimiter, create_task_group
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.errors import TOO_MANY, Refusal


class Shares:
    """How many of something each tenant has at this process; used by the event loop alone.

    Args:
        most: of one tenant.
        what: they are, in the plural.
        setting: that says how many.
    """

    def __init__(self, most: int, *, what: str, setting: str) -> None:
        self._most, self._what, self._setting = most, what, setting
        self._held: Counter[str] = Counter()
        # Work for them takes no thread that others wait for.
        self.threads = CapacityLimiter(max(os.cpu_count() or 1, 2))

    @contextmanager
    def one(self, tenant: str) -> Iterator[None]:
        """Count one as long as the block lasts.

        Raises:
            Refusal: the tenant has as many as it may (429).
        """
        if self._held[tenant] >= self._most:
            raise Refusal(
                TOO_MANY,
                f"{self._most} {self._what} are open here, as many as one tenant may have; close one ({self._setting})",
            )
        self._held[tenant] += 1
        try:
            yield
        finally:
            self._held[tenant] -= 1
            if not self._held[tenant]:
                del self._held[tenant]


class EventStream(StreamingResponse):
    """Server-sent events that count as one of the tenant's from their first byte to their last.

    Raises, when it is answered with:
        Refusal: the tenant follows as much as it may (429).
    """

    def __init__(self, content: Any, *, shares: Shares, tenant: str) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._shares, self._tenant = shares, tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until there is no more or the caller has gone, or refuse before anything is sent."""
        with self._shares.one(self._tenant):
            async with create_task_group() as group:

                async def leave() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    group.cancel_scope.cancel()

                # By itself a response finds out when it next has something to send.
                group.start_soon(leave)
                await super().__call__(scope, receive, send)
                group.cancel_scope.cancel()
