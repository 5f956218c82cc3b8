"""Counts and the census, on both databases: they tell what has been committed, however rows are folded."""

import math

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store import census, classifications, datasets, outbox, runs, tally
from store.census import Backlog
from store.engine import Database
from store.lifecycle import FailureCause, RunState
from store.outward import Tally
from store.tally import Tallied
from tests.recordings import add_classification
from tests.stored import add_ready_dataset, claim, counted, finish, submit

EXPIRED_S = -1.0


def told(database: Database) -> dict[tuple[str, str], int]:
    """How often what has happened, whatever it took."""
    found: dict[tuple[str, str], int] = {}
    with database.read() as session:
        for total in tally.totals(session):
            found[total.what, total.label] = found.get((total.what, total.label), 0) + total.count
    return found


def test_leases_and_ended_runs_are_counted_once(database: Database) -> None:
    """A lost lease counts by what lost it, an ended run by how it ended; what was taken back counts for nothing."""
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, seeds=[0, 1, 2])
        claim(session, lease_s=EXPIRED_S)
        runs.succeed(session, claim(session).claim, finish())
        runs.fail(session, claim(session).claim, cause=FailureCause.NAN_LOSS, detail="NaN")
        datasets.create(session, name="lost", source={"kind": "synthetic"})
        datasets.claim_import(session, worker="w", lease_s=EXPIRED_S)
        add_classification(session)
        classifications.claim(session, worker="w", lease_s=EXPIRED_S)
    for _ in range(2):
        with database.write() as session:
            runs.reap(session, max_stalled_attempts=3)
            datasets.reap(session, max_attempts=3)
            classifications.reap(session, max_attempts=3)

    def count_and_fail(session: Session) -> None:
        tally.note(session, Tallied.LEASE_LOST, "run")
        session.flush()
        raise LookupError

    with pytest.raises(LookupError), database.write() as session:
        count_and_fail(session)
    assert told(database) == {
        ("lease_lost", "run"): 1,
        ("lease_lost", "import"): 1,
        ("lease_lost", "classification"): 1,
        ("run", "succeeded"): 1,
        ("run", "nan_loss"): 1,
    }


def test_folding_changes_no_total(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many rows become one for each bucket, with the same counts and sums; few rows are left alone."""
    monkeypatch.setattr("store.tally.FEW", 10)
    monkeypatch.setattr("store.tally._AT_A_TIME", 7)
    seconds = [0.5, 1.0, 1.5, 90_000.0] * 3
    with database.write() as session:
        for each in seconds[:10]:
            tally.note(session, Tallied.RUN, "succeeded", seconds=each)
    with database.write() as session:
        assert not tally.fold(session)
        for each in seconds[10:]:
            tally.note(session, Tallied.RUN, "succeeded", seconds=each)
    while True:
        with database.write() as session:
            if not tally.fold(session):
                break
    with database.read() as session:
        found = {total.bound_s: (total.count, total.seconds) for total in tally.totals(session)}
        rows = session.scalar(select(func.count()).select_from(Tally))
    assert found == {1.0: (6, 4.5), 5.0: (3, 4.5), math.inf: (3, 270_000.0)}
    assert rows is not None
    assert rows <= 10


def test_the_census_counts_queues_and_messages(database: Database) -> None:
    """Waiting and running are told by queue, the oldest's age grows, and the number of queries does not."""
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, seeds=[0, 1, 2])
        submit(session, resources={"device": "cuda"})
        claim(session)
        datasets.create(session, name="next", source={"kind": "synthetic"})
        outbox.add(session, "mlflow", "run_a", {})
    with counted(database) as queries, database.read() as session:
        seen = census.look(session)
    assert len(queries) == 6
    assert {at: count for at, count in seen.depths.items() if count} == {
        ("cpu", RunState.QUEUED): 2,
        ("cpu", RunState.RUNNING): 1,
        ("gpu", RunState.QUEUED): 1,
        ("io", RunState.QUEUED): 1,
    }
    assert min(seen.oldest_s.values()) > 0
    assert (seen.messages["mlflow"].count, seen.messages["wake"].count) == (1, 6)
    with database.write() as session:
        taken = outbox.take(session, "mlflow")
        outbox.mark_sent(session, [message.id for message in taken])
    with database.read() as session:
        later = census.look(session)
    assert later.messages["mlflow"] == Backlog(0, 0.0)
    assert later.oldest_s["cpu"] > seen.oldest_s["cpu"]
