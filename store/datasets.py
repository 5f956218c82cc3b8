"""Datasets: create, import under a claim, read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from store import claims, jobs, outbox, paging, tally
from store.base import db_now, present
from store.claims import Claim
from store.errors import Conflict, NotFound
from store.lifecycle import DatasetState, FailureCause
from store.lookup import find_dataset
from store.models import TENANT, Dataset
from store.paging import Page
from store.queues import IO
from store.tally import Tallied


@dataclass(frozen=True)
class ClaimedImport:
    """What a worker needs to know to import a dataset it has claimed."""

    claim: Claim
    tenant: str
    name: str
    source: dict[str, Any]  # {"kind": "upload" | "synthetic" | "path", …}
    upload_digest: str | None  # of the uploaded file in the object store
    attempts: int
    lease_expires_at: datetime

    @property
    def dataset_id(self) -> str:
        """The dataset's id."""
        return self.claim.id

    @property
    def about(self) -> dict[str, str]:
        """What lines of the log say of it."""
        return {"dataset_id": self.dataset_id, "tenant": self.tenant}


_FREE = (Dataset.state == DatasetState.VALIDATING) & Dataset.worker.is_(None)
_HELD = (Dataset.state == DatasetState.VALIDATING) & Dataset.worker.is_not(None)


def create(
    session: Session,
    *,
    name: str,
    source: dict[str, Any],
    upload_digest: str | None = None,
    upload_bytes: int | None = None,
    tenant: str = TENANT,
) -> Dataset:
    """A dataset that waits for its import, and a wake of the `io` queue.

    Raises:
        Conflict: a dataset of that name is there and has not failed.
    """
    dataset = Dataset(
        tenant=tenant,
        name=name,
        source=source,
        upload_digest=upload_digest,
        upload_bytes=upload_bytes,
        queued_at=db_now(),
    )
    taken = exists().where(Dataset.tenant == tenant, Dataset.name == name, Dataset.state != DatasetState.FAILED)
    if session.scalar(select(taken)):
        raise Conflict(f"there is already a dataset {name!r}")
    session.add(dataset)
    try:
        session.flush()
    except IntegrityError:  # another request took the name since the look above
        raise Conflict(f"there is already a dataset {name!r}") from None
    outbox.wake(session, IO)
    return dataset


def claim_import(session: Session, *, worker: str, lease_s: float) -> ClaimedImport | None:
    """Takes the oldest import that nobody works on; None if there is none."""
    dataset = claims.take(session, Dataset, free=_FREE, order=(Dataset.id,), worker=worker, lease_s=lease_s)
    if dataset is None:
        return None
    return ClaimedImport(
        claim=Claim(dataset.id, dataset.token),
        tenant=dataset.tenant,
        name=dataset.name,
        source=dataset.source,
        upload_digest=dataset.upload_digest,
        attempts=dataset.attempts,
        lease_expires_at=present(dataset.lease_expires_at),
    )


def renew(session: Session, claim: Claim, *, lease_s: float) -> None:
    """Lengthens the lease. Raises LostLease."""
    claims.lengthen(session, Dataset, claim, _HELD, lease_s=lease_s)


def finish_import(
    session: Session, claim: Claim, *, report: dict[str, Any], content_digest: str, tree_digest: str, tree_bytes: int
) -> Dataset:
    """The dataset is ready. Then, in the same transaction, expand or fail each of `jobs.waiting(session, dataset.id)`.

    Raises:
        LostLease: the claim is stale.
    """
    # Jobs that are being submitted on it are waited for, and then found waiting; later ones find it ready.
    dataset = claims.hold(session, Dataset, claim, _HELD, no_new_references=True)
    dataset.state = DatasetState.READY
    dataset.report, dataset.content_digest = report, content_digest
    dataset.tree_digest, dataset.tree_bytes = tree_digest, tree_bytes
    claims.release(dataset)
    session.flush()
    return dataset


def fail_import(
    session: Session, claim: Claim, *, cause: FailureCause, detail: str, report: dict[str, Any] | None = None
) -> Dataset:
    """The import failed, and so do the jobs that waited for it.

    Raises:
        LostLease: the claim is stale.
    """
    dataset = claims.hold(session, Dataset, claim, _HELD, no_new_references=True)
    dataset.report = report
    _fail(session, dataset, cause, detail)
    return dataset


def hand_back(session: Session, claim: Claim) -> None:
    """Gives the import back in good order; no attempt is counted. Raises LostLease."""
    dataset = claims.hold(session, Dataset, claim, _HELD)
    claims.uncount(dataset)
    _free(session, dataset)


def reap(session: Session, *, max_attempts: int, limit: int = 100) -> Sequence[Dataset]:
    """Frees imports with an expired lease, or fails them with `worker_lost`; returns them all."""
    late = claims.expired(session, Dataset, _HELD, limit=limit, no_new_references=True)
    for dataset in late:
        tally.note(session, Tallied.LEASE_LOST, "import")
        if dataset.attempts < max_attempts:
            _free(session, dataset)
        else:
            detail = f"{dataset.attempts} attempts to import it lost their worker"
            _fail(session, dataset, FailureCause.WORKER_LOST, detail)
    return late


def _free(session: Session, dataset: Dataset) -> None:
    claims.release(dataset)
    dataset.queued_at = db_now()
    outbox.wake(session, IO)
    session.flush()


def _fail(session: Session, dataset: Dataset, cause: FailureCause, detail: str) -> None:
    dataset.state, dataset.cause, dataset.detail = DatasetState.FAILED, cause, detail
    claims.release(dataset)
    session.flush()
    for job in jobs.waiting(session, dataset.id):
        jobs.fail(session, job, cause=cause, detail=f"the import of dataset {dataset.name!r} failed: {detail}")


def get(session: Session, dataset_id: str, *, tenant: str = TENANT) -> Dataset:
    """One dataset. Raises NotFound."""
    found = select(Dataset).where(Dataset.id == dataset_id, Dataset.tenant == tenant)
    dataset = session.scalars(found).one_or_none()
    if dataset is None:
        raise NotFound("dataset", dataset_id)
    return dataset


def resolve(session: Session, id_or_name: str, *, tenant: str = TENANT) -> Dataset:
    """By id, else by name (one that has not failed first, then the newest). Raises NotFound."""
    return find_dataset(session, id_or_name, tenant=tenant)


def layouts(session: Session, dataset: str, *, tenant: str = TENANT) -> set[str]:
    """In which layout the ready datasets of this id, name or content digest were imported."""
    named = or_(*(column == dataset for column in (Dataset.id, Dataset.name, Dataset.content_digest)))
    ready = (Dataset.tenant == tenant) & (Dataset.state == DatasetState.READY)
    return {present(report)["layout"] for report in session.scalars(select(Dataset.report).where(ready, named))}


def page(
    session: Session,
    *,
    tenant: str = TENANT,
    state: DatasetState | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Dataset]:
    """Datasets, newest first. Raises BadCursor."""
    wanted = select(Dataset).where(Dataset.tenant == tenant)
    if state is not None:
        wanted = wanted.where(Dataset.state == state)
    return paging.by_id(session, wanted, Dataset.id, {"list": "datasets", "state": state}, limit=limit, cursor=cursor)
