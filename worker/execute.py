"""One run in its own process: from the claimed row to scores, bundle and a finished row.

Every write carries the claim's token, so a process that no longer owns its run changes nothing and stops.
"""

import logging
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import plan_folds
from pskd_core.errors import CheckpointError
from pskd_core.run import Run, RunOutcome
from pskd_core.training.meter import EpochReport
from store import runs
from store.engine import Database
from store.errors import LostLease, ObjectDamaged, ObjectMissing, StoreError
from store.lifecycle import FailureCause
from store.objects import ObjectStore
from store.runs import ClaimedRun, Finish
from store.seedstats import Tested
from worker import notes
from worker.failures import cause_of, detail_of
from worker.link import Link, Stop
from worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

T = TypeVar("T")

_AGAIN_S = 0.5
# What makes scores large; lists show them without.
_LARGE = {"confusion", "per_class", "per_subject"}
_SMALL = {"test": _LARGE, "validation": _LARGE}


class Execution:
    """One attempt at a run."""

    def __init__(self, settings: WorkerSettings, claimed: ClaimedRun, link: Link, folder: Path) -> None:
        self._settings, self._claimed, self._link, self._folder = settings, claimed, link, folder
        self._database = Database(settings.database_url)
        self._objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
        self._saved_at = time.monotonic()

    def run(self) -> None:
        """Train, judge, export; or write down why not."""
        try:
            self._write(lambda session: notes.state(session, self._settings, self._claimed.run_id))
            run = self._open()
            for report in run.epochs(self._on_step):
                self._end_epoch(run, report)
            self._finish(run)
        except LostLease:
            logger.warning("somebody else owns this run by now; stopping")
        except Exception as error:  # the supervisor needs no trace, people do
            logger.exception("the run has stopped")
            self._fail(error)

    def _open(self) -> Run:
        claimed = self._claimed
        dataset = Dataset.open(self._objects.get_tree(claimed.dataset_tree))
        fold = plan_folds(claimed.spec, dataset.info, dataset.recordings)[claimed.fold_index]
        self._link.beat()
        if claimed.checkpoint_digest is not None:
            try:
                checkpoint = self._objects.get_tree(claimed.checkpoint_digest)
                return Run(dataset, claimed.spec, fold, claimed.seed, resume=checkpoint)
            except (CheckpointError, ObjectMissing, ObjectDamaged) as unusable:
                detail = f"starting afresh, the checkpoint cannot be used: {unusable}"
                self._write(lambda session: runs.warn(session, claimed.claim, detail))
        return Run(dataset, claimed.spec, fold, claimed.seed)

    def _on_step(self, _steps: int) -> None:
        self._link.beat()
        if self._link.stop is Stop.NOW:
            sys.exit()

    def _end_epoch(self, run: Run, report: EpochReport) -> None:
        self._write(lambda session: self._record(session, report))
        stop = self._link.stop is not Stop.NO
        if stop or time.monotonic() - self._saved_at >= self._settings.checkpoint_every_s:
            self._checkpoint(run, epoch=report.index + 1)
        self._link.beat()
        if stop:
            sys.exit()

    def _record(self, session: Session, report: EpochReport) -> None:
        claimed = self._claimed
        is_new = runs.record_epoch(
            session,
            claimed.claim,
            epoch=report.index,
            epochs=report.total,
            phase=report.phase,
            metrics=report.metrics,
        )
        if is_new:
            notes.epoch(session, self._settings, claimed.run_id, epoch=report.index, metrics=report.metrics)

    def _checkpoint(self, run: Run, *, epoch: int) -> None:
        """First the object, then the row that names it: a crash in between leaves the checkpoint before."""
        folder = self._folder / "checkpoint"
        run.checkpoint(folder)
        digest = self._objects.put_tree(folder)
        shutil.rmtree(folder)
        self._write(lambda session: runs.save_checkpoint(session, self._claimed.claim, digest=digest, epoch=epoch))
        self._saved_at = time.monotonic()

    def _finish(self, run: Run) -> None:
        outcome = run.finish()
        self._link.beat()
        predictions, bundle = self._folder / "predictions.npz", self._folder / "bundle"
        run.save_predictions(predictions)
        exported = run.export(bundle) is not None
        self._link.beat()
        finish = Finish(
            result=outcome.model_dump(mode="json", exclude={**_SMALL, "teachers": {"__all__": _SMALL}}),
            report={"classes": run.dataset.info.classes, **outcome.model_dump(mode="json")},
            test=_tested(outcome),
            predictions_digest=self._objects.put_file(predictions),
            bundle_digest=self._objects.put_tree(bundle) if exported else None,
            bundle_bytes=sum(file.stat().st_size for file in bundle.iterdir()) if exported else None,
            # Inner folds only serve to choose; nobody classifies with their students.
            register=exported and "inner:" not in self._claimed.fold,
        )
        self._write(lambda session: self._succeed(session, finish))

    def _succeed(self, session: Session, finish: Finish) -> None:
        runs.succeed(session, self._claimed.claim, finish)
        notes.state(session, self._settings, self._claimed.run_id)

    def _fail(self, error: Exception) -> None:
        cause, detail = cause_of(error), detail_of(error)
        try:
            if cause is None:
                # The lease runs out, which gives the trouble time to pass, and the reaper counts an attempt.
                self._write(lambda session: runs.warn(session, self._claimed.claim, f"will be tried again: {detail}"))
            else:
                self._write(lambda session: self._end_failed(session, cause, detail))
        except StoreError as stale:
            logger.warning("%s", stale)
        sys.exit(1)

    def _end_failed(self, session: Session, cause: FailureCause, detail: str) -> None:
        runs.fail(session, self._claimed.claim, cause=cause, detail=detail)
        notes.state(session, self._settings, self._claimed.run_id)

    def _write(self, write: Callable[[Session], T]) -> T:
        """One transaction, repeated while the database is away; when the lease ends, so does this process."""
        while True:
            try:
                with self._database.write() as session:
                    return write(session)
            except (OperationalError, InterfaceError) as away:
                logger.warning("the database does not answer: %s", away)
                time.sleep(_AGAIN_S)


def _tested(outcome: RunOutcome) -> Tested | None:
    test = outcome.test
    if test is None:
        return None
    return Tested(accuracy=test.accuracy, macro_f1=test.macro_f1, n=test.n, confusion=test.confusion)
