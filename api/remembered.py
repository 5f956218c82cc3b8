"""What a process has just asked, and need not ask again at once."""

import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

_MOST = 1000


class Remembered:
    """Answers that are good enough for `lasts_s` seconds: nothing that decides anything. What raises is asked again."""

    def __init__(self, *, lasts_s: float) -> None:
        self._lasts_s = lasts_s
        self._answers: dict[Hashable, tuple[float, Any]] = {}

    def get(self, key: Hashable, ask: Callable[[], T]) -> T:
        """The answer of a moment ago, or a new one; several threads may ask at once."""
        now = time.monotonic()
        asked_at, answer = self._answers.get(key, (0.0, None))
        if asked_at and now - asked_at < self._lasts_s:
            found: T = answer
            return found
        new = ask()
        if len(self._answers) >= _MOST:
            self._answers.clear()
        self._answers[key] = (now, new)
        return new
