"""One run in its own process: from the claimed row to scores, bundle and a finished row.

Every write carries the claim's token, so a process that no longer owns its run changes nothing and stops.
"""

import logging
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import Fold, plan_folds
from pskd_core.errors import CheckpointError, RankLost
from pskd_core.evaluation.calibration import HeldOut, pool_held_out, read_held_out
from pskd_core.inference import Bundle
from pskd_core.latency import latency_ms
from pskd_core.run import Run, RunOutcome, teachers_key
from pskd_core.training.meter import EpochReport
from store import runs, traces
from store.engine import Database
from store.errors import LostLease, ObjectDamaged, ObjectMissing, StoreError
from store.lifecycle import FailureCause
from store.objects import ObjectStore, size_of
from store.runs import ClaimedRun, Finish
from store.seedstats import Tested
from store.traces import Tracer
from worker import memory, notes
from worker.failures import cause_of, detail_of
from worker.kept import KeptAnswers
from worker.link import Link, Stop
from worker.settings import WorkerSettings
from worker.start import Start

logger = logging.getLogger(__name__)

T = TypeVar("T")

_AGAIN_S = 0.5
_MOST_SAVING = 0.05  # of the time may go into checkpoints
# What makes scores large; lists show them without.
_LARGE = {"confusion", "per_class", "per_subject"}
_SMALL = {"test": _LARGE, "validation": _LARGE}


@dataclass
class Execution:
    """One attempt at a run."""

    settings: WorkerSettings
    database: Database
    objects: ObjectStore
    claimed: ClaimedRun
    link: Link
    folder: Path  # for unfinished files
    tracer: Tracer | None = None
    _kept: KeptAnswers | None = field(default=None, init=False)
    _start: Start | None = field(default_factory=Start, init=False)  # until the first step

    def __post_init__(self) -> None:
        self._saved = self.claimed.checkpoint_digest
        self._memory_kills = memory.kills()
        self._save_at = time.monotonic() + self.settings.checkpoint_every_s

    def run(self) -> None:
        """Train, judge, export; or write down why not."""
        try:
            with self._span("prepare"):
                run = self._prepared()
            with self._span("train"):
                for report in run.epochs(self._on_step):
                    self._end_epoch(run, report)
            if self._kept is not None:
                self._kept.leave()
            with self._span("finish"):
                self._finish(run)
        except LostLease:
            logger.warning("somebody else owns this run by now; stopping")
        except Exception as error:  # the supervisor needs no trace, people do
            logger.exception("the run has stopped")
            self._fail(error)

    def _span(self, name: str) -> AbstractContextManager[object]:
        return traces.span(self.tracer, name, parent=self.claimed.traceparent)

    def _prepared(self) -> Run:
        run = self._open()
        if self._start is not None:
            self._start.passed("clips", seconds=run.preparing_s)
            self._start.passed("networks")
        return run

    def _open(self) -> Run:
        claimed = self.claimed
        dataset = Dataset.open(self.objects.get_tree(claimed.dataset_tree))
        fold = plan_folds(claimed.spec, dataset.info, dataset.recordings)[claimed.fold_index]
        self.link.beat()
        if self._start is not None:
            self._start.passed("dataset")
        self._kept = self._answers_of(dataset, fold)
        answers: dict[str, Any] = {"answers_limit_bytes": self.settings.teachers_limit_bytes}
        answers["answers"] = self._kept.fetch() if self._kept is not None else None
        answers["inner"] = self._inner_folds(fold)
        if claimed.checkpoint_digest is not None:
            try:
                checkpoint = self.objects.get_tree(claimed.checkpoint_digest)
                return Run(dataset, claimed.spec, fold, claimed.seed, resume=checkpoint, **answers)
            except (CheckpointError, ObjectMissing, ObjectDamaged) as unusable:
                self._warn(f"starting afresh, the checkpoint cannot be used: {unusable}")
        return Run(dataset, claimed.spec, fold, claimed.seed, **answers)

    def _inner_folds(self, fold: Fold) -> HeldOut | None:
        """What a refit's inner folds held out; they have ended, but perhaps not well."""
        claimed = self.claimed
        with self.database.read() as session:
            digests = runs.predictions(session, claimed.job_id, seed=claimed.seed, folds=fold.inner)
        if absent := [name for name in fold.inner if name not in digests]:
            self._warn(f"the student will not be calibrated: fold {', '.join(absent)} has left no predictions")
            return None
        files = {name: self.objects.get_bytes(digests[name]) for name in fold.inner}
        return pool_held_out([read_held_out(data, file=f"predictions of {name}") for name, data in files.items()])

    def _answers_of(self, dataset: Dataset, fold: Fold) -> KeptAnswers | None:
        """Null if the spec does not ask to reuse teachers, or they cannot be reused."""
        claimed = self.claimed
        if not claimed.spec.resources.reuse_teachers:
            return None
        key = teachers_key(dataset, claimed.spec, fold, claimed.seed)
        if key is None:
            return None
        return KeptAnswers(
            self.objects,
            tenant=claimed.tenant,
            key=key,
            folder=self.folder,
            limit_bytes=self.settings.teachers_limit_bytes,
            write=self._write_held,
            warn=self._warn,
            alive=self._alive,
        )

    def _warn(self, detail: str) -> None:
        self._write(lambda session: runs.warn(session, self.claimed.claim, detail))

    def _alive(self) -> None:
        self.link.beat()
        if self.link.stop is Stop.NOW:
            sys.exit()

    def _on_step(self, _steps: int) -> None:
        if self._start is not None:
            self._start.passed("step")
            self._start.tell()
            self._start = None
        self._alive()

    def _end_epoch(self, run: Run, report: EpochReport) -> None:
        self._write(lambda session: self._record(session, report))
        stop = self.link.stop is not Stop.NO
        if stop or time.monotonic() >= self._save_at:
            self._checkpoint(run, epoch=report.index + 1)
        self.link.beat()
        if stop:
            sys.exit()

    def _record(self, session: Session, report: EpochReport) -> None:
        claimed = self.claimed
        is_new = runs.record_epoch(
            session,
            claimed.claim,
            epoch=report.index,
            epochs=report.total,
            phase=report.phase,
            metrics=report.metrics,
            by_class=report.by_class,
        )
        if is_new:
            notes.epoch(session, self.settings, claimed.run_id, epoch=report.index, metrics=report.metrics)

    def _checkpoint(self, run: Run, *, epoch: int) -> None:
        """First the object, then the row that names it: a crash in between leaves the checkpoint before."""
        began_at, folder = time.monotonic(), self.folder / "checkpoint"
        # Of another run of the same spec and seed the bytes would be the same, and what this one deletes would be its.
        run.checkpoint(folder, owner=self.claimed.run_id)
        digest, size_bytes = self.objects.put_tree(folder), size_of(folder)
        shutil.rmtree(folder)
        self._write(
            lambda session: runs.save_checkpoint(
                session, self.claimed.claim, digest=digest, size_bytes=size_bytes, epoch=epoch
            )
        )
        if self._saved is not None:
            # Large networks would fill the disk.
            self.objects.delete_tree(self._saved, keep=digest)
        self._saved = digest
        if every_s := self.settings.checkpoint_every_s:
            now = time.monotonic()
            self._save_at = now + max(every_s, (now - began_at) / _MOST_SAVING)

    def _finish(self, run: Run) -> None:
        outcome = run.finish()
        self.link.beat()
        predictions, bundle = self.folder / "predictions.npz", self.folder / "bundle"
        run.save_predictions(predictions)
        exported = run.export(bundle) is not None
        self.link.beat()
        finish = Finish(
            result=outcome.model_dump(
                mode="json", exclude={**_SMALL, "teachers": {"__all__": _SMALL}, "environment": True}
            ),
            report={"classes": run.dataset.info.classes, **outcome.model_dump(mode="json")},
            test=_tested(outcome),
            predictions_digest=self.objects.put_file(predictions),
            predictions_bytes=predictions.stat().st_size,
            bundle_digest=self.objects.put_tree(bundle) if exported else None,
            bundle_bytes=size_of(bundle) if exported else None,
            latency_ms=latency_ms(Bundle.load(bundle)) if exported else None,
            # Inner folds and runs with a shut test part only serve to choose; nobody classifies with their students.
            register=exported and "inner:" not in self.claimed.fold and self.claimed.spec.test == "report",
        )
        self._write(lambda session: self._succeed(session, finish))

    def _succeed(self, session: Session, finish: Finish) -> None:
        runs.succeed(session, self.claimed.claim, finish)
        notes.state(session, self.settings, self.claimed.run_id)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, RankLost) and error.killed and memory.kills() != self._memory_kills:
            error = RankLost(f"{error}: the system ran out of memory, and its kernel chose it", out_of_memory=True)
        cause, detail = cause_of(error), detail_of(error)
        if cause is FailureCause.OUT_OF_MEMORY:
            detail = f"{detail.rstrip('. ')}; {memory.REMEDY}"
        try:
            if cause is None:
                # The lease runs out, which gives the trouble time to pass, and the reaper counts an attempt.
                self._warn(f"will be tried again: {detail}")
                if isinstance(error, RankLost):  # which waiting would not mend
                    self._write(lambda session: runs.lose(session, self.claimed.claim, how=f"had to end: {detail}"))
            else:
                self._write(lambda session: self._end_failed(session, cause, detail))
        except StoreError as stale:
            logger.warning("%s", stale)
        sys.exit(1)

    def _end_failed(self, session: Session, cause: FailureCause, detail: str) -> None:
        runs.fail(session, self.claimed.claim, cause=cause, detail=detail)
        notes.state(session, self.settings, self.claimed.run_id)

    def _write_held(self, write: Callable[[Session], T]) -> T:
        """The same, for what does not ask for the claim by itself."""

        def held(session: Session) -> T:
            runs.hold(session, self.claimed.claim)
            return write(session)

        return self._write(held)

    def _write(self, write: Callable[[Session], T]) -> T:
        """One transaction, repeated while the database is away; when the lease ends, so does this process."""
        while True:
            try:
                with self.database.write() as session:
                    return write(session)
            except (OperationalError, InterfaceError) as away:
                logger.warning("the database does not answer: %s", away)
                time.sleep(_AGAIN_S)


def _tested(outcome: RunOutcome) -> Tested | None:
    test = outcome.test
    if test is None:
        return None
    return Tested(
        accuracy=test.accuracy,
        macro_f1=test.macro_f1,
        n=test.n,
        confusion=test.confusion,
        subjects={name: (round(each.accuracy * each.n), each.n) for name, each in test.per_subject.items()},
        top5_accuracy=test.top5_accuracy,
        ece=test.ece,
        paper_f=test.paper_f,
    )
