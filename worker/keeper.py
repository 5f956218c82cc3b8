"""`python -m worker.keeper`: what keeps jobs moving, as plain loops over SQL.

It sends what is due to workers and webhooks, takes runs from lost workers, nudges again for what nobody claimed,
proposes trials of sweeps, removes what no row names and what was kept long enough, and feeds the tracking server.
Several may run side by side.
"""

import logging
import signal
import threading
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from celery import Celery

from store import classifications, datasets, idempotency, outbox, runs, sizes, tally, webhooks, workers
from store.collect import collect
from store.engine import Database
from store.errors import ObjectDamaged, ObjectMissing
from store.loops import Loop, forgetting
from store.objects import ObjectStore
from worker import logs, notes
from worker.app import make_app, nudge
from worker.courier import Courier
from worker.retain import Retainer
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from worker.search import Searcher
    from worker.tracking import Tracker

logger = logging.getLogger("worker.keeper")  # also when it is `__main__`

RELAY_S = 0.1
SEARCH_S = 1.0
TRACK_S = 1.0
FOLD_S = 60.0
PURGE_S = 3600.0
DAY_S = 24 * 3600.0
KEEP_S = DAY_S
KEEP_DELIVERIES_S = 7 * DAY_S  # so long a tenant can see what became of them
MOST_NUDGES = 32  # a queue


def main() -> None:
    """Run all loops until SIGTERM or SIGINT."""
    settings, stopping = WorkerSettings(), threading.Event()
    logs.configure(settings)
    for wish in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wish, lambda _signal, _frame: stopping.set())
    database, app = Database(settings.database_url), make_app(settings)
    objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
    courier = Courier(database, networks=settings.webhook_networks)
    loops = [
        Loop("relay", partial(relay, database, app, settings), period_s=RELAY_S),
        Loop("reaper", partial(reap, database, settings), period_s=settings.reaper_s),
        Loop("nudger", partial(nudge_again, database, app, settings), period_s=settings.renudge_s),
        Loop("searcher", searching(database, objects), period_s=SEARCH_S),
        Loop("collector", partial(collect_unnamed, database, objects, settings), period_s=settings.collect_s),
        forgetting(database, objects, settings),
        Loop("folder", partial(fold, database), period_s=FOLD_S),
        Loop("courier", courier.send_due, period_s=0.0),
        Loop("retainer", Retainer(database, settings).advance, period_s=PURGE_S),
        Loop("measurer", partial(measure_old, database, objects), period_s=PURGE_S),
        Loop("purge", partial(purge, database, settings), period_s=PURGE_S),
    ]
    if settings.mlflow_url:
        loops.append(Loop("tracker", tracking(database, objects, settings.mlflow_url), period_s=TRACK_S))
    threads = [threading.Thread(target=loop.run, args=(stopping,), name=loop.name) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    courier.close()
    database.dispose()


def relay(database: Database, app: Celery, settings: WorkerSettings) -> bool:
    """Send the nudges that are due; those that did not get out stay due."""
    with database.write() as session:
        messages = outbox.take(session, "wake")
    sent: list[int] = []
    try:
        for message in messages:
            nudge(app, message.key, expires_s=settings.renudge_s)
            sent.append(message.id)
    finally:
        if messages:
            with database.write() as session:
                outbox.mark_sent(session, sent)
                outbox.postpone(session, [message.id for message in messages[len(sent) :]], delay_s=0.0)
    return bool(messages)


def reap(database: Database, settings: WorkerSettings) -> bool:
    """Free what lost its worker."""
    with database.write() as session:
        lost_runs = runs.reap(session, max_stalled_attempts=settings.max_stalled_attempts)
        for run_id in lost_runs:
            notes.state(session, settings, run_id)
        most = settings.max_stalled_attempts
        lost_imports = [dataset.id for dataset in datasets.reap(session, max_attempts=most)]
        lost_recordings = [row.id for row in classifications.reap(session, max_attempts=most)]
    for lost in [*lost_runs, *lost_imports, *lost_recordings]:
        logger.warning("%s lost its worker", lost)
    return False


def nudge_again(database: Database, app: Celery, settings: WorkerSettings) -> bool:
    """Nudge for what has been free to claim for long: its nudge may be lost, and one too many does no harm."""
    with database.read() as session:
        waiting = outbox.unclaimed(session, older_than_s=settings.renudge_s)
    for queue, count in waiting.items():
        for _ in range(min(count, MOST_NUDGES)):
            nudge(app, queue, expires_s=settings.renudge_s)
    return False


def fold(database: Database) -> bool:
    """Keep counts in few rows."""
    with database.write() as session:
        return tally.fold(session)


def purge(database: Database, settings: WorkerSettings) -> bool:
    """Delete messages and remembered answers of long ago."""
    with database.write() as session:
        outbox.purge(session, older_than_s=KEEP_S)
        workers.purge(session, older_than_s=KEEP_S)
        webhooks.purge(session, older_than_s=KEEP_DELIVERIES_S)
        idempotency.purge(session, older_than_s=settings.idempotency_days * DAY_S)
    return False


def measure_old(database: Database, objects: ObjectStore) -> bool:
    """Learn the sizes of objects that an older version has stored."""
    if count := sizes.measure(database, objects):
        logger.info("%d objects of an older version were measured", count)
    return False


def collect_unnamed(database: Database, objects: ObjectStore, settings: WorkerSettings) -> bool:
    """Remove objects that no row names; what makes that unsafe is for people to mend, and waits for the next round."""
    try:
        collected = collect(database, objects, grace_s=settings.collect_grace_s)
    except (ObjectMissing, ObjectDamaged):
        logger.exception("nothing is collected")
    else:
        logger.info("%s", collected)
    return False


def searching(database: Database, objects: ObjectStore) -> Callable[[], bool]:
    """The searcher's action. Optuna takes a second to import, which waits for the searcher's own thread."""

    @cache
    def searcher() -> "Searcher":
        from worker.search import Searcher  # noqa: PLC0415

        return Searcher(database, objects)

    return lambda: searcher().advance()


def tracking(database: Database, objects: ObjectStore, url: str) -> Callable[[], bool]:
    """The tracker's action. MLflow takes seconds to import, so that waits for the tracker's own thread."""

    @cache
    def tracker() -> "Tracker":
        from worker.tracking import Tracker  # noqa: PLC0415

        return Tracker(database, objects, url)

    return lambda: tracker().send()


if __name__ == "__main__":
    main()
