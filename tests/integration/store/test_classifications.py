"""Long recordings that wait to be labelled, are, and have been, on both databases."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from store import census, classifications, outbox, usage
from store.claims import Claim
from store.classifications import ClaimedClassification, Labelled
from store.engine import Database
from store.errors import IllegalTransition, LostLease, NotFound
from store.lifecycle import ClassificationState, FailureCause, RunState, Wanted
from store.timelines import Classification
from tests.recordings import UPLOAD_BYTES, add_classification

LABELLED = Labelled({"label": "x"}, "c" * 64, 70, "d" * 64, 7000)


def _create(database: Database, **fields: str) -> str:
    with database.write() as session:
        return add_classification(session, **fields).id  # type: ignore[arg-type]


def _claim(database: Database, *, lease_s: float = 30.0) -> ClaimedClassification:
    with database.write() as session:
        claimed = classifications.claim(session, worker="one", lease_s=lease_s)
    assert claimed is not None
    return claimed


def _get(database: Database, classification_id: str) -> Classification:
    with database.read() as session:
        return classifications.get(session, classification_id)


def test_golden_path(database: Database) -> None:
    """A recording waits, wakes the io queue, is claimed once, says how far it is, and names its timeline at last."""
    created = _create(database)
    with database.write() as session:
        assert [wake.key for wake in outbox.take(session, "wake")] == ["io"]
    claimed = _claim(database)
    assert (claimed.claim.id, claimed.upload_digest, claimed.bundle_digest) == (created, "a" * 64, "b" * 64)
    with database.write() as session:
        assert classifications.claim(session, worker="two", lease_s=30) is None
        assert classifications.renew(session, claimed.claim, lease_s=30) is Wanted.RUN
        classifications.progress(session, claimed.claim, 0.25)
    under_way = _get(database, created)
    assert (under_way.state, under_way.fraction) == (ClassificationState.RUNNING, 0.25)
    with database.write() as session:
        classifications.finish(session, claimed.claim, LABELLED)
    done = _get(database, created)
    assert (done.state, done.fraction, done.overview) == (ClassificationState.SUCCEEDED, 1.0, {"label": "x"})
    assert (done.segments_digest, done.windows_bytes) == ("c" * 64, 7000)
    assert done.finished_at is not None


def test_what_has_ended_names_neither_recording_nor_model(database: Database) -> None:
    """However it ends, the upload and the bundle are kept for nobody any more, and do not count."""
    ended = []
    ends: list[Callable[[Session, Claim], object]] = [
        lambda session, claim: classifications.finish(session, claim, LABELLED),
        lambda session, claim: classifications.fail(session, claim, cause=FailureCause.DATA, detail="no"),
    ]
    for end in ends:
        ended.append(_create(database))
        claimed = _claim(database)
        with database.write() as session:
            end(session, claimed.claim)
    ended.append(_create(database))
    with database.write() as session:
        classifications.cancel(session, ended[-1])
    for each in [_get(database, key) for key in ended]:
        assert (each.upload_digest, each.upload_bytes, each.bundle_digest) == (None, None, None)
    _create(database)
    with database.read() as session:
        assert usage.look(session).kinds["classifications"] == usage.Kept(4, 70 + 7000 + UPLOAD_BYTES)


Write = Callable[[Session], object]


def test_a_stale_worker_writes_nothing(database: Database) -> None:
    """Whoever lost its lease can neither go on, nor tell how far it is, nor end the work in any way."""
    created = _create(database)
    old = _claim(database, lease_s=-1).claim
    with database.write() as session:
        assert [row.id for row in classifications.reap(session, max_attempts=3)] == [created]
    new = _claim(database)
    writes: list[Write] = [
        lambda session: classifications.renew(session, old, lease_s=30),
        lambda session: classifications.wanted(session, old),
        lambda session: classifications.progress(session, old, 0.5),
        lambda session: classifications.hand_back(session, old),
        lambda session: classifications.fail(session, old, cause=FailureCause.DATA, detail="late"),
        lambda session: classifications.finish(session, old, LABELLED),
    ]
    for write in writes:
        with pytest.raises(LostLease), database.write() as session:
            write(session)
    row = _get(database, created)
    assert (row.state, row.token, row.fraction, row.attempts) == (ClassificationState.RUNNING, new.claim.token, 0.0, 2)


def test_a_recording_that_kills_its_workers_is_given_up(database: Database) -> None:
    """After three attempts it fails with `worker_lost`; one that was handed back in good order has had none."""
    created = _create(database)
    handed_back = _claim(database)
    with database.write() as session:
        classifications.hand_back(session, handed_back.claim)
    for _ in range(3):
        _claim(database, lease_s=-1)
        with database.write() as session:
            classifications.reap(session, max_attempts=3)
    row = _get(database, created)
    assert (row.state, row.cause) == (ClassificationState.FAILED, "worker_lost")
    assert row.detail == "3 attempts to label it lost their worker"


def test_cancelling(database: Database) -> None:
    """What waits is cancelled at once, what is under way when its worker gives it up or is lost; an end stays."""
    waiting, running, lost = (_create(database) for _ in range(3))
    with database.write() as session:
        assert classifications.cancel(session, waiting).state is ClassificationState.CANCELLED
        assert classifications.cancel(session, waiting).state is ClassificationState.CANCELLED
    claims = _claim(database).claim, _claim(database, lease_s=-1).claim
    for created, claim in zip((running, lost), claims, strict=True):
        with database.write() as session:
            assert classifications.wanted(session, claim) is Wanted.RUN
            assert classifications.cancel(session, created).state is ClassificationState.CANCELLING
            assert classifications.cancel(session, created).state is ClassificationState.CANCELLING
            assert classifications.wanted(session, claim) is Wanted.CANCEL
    with database.write() as session:
        classifications.hand_back(session, claims[0])
        classifications.reap(session, max_attempts=1)
        assert classifications.claim(session, worker="one", lease_s=30) is None
    assert {_get(database, each).state for each in (waiting, running, lost)} == {ClassificationState.CANCELLED}
    _create(database)
    done = _claim(database).claim
    with database.write() as session:
        classifications.finish(session, done, LABELLED)
    with pytest.raises(IllegalTransition, match="that is succeeded cannot be cancelled"), database.write() as session:
        classifications.cancel(session, done.id)


def test_only_what_has_ended_is_deleted(database: Database) -> None:
    """One that waits has to be cancelled first; another tenant's is not there."""
    created = _create(database)
    with pytest.raises(IllegalTransition, match="cancel it first"), database.write() as session:
        classifications.delete(session, created)
    for act in (classifications.get, classifications.cancel, classifications.delete):
        with pytest.raises(NotFound), database.write() as session:
            act(session, created, tenant="other")
    with database.write() as session:
        classifications.cancel(session, created)
        classifications.delete(session, created)
    with pytest.raises(NotFound):
        _get(database, created)


def test_pages_hold_one_tenant_s_newest_first(database: Database) -> None:
    """A list pages through the own rows, of one state if that is asked."""
    own = [_create(database) for _ in range(3)]
    _create(database, tenant="other")
    with database.write() as session:
        classifications.cancel(session, own[1])
    with database.read() as session:
        first = classifications.page(session, limit=2)
        second = classifications.page(session, limit=2, cursor=first.next_cursor)
        cancelled = classifications.page(session, state=ClassificationState.CANCELLED)
    assert [row.id for row in (*first.items, *second.items)] == own[::-1]
    assert [row.id for row in cancelled.items] == [own[1]]


def test_what_waits_is_known_to_who_looks(database: Database) -> None:
    """Figures and the nudger count recordings with imports, as waiting or under way."""
    _create(database)
    _create(database)
    _claim(database)
    with database.read() as session:
        assert outbox.unclaimed(session, older_than_s=-1) == {"io": 1}
        seen = census.look(session)
    assert {at: count for at, count in seen.depths.items() if count} == {
        ("io", RunState.QUEUED): 1,
        ("io", RunState.RUNNING): 1,
    }
