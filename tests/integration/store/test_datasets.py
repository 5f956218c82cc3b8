"""Datasets and their imports, on both databases."""

import pytest

from store import datasets, outbox
from store.datasets import ClaimedImport
from store.engine import Database
from store.errors import Conflict, LostLease, NotFound
from store.lifecycle import DatasetState, FailureCause
from store.models import Dataset
from tests.stored import add_ready_dataset

SOURCE = {"kind": "upload", "filename": "UTD-MHAD.zip"}


def _create(database: Database, name: str = "mine") -> Dataset:
    with database.write() as session:
        return datasets.create(session, name=name, source=SOURCE, upload_digest="a" * 64)


def _claim(database: Database, *, lease_s: float = 30.0) -> ClaimedImport:
    with database.write() as session:
        claimed = datasets.claim_import(session, worker="importer", lease_s=lease_s)
    assert claimed is not None
    return claimed


def _get(database: Database, dataset_id: str) -> Dataset:
    with database.read() as session:
        return datasets.get(session, dataset_id)


def test_golden_path(database: Database) -> None:
    """A dataset waits, wakes the io queue, is claimed once and becomes ready with report and digests."""
    created = _create(database)
    with database.write() as session:
        assert [wake.key for wake in outbox.take(session, "wake")] == ["io"]
    claimed = _claim(database)
    assert (claimed.dataset_id, claimed.source, claimed.upload_digest) == (created.id, SOURCE, "a" * 64)
    with database.write() as session:
        assert datasets.claim_import(session, worker="second", lease_s=30) is None
        datasets.renew(session, claimed.claim, lease_s=30)
        datasets.finish_import(
            session,
            claimed.claim,
            report={"recordings": 3},
            content_digest="c" * 64,
            tree_digest="7" * 64,
            tree_bytes=1,
        )
    ready = _get(database, created.id)
    assert (ready.state, ready.report, ready.tree_digest) == (DatasetState.READY, {"recordings": 3}, "7" * 64)
    with database.read() as session:
        assert datasets.resolve(session, "mine").id == datasets.resolve(session, created.id).id == created.id


def test_stale_import_writes_nothing(database: Database) -> None:
    """An importer that lost its lease cannot finish, fail, renew or hand back."""
    _create(database)
    old = _claim(database, lease_s=-1)
    with database.write() as session:
        assert [dataset.id for dataset in datasets.reap(session, max_attempts=3)] == [old.dataset_id]
    _claim(database)
    for write in (
        lambda session: datasets.renew(session, old.claim, lease_s=30),
        lambda session: datasets.hand_back(session, old.claim),
        lambda session: datasets.fail_import(session, old.claim, cause=FailureCause.DATA, detail="late"),
        lambda session: datasets.finish_import(
            session, old.claim, report={}, content_digest="c", tree_digest="t", tree_bytes=1
        ),
    ):
        with pytest.raises(LostLease), database.write() as session:
            write(session)
    assert _get(database, old.dataset_id).state is DatasetState.VALIDATING


def test_import_that_loses_workers_fails(database: Database) -> None:
    """A file that kills every worker is given up after three attempts, not tried without end."""
    created = _create(database)
    for _ in range(3):
        assert _get(database, created.id).state is DatasetState.VALIDATING
        _claim(database, lease_s=-1)
        with database.write() as session:
            datasets.reap(session, max_attempts=3)
    failed = _get(database, created.id)
    assert (failed.state, failed.cause) == (DatasetState.FAILED, "worker_lost")


def test_orderly_hand_back_is_no_attempt(database: Database) -> None:
    """A worker that shuts down in good order costs the import nothing."""
    created = _create(database)
    for _ in range(4):
        claimed = _claim(database)
        with database.write() as session:
            datasets.hand_back(session, claimed.claim)
    assert (_get(database, created.id).attempts, _claim(database).attempts) == (0, 1)


def test_names(database: Database) -> None:
    """A name is taken until its import has failed; another tenant has names of its own."""
    first = _create(database)
    with pytest.raises(Conflict):
        _create(database)
    with database.write() as session:
        datasets.create(session, name="mine", source=SOURCE, tenant="other")
    claimed = _claim(database)
    assert claimed.dataset_id == first.id
    with database.write() as session:
        datasets.fail_import(
            session, claimed.claim, cause=FailureCause.DATA, detail="row 3 of a.csv\0", report={"problems": []}
        )
    assert _get(database, first.id).detail == "row 3 of a.csv\ufffd"
    second = _create(database)
    with database.read() as session:
        assert datasets.resolve(session, "mine").id == second.id
        assert datasets.resolve(session, first.id).id == first.id


def test_pages_and_tenants(database: Database) -> None:
    """Pages show a tenant's datasets, newest first; another tenant's id is not found."""
    with database.write() as session:
        ready = [add_ready_dataset(session, f"made-{index}").id for index in range(3)]
    waiting = _create(database)
    with database.read() as session:
        first = datasets.page(session, limit=3)
        second = datasets.page(session, limit=3, cursor=first.next_cursor)
        assert [row.id for row in (*first.items, *second.items)] == [waiting.id, *reversed(ready)]
        assert [row.id for row in datasets.page(session, state=DatasetState.READY).items] == ready[::-1]
        with pytest.raises(NotFound):
            datasets.get(session, ready[0], tenant="other")
