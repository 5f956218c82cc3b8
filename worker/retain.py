"""What the keeper removes of jobs and classifications that ended long ago, as its settings say."""

from collections.abc import Callable

from store import retention
from store.engine import Database
from worker.settings import WorkerSettings

_DAY_S = 24 * 3600.0

_Remove = Callable[..., str | None]  # of `store.retention`


class Retainer:
    """Goes through all that has ended batch by batch, again and again."""

    def __init__(self, database: Database, settings: WorkerSettings) -> None:
        self._database = database
        days: dict[_Remove, float | None] = {
            retention.remove_checkpoints: settings.retention_checkpoints_days,
            retention.remove_curves: settings.retention_curves_days,
            retention.remove_events: settings.retention_events_days,
            retention.remove_classifications: settings.retention_classifications_days,
        }
        self._older_than_s = {remove: _DAY_S * kept for remove, kept in days.items() if kept is not None}
        self._starts: dict[_Remove, str | None] = dict.fromkeys(self._older_than_s, "")

    def advance(self) -> bool:
        """Remove a batch of each kind that is not through; false once all are, and the next call begins again."""
        for remove, start in self._starts.items():
            if start is not None:
                with self._database.write() as session:
                    self._starts[remove] = remove(session, older_than_s=self._older_than_s[remove], start=start)
        if any(start is not None for start in self._starts.values()):
            return True
        self._starts = dict.fromkeys(self._older_than_s, "")
        return False
