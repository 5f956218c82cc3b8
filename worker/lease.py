"""The right to one piece of work, as its supervisor holds it. Each call is one transaction and may raise LostLease."""

from dataclasses import dataclass
from typing import Protocol

from store import classifications, datasets, runs
from store.claims import Claim
from store.engine import Database
from store.lifecycle import FailureCause, Wanted
from worker import notes
from worker.memory import REMEDY
from worker.settings import WorkerSettings


@dataclass(frozen=True)
class Patience:
    """How long a supervisor waits for what."""

    lease_s: float
    heartbeat_s: float
    step_timeout_s: float  # a child without a sign of life for so long is given up
    stop_grace_s: float  # a child that was asked to stop is killed after so long


class Lease(Protocol):
    """What supervising needs, be the work a run, an import or the labelling of a recording."""

    @property
    def patience(self) -> Patience:
        """How long to wait for what."""

    def renew(self) -> Wanted:
        """Lengthen the lease, and learn what the user wants."""

    def wanted(self) -> Wanted:
        """What the user wants, without a write."""

    def hand_back(self) -> None:
        """Give the work back in good order; this counts as no attempt."""

    def acknowledge(self) -> None:
        """Stop as the user wants; IllegalTransition if the user has thought better of it."""

    def time_out(self) -> None:
        """End work that is over its time."""

    def killed(self, how: str, *, for_memory: bool) -> None:
        """End work whose process a signal has ended, for good if the system needed its memory."""


@dataclass(frozen=True)
class RunLease:
    """The lease of a run."""

    database: Database
    settings: WorkerSettings
    claim: Claim

    @property
    def patience(self) -> Patience:
        """See `Lease`."""
        return _patience(
            self.settings, step_timeout_s=self.settings.step_timeout_s, stop_grace_s=self.settings.stop_grace_s
        )

    def renew(self) -> Wanted:
        """See `Lease`."""
        with self.database.write() as session:
            return runs.renew(session, self.claim, lease_s=self.settings.lease_s)

    def wanted(self) -> Wanted:
        """See `Lease`."""
        with self.database.read() as session:
            return runs.wanted(session, self.claim)

    def hand_back(self) -> None:
        """See `Lease`."""
        with self.database.write() as session:
            runs.hand_back(session, self.claim)
            notes.state(session, self.settings, self.claim.id)

    def acknowledge(self) -> None:
        """See `Lease`."""
        with self.database.write() as session:
            runs.acknowledge(session, self.claim)
            notes.state(session, self.settings, self.claim.id)

    def time_out(self) -> None:
        """See `Lease`."""
        with self.database.write() as session:
            runs.time_out(session, self.claim)
            notes.state(session, self.settings, self.claim.id)

    def killed(self, how: str, *, for_memory: bool) -> None:
        """See `Lease`."""
        with self.database.write() as session:
            if for_memory:
                detail = f"{_chosen(how)}; {REMEDY}"
                runs.fail(session, self.claim, cause=FailureCause.OUT_OF_MEMORY, detail=detail)
                notes.state(session, self.settings, self.claim.id)
            else:
                runs.lose(session, self.claim, how=how)


@dataclass(frozen=True)
class _Whole:
    """The lease of work that is done as a whole: it has no steps, and nothing that is worth saving half-way."""

    database: Database
    settings: WorkerSettings
    claim: Claim

    @property
    def patience(self) -> Patience:
        """See `Lease`."""
        most_s = self.settings.import_timeout_s + self.settings.stop_grace_s  # by then it has ended itself
        return _patience(self.settings, step_timeout_s=most_s, stop_grace_s=0.0)

    def time_out(self) -> None:
        """See `Lease`. There is no deadline but its patience."""


@dataclass(frozen=True)
class ImportLease(_Whole):
    """The lease of a dataset's import, which nobody can pause or cancel."""

    def renew(self) -> Wanted:
        """See `Lease`."""
        with self.database.write() as session:
            datasets.renew(session, self.claim, lease_s=self.settings.lease_s)
        return Wanted.RUN

    def wanted(self) -> Wanted:
        """See `Lease`."""
        return Wanted.RUN

    def hand_back(self) -> None:
        """See `Lease`."""
        with self.database.write() as session:
            datasets.hand_back(session, self.claim)

    def acknowledge(self) -> None:
        """See `Lease`."""
        self.hand_back()

    def killed(self, how: str, *, for_memory: bool) -> None:
        """See `Lease`. Unless it was for memory, the reaper counts an attempt."""
        if for_memory:
            with self.database.write() as session:
                datasets.fail_import(session, self.claim, cause=FailureCause.OUT_OF_MEMORY, detail=_chosen(how))


@dataclass(frozen=True)
class ClassificationLease(_Whole):
    """The lease of a recording that is being labelled, which its user may cancel."""

    def renew(self) -> Wanted:
        """See `Lease`."""
        with self.database.write() as session:
            return classifications.renew(session, self.claim, lease_s=self.settings.lease_s)

    def wanted(self) -> Wanted:
        """See `Lease`."""
        with self.database.read() as session:
            return classifications.wanted(session, self.claim)

    def hand_back(self) -> None:
        """See `Lease`."""
        with self.database.write() as session:
            classifications.hand_back(session, self.claim)

    def acknowledge(self) -> None:
        """See `Lease`."""
        self.hand_back()  # which is the end of what its user has cancelled

    def killed(self, how: str, *, for_memory: bool) -> None:
        """See `Lease`. Unless it was for memory, the reaper counts an attempt."""
        if for_memory:
            with self.database.write() as session:
                classifications.fail(session, self.claim, cause=FailureCause.OUT_OF_MEMORY, detail=_chosen(how))


def _chosen(how: str) -> str:
    return f"its process {how}: the system ran out of memory, and its kernel chose it"


def _patience(settings: WorkerSettings, *, step_timeout_s: float, stop_grace_s: float) -> Patience:
    return Patience(
        lease_s=settings.lease_s,
        heartbeat_s=settings.heartbeat_s,
        step_timeout_s=step_timeout_s,
        stop_grace_s=stop_grace_s,
    )
