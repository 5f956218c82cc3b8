"""What a nudge starts: claim work and supervise it, until there is none."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerContext
from typing import Any

from celery import Celery

from store import classifications, datasets, logs, runs, traces
from store.classifications import ClaimedClassification
from store.datasets import ClaimedImport
from store.engine import Database
from store.queues import IO
from store.runs import ClaimedRun
from store.traces import Tracer
from worker import notes
from worker.app import WAKE
from worker.child import import_child, label_child, run_child
from worker.devices import Shares
from worker.lease import ClassificationLease, ImportLease, Lease, RunLease
from worker.link import Link
from worker.scratch import Scratch
from worker.settings import WorkerSettings
from worker.slots import Slots
from worker.supervise import Supervisor, end, settle

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worker:
    """What the threads of one worker process share."""

    name: str
    settings: WorkerSettings
    database: Database
    scratch: Scratch
    processes: ForkServerContext
    run_slots: Slots
    import_slots: Slots
    label_slots: Slots  # of their own, so that a long recording and a large dataset do not wait for one another
    gpus: Shares
    tracer: Tracer | None
    stopping: threading.Event


def install(app: Celery, worker: Worker) -> None:
    """Register the one task."""

    def wake(queue: str) -> None:
        if worker.stopping.is_set():
            return
        if queue == IO:
            worker.import_slots.serve(lambda: do_import(worker))
            worker.label_slots.serve(lambda: do_labelling(worker))
        else:
            worker.run_slots.serve(lambda: do_run(worker))

    app.task(wake, name=WAKE)


def do_run(worker: Worker) -> bool:
    """Claim a run and see it through; false if there is none, or the worker stops."""
    if worker.stopping.is_set():
        return False
    settings, link = worker.settings, _new_link(worker)
    with worker.database.write() as session:
        claimed = runs.claim_next(
            session,
            worker=worker.name,
            lease_s=settings.lease_s,
            device=settings.device,
            runs_at_once=settings.tenant_runs_at_once,
        )
        if claimed is not None:
            notes.state(session, settings, claimed.run_id)
    if claimed is None:
        return False
    with logs.about(claimed.about), worker.gpus.share() as gpus, _traced(worker, claimed) as of_child:
        logger.info("attempt %d of seed %d, fold %s", claimed.attempts, claimed.seed, claimed.fold)
        _supervise(worker, RunLease(worker.database, settings, claimed.claim), link, run_child, of_child, gpus)
    return True


@contextmanager
def _traced(worker: Worker, claimed: ClaimedRun) -> Iterator[ClaimedRun]:
    """The attempt in a span below its submission, and below that what its process does."""
    attempt: dict[str, str | int] = {"attempt": claimed.attempts, "seed": claimed.seed, "fold": claimed.fold}
    attributes = {f"pskd.{name}": value for name, value in {**claimed.about, **attempt}.items()}
    with traces.span(worker.tracer, "run", parent=claimed.traceparent, attributes=attributes):
        yield replace(claimed, traceparent=traces.current())


def do_import(worker: Worker) -> bool:
    """Claim an import and see it through; false if there is none, or the worker stops."""
    return _do_whole(worker, "import", datasets.claim_import, ImportLease, import_child)


def do_labelling(worker: Worker) -> bool:
    """Claim a recording to be labelled and see it through; false if there is none, or the worker stops."""
    return _do_whole(worker, "label", classifications.claim, ClassificationLease, label_child)


def _do_whole(
    worker: Worker,
    doing: str,
    claim: Callable[..., ClaimedImport | ClaimedClassification | None],
    lease: type[ImportLease] | type[ClassificationLease],
    main: Callable[..., None],
) -> bool:
    if worker.stopping.is_set():
        return False
    settings, link = worker.settings, _new_link(worker)
    with worker.database.write() as session:
        claimed = claim(session, worker=worker.name, lease_s=settings.lease_s)
    if claimed is None:
        return False
    with logs.about(claimed.about):
        logger.info("attempt %d to %s %r", claimed.attempts, doing, claimed.name)
        _supervise(worker, lease(worker.database, settings, claimed.claim), link, main, claimed)
    return True


def _new_link(worker: Worker) -> Link:
    """To be made before the claim, so that here the lease never seems longer than it is."""
    return Link(worker.processes, lease_end_s=time.monotonic() + worker.settings.lease_s)


def _supervise(worker: Worker, lease: Lease, link: Link, main: Callable[..., None], claimed: Any, *more: Any) -> None:
    with worker.scratch.folder() as folder:
        child = worker.processes.Process(target=main, args=(worker.settings, claimed, link, folder, *more))
        child.start()
        try:
            ending = Supervisor(lease, link, worker.stopping).watch(child)
        finally:
            status = end(child)
    settle(lease, ending, status=status)
