"""Loops that a process runs beside its work, in threads of their own."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from store.collect import forget_copies
from store.engine import Database
from store.objects import ObjectStore
from store.settings import Settings

logger = logging.getLogger(__name__)

_WORST_PAUSE_S = 5.0
_SETTLE_S = 60.0  # before a process that has just started looks after anything but its work


class Loop:
    """Calls `action` every `period_s`, at once if it says that there is more; trouble is logged once and outlived."""

    def __init__(self, name: str, action: Callable[[], bool | None], *, period_s: float) -> None:
        self.name, self.period_s, self._action = name, period_s, action
        self._trouble_pause_s = 0.0

    def run(self, stopping: threading.Event, *, pause_s: float = 0.0) -> None:
        """Go on until `stopping` is set, after a first pause."""
        while not stopping.wait(pause_s):
            pause_s = self.once()

    def once(self) -> float:
        """One round; the pause until the next."""
        try:
            more = self._action()
        except Exception:
            if not self._trouble_pause_s:
                logger.exception("%s: in trouble; it tries again until that has passed", self.name)
            self._trouble_pause_s = min(max(2 * self._trouble_pause_s, self.period_s, 0.25), _WORST_PAUSE_S)
            return self._trouble_pause_s
        if self._trouble_pause_s:
            logger.info("%s: works again", self.name)
            self._trouble_pause_s = 0.0
        return 0.0 if more else self.period_s


def forgetting(database: Database, objects: ObjectStore, settings: Settings) -> Loop:
    """Keeps this machine's cache to what rows name. Collections cannot: they run on another machine."""
    forget = partial(forget_copies, database, objects, grace_s=settings.collect_grace_s)
    return Loop("cache", forget, period_s=settings.collect_s)


@contextmanager
def beside(loop: Loop) -> Iterator[None]:
    """The loop runs in a thread until the block ends, but not at once."""
    stopping = threading.Event()
    pause_s = min(_SETTLE_S, loop.period_s)
    thread = threading.Thread(target=partial(loop.run, stopping, pause_s=pause_s), name=loop.name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
