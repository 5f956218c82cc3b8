"""How many threads of a worker do one kind of work at a time."""

import threading
from collections.abc import Callable


class Slots:
    """At most `limit` threads at work; a nudge that finds all of them busy returns at once and is not forgotten.

    Invariant: what could be claimed when a nudge came is looked for afterwards, by its own thread or by a busy one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._busy = 0
        self._nudged = False

    def serve(self, work: Callable[[], bool]) -> None:
        """Call `work` until it answers that there is none, if a slot is free."""
        if not self._enter():
            return
        try:
            while not self._leave():
                while work():
                    pass
        except BaseException:
            with self._lock:
                self._busy -= 1
            raise

    def _enter(self) -> bool:
        with self._lock:
            self._nudged = True
            if self._busy == self._limit:
                return False
            self._busy += 1
            return True

    def _leave(self) -> bool:
        with self._lock:
            if self._nudged:
                self._nudged = False
                return False
            self._busy -= 1
            return True
