"""Recordings that are labelled while nobody waits: create, label under a claim, read, cancel, delete."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from store import claims, outbox, paging, tally
from store.base import db_now, present
from store.claims import Claim
from store.errors import IllegalTransition, LostLease, NotFound
from store.lifecycle import ENDED_CLASSIFICATION, ClassificationState, FailureCause, Wanted
from store.models import TENANT, ModelVersion
from store.paging import Page
from store.queues import IO
from store.tally import Tallied
from store.timelines import Classification

KIND = "classification"


@dataclass(frozen=True)
class ClaimedClassification:
    """What a worker needs to know to label a recording that it has claimed."""

    claim: Claim
    tenant: str
    name: str  # of the recording's file
    upload_digest: str  # the recording in the object store
    upload_bytes: int
    bundle_digest: str
    reading: dict[str, Any]  # `pskd_core.long.Reading`
    attempts: int

    @property
    def about(self) -> dict[str, str]:
        """What lines of the log say of it."""
        return {"classification_id": self.claim.id, "tenant": self.tenant}


@dataclass(frozen=True)
class Labelled:
    """What a labelling ends in; the files are in the object store."""

    overview: dict[str, Any]  # `pskd_core.long.LongOverview`
    segments_digest: str
    segments_bytes: int
    windows_digest: str
    windows_bytes: int


_FREE = Classification.state == ClassificationState.QUEUED
_HELD = Classification.state.in_([ClassificationState.RUNNING, ClassificationState.CANCELLING])


def create(
    session: Session,
    *,
    filename: str,
    upload_digest: str,
    upload_bytes: int,
    model: str,
    version: ModelVersion,
    reading: dict[str, Any],
    tenant: str = TENANT,
) -> Classification:
    """A recording that waits to be labelled by this version of a model, and a wake of the `io` queue."""
    row = Classification(
        tenant=tenant,
        filename=filename,
        upload_digest=upload_digest,
        upload_bytes=upload_bytes,
        model=model,
        version=version.version,
        bundle_digest=version.bundle_digest,
        reading=reading,
        queued_at=db_now(),
    )
    session.add(row)
    session.flush()
    outbox.wake(session, IO)
    return row


def claim(session: Session, *, worker: str, lease_s: float) -> ClaimedClassification | None:
    """Takes the oldest recording that nobody works on; None if there is none."""
    row = claims.take(session, Classification, free=_FREE, order=(Classification.id,), worker=worker, lease_s=lease_s)
    if row is None:
        return None
    row.state, row.started_at, row.fraction = ClassificationState.RUNNING, db_now(), 0.0
    session.flush()
    return ClaimedClassification(
        claim=Claim(row.id, row.token),
        tenant=row.tenant,
        name=row.filename,
        upload_digest=present(row.upload_digest),
        upload_bytes=present(row.upload_bytes),
        bundle_digest=present(row.bundle_digest),
        reading=row.reading,
        attempts=row.attempts,
    )


def renew(session: Session, claimed: Claim, *, lease_s: float) -> Wanted:
    """Lengthens the lease, and says what the user wants. Raises LostLease."""
    return _wanted(claims.lengthen(session, Classification, claimed, _HELD, lease_s=lease_s).state)


def wanted(session: Session, claimed: Claim) -> Wanted:
    """What the user wants, without a write. Raises LostLease."""
    asked = select(Classification.state).where(
        Classification.id == claimed.id, Classification.token == claimed.token, _HELD
    )
    state = session.scalars(asked).one_or_none()
    if state is None:
        raise LostLease(KIND, *claimed)
    return _wanted(state)


def _wanted(state: ClassificationState) -> Wanted:
    return Wanted.CANCEL if state is ClassificationState.CANCELLING else Wanted.RUN


def progress(session: Session, claimed: Claim, fraction: float) -> None:
    """So much of the work is done, in [0, 1]. Raises LostLease."""
    done = (
        update(Classification)
        .where(Classification.id == claimed.id, Classification.token == claimed.token, _HELD)
        .values(fraction=fraction)
        .returning(Classification.id)
    )
    if session.scalars(done, execution_options={"synchronize_session": False}).one_or_none() is None:
        raise LostLease(KIND, *claimed)


def finish(session: Session, claimed: Claim, labelled: Labelled) -> Classification:
    """It is labelled, also where its user has asked too late to cancel it. Raises LostLease."""
    row = claims.hold(session, Classification, claimed, _HELD)
    row.overview, row.fraction = labelled.overview, 1.0
    row.segments_digest, row.segments_bytes = labelled.segments_digest, labelled.segments_bytes
    row.windows_digest, row.windows_bytes = labelled.windows_digest, labelled.windows_bytes
    _end(session, row, ClassificationState.SUCCEEDED)
    return row


def fail(
    session: Session, claimed: Claim, *, cause: FailureCause, detail: str, place: dict[str, Any] | None = None
) -> Classification:
    """It cannot be labelled; `place` says where in the file the reason is. Raises LostLease."""
    row = claims.hold(session, Classification, claimed, _HELD)
    row.place = place
    _fail(session, row, cause, detail)
    return row


def hand_back(session: Session, claimed: Claim) -> None:
    """It waits for another worker, which counts as no attempt, or is cancelled if that was asked. Raises LostLease."""
    row = claims.hold(session, Classification, claimed, _HELD)
    claims.uncount(row)
    _free(session, row)


def reap(session: Session, *, max_attempts: int, limit: int = 100) -> Sequence[Classification]:
    """Frees what has an expired lease, cancels it if that was asked, or fails it with `worker_lost`; returns it all."""
    late = claims.expired(session, Classification, _HELD, limit=limit)
    for row in late:
        tally.note(session, Tallied.LEASE_LOST, KIND)
        if row.attempts < max_attempts or row.state is ClassificationState.CANCELLING:
            _free(session, row)
        else:
            detail = f"{row.attempts} attempts to label it lost their worker"
            _fail(session, row, FailureCause.WORKER_LOST, detail)
    return late


def cancel(session: Session, classification_id: str, *, tenant: str = TENANT) -> Classification:
    """Cancels what waits at once and asks a worker to stop; cancelling again changes nothing.

    Raises:
        NotFound: there is none.
        IllegalTransition: it has ended otherwise.
    """
    row = _locked(session, classification_id, tenant)
    match row.state:
        case ClassificationState.QUEUED:
            _end(session, row, ClassificationState.CANCELLED)
        case ClassificationState.RUNNING:
            row.state = ClassificationState.CANCELLING
            session.flush()
        case ClassificationState.SUCCEEDED | ClassificationState.FAILED:
            raise IllegalTransition(KIND, row.state, "be cancelled")
        case ClassificationState.CANCELLING | ClassificationState.CANCELLED:
            pass
    return row


def delete(session: Session, classification_id: str, *, tenant: str = TENANT) -> None:
    """Deletes one that has ended; its files go by collection.

    Raises:
        NotFound: there is none.
        IllegalTransition: it has not ended.
    """
    row = _locked(session, classification_id, tenant)
    if row.state not in ENDED_CLASSIFICATION:
        raise IllegalTransition(KIND, row.state, "be deleted; cancel it first")
    session.delete(row)
    session.flush()


def get(session: Session, classification_id: str, *, tenant: str = TENANT) -> Classification:
    """One. Raises NotFound."""
    row = session.get(Classification, classification_id)
    if row is None or row.tenant != tenant:
        raise NotFound(KIND, classification_id)
    return row


def page(
    session: Session,
    *,
    tenant: str = TENANT,
    state: ClassificationState | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Classification]:
    """Newest first. Raises BadCursor."""
    found = select(Classification).where(Classification.tenant == tenant)
    if state is not None:
        found = found.where(Classification.state == state)
    filters = {"list": "classifications", "state": state}
    return paging.by_id(session, found, Classification.id, filters, limit=limit, cursor=cursor)


def _locked(session: Session, classification_id: str, tenant: str) -> Classification:
    mine = (Classification.id == classification_id) & (Classification.tenant == tenant)
    locked = select(Classification).where(mine).with_for_update()
    row = session.scalars(locked, execution_options={"populate_existing": True}).one_or_none()
    if row is None:
        raise NotFound(KIND, classification_id)
    return row


def _free(session: Session, row: Classification) -> None:
    if row.state is ClassificationState.CANCELLING:
        _end(session, row, ClassificationState.CANCELLED)
        return
    row.state, row.queued_at = ClassificationState.QUEUED, db_now()
    claims.release(row)
    outbox.wake(session, IO)
    session.flush()


def _fail(session: Session, row: Classification, cause: FailureCause, detail: str) -> None:
    row.cause, row.detail = cause, detail
    _end(session, row, ClassificationState.FAILED)


def _end(session: Session, row: Classification, state: ClassificationState) -> None:
    row.state, row.finished_at, row.queued_at = state, db_now(), None
    row.upload_digest = row.upload_bytes = row.bundle_digest = None
    claims.release(row)
    session.flush()
