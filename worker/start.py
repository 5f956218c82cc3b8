"""How long an attempt at a run took to its first step, told once in the log."""

import logging
import time

logger = logging.getLogger(__name__)


class Start:
    """What lay between the beginning of a run's process and its first step."""

    def __init__(self) -> None:
        self._began_at = self._last_at = time.monotonic()
        self._parts_s: dict[str, float] = {}

    def passed(self, part: str, *, seconds: float | None = None) -> None:
        """This part is over; it took all the time since the one before, or so much of it."""
        now = time.monotonic()
        self._parts_s[part] = now - self._last_at if seconds is None else seconds
        self._last_at = now if seconds is None else self._last_at + seconds

    def tell(self) -> None:
        """The first step is done; whoever reads JSON has each part as a number."""
        whole_s, processor_s = self._last_at - self._began_at, time.process_time()
        listed = ", ".join(f"{part} {seconds:.2f}" for part, seconds in self._parts_s.items())
        figures = {f"{part}_s": round(seconds, 4) for part, seconds in self._parts_s.items()}
        figures |= {"whole_s": whole_s, "processor_s": processor_s}
        message = "first step %.2f s after its start, %.2f of a processor: %s"
        logger.info(message, whole_s, processor_s, listed, extra=figures)
