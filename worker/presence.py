"""A worker says every few seconds that it lives, so that others know who there is."""

import logging
import threading

from sqlalchemy.exc import SQLAlchemyError

from store import workers
from store.engine import Database
from worker.devices import Shares
from worker.settings import WorkerSettings

logger = logging.getLogger(__name__)


class Presence:
    """A thread that says so from `start` to `stop`; trouble is logged once and costs nothing else."""

    def __init__(self, name: str, settings: WorkerSettings, database: Database, shares: Shares) -> None:
        self._name, self._settings, self._database, self._shares = name, settings, database, shares
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="presence", daemon=True)
        self._database_answers = True

    def start(self) -> None:
        """Be seen at once, and from then on."""
        self._thread.start()

    def stop(self) -> None:
        """Say good-bye."""
        self._ended.set()
        self._thread.join()
        try:
            with self._database.write() as session:
                workers.stopped(session, self._name)
        except SQLAlchemyError as trouble:
            logger.warning("the end of this worker is not written down: %s", trouble)

    def _go_on(self) -> None:
        while True:
            self._say()
            if self._ended.wait(self._settings.heartbeat_s):
                return

    def _say(self) -> None:
        try:
            with self._database.write() as session:
                workers.seen(
                    session,
                    self._name,
                    queues=self._settings.queues,
                    device=self._settings.device,
                    devices=self._shares.devices,
                    runs_at_once=self._settings.runs_at_once,
                )
            self._database_answers = True
        except SQLAlchemyError as trouble:
            if self._database_answers:
                logger.warning("the database does not answer; this worker is not seen: %s", trouble)
            self._database_answers = False
