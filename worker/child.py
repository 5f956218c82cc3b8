"""Child processes: forked from a server that has everything heavy imported and has never used it."""

import importlib
import logging
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import TypeVar

from store import traces
from store.classifications import ClaimedClassification
from store.datasets import ClaimedImport
from store.engine import Database
from store.objects import ObjectStore
from store.runs import ClaimedRun
from worker import logs
from worker.devices import restrict
from worker.limits import UploadLimits
from worker.link import Link
from worker.settings import WorkerSettings

C = TypeVar("C")

logger = logging.getLogger(__name__)

# The server swallows import errors of these; a test proves that they are there. The first two are what torch itself
# imports when the first optimiser steps and when the first network is exported: two seconds that no run then pays.
PRELOAD = ("torch._dynamo", "onnxscript", "worker.execute", "worker.imports", "worker.labelling")

_ABANDONED = 75  # exit status, for people only: the database says how a run ended
_LOOK_S = 1.0


def forkserver() -> ForkServerContext:
    """The context that starts children."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOAD, traces.SDK] if traces.wanted() else list(PRELOAD))
    return context


def warm_up(context: ForkServerContext) -> None:
    """Wait until children start at once: a first claim's lease would run out while the fork server imports torch.

    Raises:
        RuntimeError: what children need cannot be imported; they would all fail.
    """
    child = context.Process(target=_import_all)
    child.start()
    child.join()
    if child.exitcode != 0:
        raise RuntimeError("what runs need cannot be imported; the trace above says why")


def run_child(
    settings: WorkerSettings, claimed: ClaimedRun, link: Link, folder: Path, gpus: Sequence[str] = ()
) -> None:
    """Main function of a run's process, which sees these GPUs alone."""
    _enter(settings, link, folder, claimed.about)
    restrict(gpus)
    if gpus:
        logger.info("sees GPU %s", ", ".join(gpus))
    # Torch is imported in children only, where the fork server has loaded it before: the worker itself stays small.
    from worker.execute import Execution  # noqa: PLC0415

    database, objects = _stores(settings)
    tracer = traces.start("pskd-run")
    try:
        Execution(settings, database, objects, claimed, link, folder, tracer).run()
    finally:
        if tracer is not None:
            tracer.close()


def import_child(settings: WorkerSettings, claimed: ClaimedImport, link: Link, folder: Path) -> None:
    """Main function of an import's process."""
    _enter(settings, link, folder, claimed.about)
    from worker.imports import import_claimed  # noqa: PLC0415

    _limited(settings, import_claimed, claimed, folder, UploadLimits.of(settings))


def label_child(settings: WorkerSettings, claimed: ClaimedClassification, link: Link, folder: Path) -> None:
    """Main function of the process that labels a recording."""
    _enter(settings, link, folder, claimed.about)
    from worker.labelling import label_claimed  # noqa: PLC0415

    _limited(settings, label_claimed, claimed, folder, UploadLimits.of(settings, work="labelling", upload="recording"))


def _limited(
    settings: WorkerSettings,
    work: Callable[[Database, ObjectStore, C, Path, UploadLimits], None],
    claimed: C,
    folder: Path,
    limits: UploadLimits,
) -> None:
    database, objects = _stores(settings)
    limits.apply()
    work(database, objects, claimed, folder, limits)


def _stores(settings: WorkerSettings) -> tuple[Database, ObjectStore]:
    objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
    return Database(settings.database_url), objects


def _import_all() -> None:
    for name in PRELOAD:
        importlib.import_module(name)


def _enter(settings: WorkerSettings, link: Link, folder: Path, about: Mapping[str, str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
    logs.configure(settings, **about)
    tempfile.tempdir = str(folder)  # gone with the run, and on the disk that its operator chose
    threading.Thread(target=_end_when_abandoned, args=(link, folder), daemon=True).start()


def _end_when_abandoned(link: Link, folder: Path) -> None:
    """Ends this process when its supervisor has gone or its lease is over.

    Signals of a parent's death do not work here: to the system, the parent is the fork server.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("this is no child process")
    while (left_s := link.lease_left_s) > 0 and not wait([parent.sentinel], timeout=min(left_s, _LOOK_S)):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(_ABANDONED)
