"""What is due to webhooks, sent side by side: a slow receiver occupies one place and holds up nobody else."""

import asyncio
import logging
import random
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy.exc import SQLAlchemyError

from store import webhooks
from store.engine import Database
from store.targets import Networks
from store.webhooks import Parcel
from worker.posting import Answer, Poster

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0  # of an attempt, from the name's lookup to the answer's end
# Between an attempt and the next: nine in all, over about eighteen hours.
PAUSES_S = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 18_000.0, 36_000.0)
AT_ONCE = 64
_LOOK_S = 0.5
_SPREAD = 0.1  # receivers that were down together are not all asked again at one moment
_HOLD_S = 30.0  # beyond the timeout; a keeper that dies meanwhile leaves the message to another


class Courier:
    """Takes what is due and sends it in a thread with an event loop; what it cannot write down is sent again.

    Invariants: one message at a time goes to a webhook, `AT_ONCE` to all; every repetition of a message bears its id.
    """

    def __init__(
        self,
        database: Database,
        *,
        networks: Networks,
        timeout_s: float = TIMEOUT_S,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._database, self._timeout_s, self._pauses_s = database, timeout_s, pauses_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="courier-loop", daemon=True)
        self._resolvers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="resolver")
        self._clerk = ThreadPoolExecutor(1, thread_name_prefix="clerk")  # writes down, while others are being sent
        self._poster = Poster(networks=networks, timeout_s=timeout_s, resolvers=self._resolvers)
        self._under_way: set[Future[None]] = set()
        self._ended = threading.Event()
        self._thread.start()

    def send_due(self) -> bool:
        """Begin to send what is due; with nothing due, wait until something has ended or for a moment."""
        room = AT_ONCE - len(self._under_way)
        if not (parcels := self._take(room) if room else ()):
            self._ended.wait(_LOOK_S)
            self._ended.clear()
        for parcel in parcels:
            sending = asyncio.run_coroutine_threadsafe(self._deliver(parcel), self._loop)
            self._under_way.add(sending)
            sending.add_done_callback(self._end)
        return True

    def close(self) -> None:
        """Drop what is being sent; it is sent again, by whoever comes next."""
        for sending in tuple(self._under_way):
            sending.cancel()
        asyncio.run_coroutine_threadsafe(self._settle(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._resolvers.shutdown(wait=False, cancel_futures=True)
        self._clerk.shutdown()

    async def _settle(self) -> None:
        """Waits only: what a delivery has begun is for its own task group to cancel, in the right order."""
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    def _take(self, room: int) -> Sequence[Parcel]:
        with self._database.read() as session:
            if not webhooks.are_due(session):
                return ()
        with self._database.write() as session:
            return webhooks.take(session, limit=room, hold_s=self._timeout_s + _HOLD_S)

    def _end(self, sending: "Future[None]") -> None:
        self._under_way.discard(sending)
        self._ended.set()

    async def _deliver(self, parcel: Parcel) -> None:
        try:
            answer = await self._poster.post(parcel)
        except Exception:
            logger.exception("%s could not be sent", parcel.id)
            answer = Answer(None, "not sent, by a fault of this software", 0.0)
        if answer.detail is not None:
            about = {"webhook_id": parcel.webhook_id, "message_id": parcel.id}
            logger.warning("attempt %d to deliver %s: %s", parcel.attempts, parcel.id, answer.detail, extra=about)
        try:
            await self._loop.run_in_executor(self._clerk, self._write, parcel, answer)
        except SQLAlchemyError as away:
            logger.warning("what became of %s is not written down, so it is sent again: %s", parcel.id, away)

    def _write(self, parcel: Parcel, answer: Answer) -> None:
        with self._database.write() as session:
            if answer.detail is None and answer.status is not None:
                webhooks.mark_delivered(session, parcel, status=answer.status, seconds=answer.seconds)
            else:
                webhooks.mark_failed(
                    session,
                    parcel,
                    status=answer.status,
                    detail=answer.detail or "",
                    again_s=self._pause_s(parcel.attempts),
                    seconds=answer.seconds,
                )

    def _pause_s(self, attempts: int) -> float | None:
        """Seconds until the next attempt; none after the last."""
        if attempts > len(self._pauses_s):
            return None
        return self._pauses_s[attempts - 1] * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311  # nosec B311 # no secret
