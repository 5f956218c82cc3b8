"""The outbox, on both databases: nothing leaves before its commit, nothing is forgotten, order stands."""

from collections.abc import Sequence

import pytest
from sqlalchemy.orm import Session

from store import datasets, outbox, runs
from store.engine import Database
from store.outbox import Message
from tests.stored import add_ready_dataset, claim, submit


def _add(database: Database, *numbered: tuple[str, int]) -> None:
    with database.write() as session:
        for key, number in numbered:
            outbox.add(session, "mlflow", key, {"number": number})


def _take(database: Database, *, limit: int = 100, hold_s: float = 60.0) -> Sequence[Message]:
    with database.write() as session:
        return outbox.take(session, "mlflow", limit=limit, hold_s=hold_s)


def _numbers(messages: Sequence[Message]) -> list[int]:
    return [message.payload["number"] for message in messages]


def test_rolled_back_message_is_never_seen(database: Database) -> None:
    """A message belongs to its transaction."""

    def add_and_fail(session: Session) -> None:
        outbox.add(session, "mlflow", "run_a", {"number": 1})
        session.flush()
        raise LookupError

    with pytest.raises(LookupError), database.write() as session:
        add_and_fail(session)
    assert _take(database) == []


def test_taken_messages_are_hidden_until_they_are_late(database: Database) -> None:
    """What one sender took no other takes, until the sender has had its time; then it counts as not sent."""
    _add(database, ("run_a", 1), ("run_a", 2))
    taken = _take(database)
    assert (_numbers(taken), [message.attempts for message in taken]) == ([1, 2], [0, 0])
    assert _take(database) == []
    with database.write() as session:
        outbox.postpone(session, [message.id for message in taken], delay_s=-1)
    again = _take(database, hold_s=-1)
    assert (_numbers(again), [message.attempts for message in again]) == ([1, 2], [1, 1])


def test_sent_messages_never_come_again(database: Database) -> None:
    """Sent is sent, also if a slower sender postpones it afterwards; old ones are purged."""
    _add(database, ("run_a", 1))
    ids = [message.id for message in _take(database)]
    with database.write() as session:
        outbox.mark_sent(session, ids)
        outbox.postpone(session, ids, delay_s=0)
    assert _take(database) == []
    with database.write() as session:
        assert outbox.purge(session, older_than_s=3600) == 0
        assert outbox.purge(session, older_than_s=-1) == 1


def test_order_within_a_key(database: Database) -> None:
    """While the oldest message of a key is held back, its younger ones wait; other keys go on."""
    _add(database, ("run_a", 1), ("run_b", 2), ("run_a", 3))
    (first,) = _take(database, limit=1)
    assert _numbers(_take(database)) == [2]
    with database.write() as session:
        outbox.postpone(session, [first.id], delay_s=60)
    assert _take(database) == []
    with database.write() as session:
        outbox.postpone(session, [first.id], delay_s=-1)
    assert _numbers(_take(database)) == [1, 3]


def test_kinds_do_not_wait_for_one_another(database: Database) -> None:
    """MLflow being down holds no wake back."""
    _add(database, ("cpu", 1))
    _take(database)
    with database.write() as session:
        outbox.wake(session, "cpu")
    with database.write() as session:
        assert [message.kind for message in outbox.take(session, "wake")] == ["wake"]


def test_unclaimed_work_is_found(database: Database) -> None:
    """Whatever waits too long is counted by queue, however its wake got lost; what is claimed or young is not."""
    with database.write() as session:
        add_ready_dataset(session)
        datasets.create(session, name="second", source={"kind": "synthetic"})
        submit(session, seeds=(0, 1, 2))
        submit(session, resources={"device": "cuda"})
    with database.write() as session:
        claimed = claim(session)
    with database.read() as session:
        assert outbox.unclaimed(session, older_than_s=60) == {}
        assert outbox.unclaimed(session, older_than_s=-1) == {"cpu": 2, "gpu": 1, "io": 1}
    with database.write() as session:
        runs.hand_back(session, claimed.claim)
        assert datasets.claim_import(session, worker="importer", lease_s=30) is not None
    with database.read() as session:
        assert outbox.unclaimed(session, older_than_s=-1) == {"cpu": 3, "gpu": 1}
