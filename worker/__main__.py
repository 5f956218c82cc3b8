"""`python -m worker`: a Celery worker whose threads supervise one child process each."""

import os
import socket
import threading
import warnings
from typing import Any

from celery.exceptions import SecurityWarning
from celery.signals import worker_shutting_down

from store import traces
from store.engine import Database
from store.loops import beside, forgetting
from store.objects import ObjectStore
from worker import logs
from worker.app import make_app
from worker.child import forkserver, warm_up
from worker.devices import Shares, visible
from worker.presence import Presence
from worker.scratch import Scratch
from worker.settings import WorkerSettings
from worker.slots import Slots
from worker.tasks import Worker, install

IMPORTS_AT_ONCE = LABELLINGS_AT_ONCE = 1


def main() -> None:
    """Serve until SIGTERM or SIGINT; runs under way are handed back."""
    # Celery warns root of pickled messages; here messages are JSON, and a container knows no one but root.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    settings = WorkerSettings()
    logs.configure(settings)
    gpus = visible(os.environ) if settings.device == "cuda" else ()
    name = f"{socket.gethostname()}:{os.getpid()}"
    worker = Worker(
        name=name,
        settings=settings,
        database=Database(settings.database_url),
        scratch=Scratch(settings.scratch_dir),
        processes=forkserver(),
        run_slots=Slots(settings.runs_at_once),
        import_slots=Slots(IMPORTS_AT_ONCE),
        label_slots=Slots(LABELLINGS_AT_ONCE),
        gpus=Shares(gpus, slots=settings.runs_at_once),
        tracer=traces.start("pskd-worker"),
        stopping=threading.Event(),
    )

    def stop(**_signal: Any) -> None:
        worker.stopping.set()

    worker_shutting_down.connect(stop)
    presence = Presence(name, settings, worker.database, worker.gpus)
    try:
        warm_up(worker.processes)
        presence.start()
        objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
        try:
            with beside(forgetting(worker.database, objects, settings)):
                serve(worker)
        finally:
            presence.stop()
    finally:
        if worker.tracer is not None:
            worker.tracer.close()
        worker.scratch.close()
        worker.database.dispose()


def serve(worker: Worker) -> None:
    """Run the Celery worker in this thread."""
    app = make_app(worker.settings)
    install(app, worker)
    # One thread more than there are slots, so that a nudge which finds all busy has one to find it out in.
    threads = worker.settings.runs_at_once + IMPORTS_AT_ONCE + LABELLINGS_AT_ONCE + 1
    app.worker_main(
        [
            "--quiet",
            "worker",
            "--pool=threads",
            f"--concurrency={threads}",
            f"--queues={','.join(worker.settings.queues)}",
            f"--hostname={worker.name}",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "--loglevel=WARNING",
        ]
    )


if __name__ == "__main__":
    main()
