"""One recording labelled in its own process: from an upload of any length to its timeline in the object store."""

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from pskd_core.errors import DataError, problem_fields
from pskd_core.inference import Bundle
from pskd_core.long import SEGMENTS_FILE, WINDOWS_FILE, Reading, classify_long
from store import classifications, usage
from store.classifications import ClaimedClassification, Labelled
from store.engine import Database
from store.lifecycle import FailureCause
from store.objects import ObjectStore, opened
from worker.attempt import attempt
from worker.failures import detail_of
from worker.limits import UploadLimits

TOLD_EVERY_S = 1.0


def label_claimed(
    database: Database, objects: ObjectStore, claimed: ClaimedClassification, folder: Path, limits: UploadLimits
) -> None:
    """Label and write down the result, or why there is none. `limits` are those of this process."""

    def fail(session: Session, cause: FailureCause, error: Exception) -> None:
        place = problem_fields(error) if isinstance(error, DataError) else None
        classifications.fail(session, claimed.claim, cause=cause, detail=detail_of(error), place=place)

    attempt(lambda: _label(database, objects, claimed, folder / "timeline", limits), database, limits, fail)


def _label(
    database: Database, objects: ObjectStore, claimed: ClaimedClassification, folder: Path, limits: UploadLimits
) -> None:
    recording = folder.with_name("recording")
    objects.fetch_file(claimed.upload_digest, recording)  # not into the cache, where a day would lie for another day
    folder.mkdir()
    overview = classify_long(
        opened(objects, claimed.bundle_digest, Bundle.load),
        recording,
        folder,
        Reading.model_validate(claimed.reading),
        filename=claimed.name,
        told=_teller(database, claimed),
    )
    sizes = {name: (folder / name).stat().st_size for name in (SEGMENTS_FILE, WINDOWS_FILE)}
    more_bytes = sum(sizes.values()) - claimed.upload_bytes  # since the recording goes

    def check_room(session: Session) -> None:
        if more_bytes > 0:
            most_bytes = limits.tenant_bytes
            usage.check_room(session, adding_bytes=more_bytes, limit_bytes=most_bytes, tenant=claimed.tenant)

    with database.read() as session:  # what does not fit is not even put
        check_room(session)
    labelled = Labelled(
        overview=overview.model_dump(mode="json"),
        segments_digest=objects.put_file(folder / SEGMENTS_FILE),
        segments_bytes=sizes[SEGMENTS_FILE],
        windows_digest=objects.put_file(folder / WINDOWS_FILE),
        windows_bytes=sizes[WINDOWS_FILE],
    )
    with database.write() as session:
        check_room(session)
        classifications.finish(session, claimed.claim, labelled)


def _teller(database: Database, claimed: ClaimedClassification) -> Callable[[float], None]:
    """Writes down how much is done, now and then; raises LostLease once this claim is stale."""
    due_at = 0.0

    def tell(share: float) -> None:
        nonlocal due_at
        if (now := time.monotonic()) >= due_at:
            due_at = now + TOLD_EVERY_S
            with database.write() as session:
                classifications.progress(session, claimed.claim, share)

    return tell
