"""The triggers of a fault campaign see what no guard of the product has stopped."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from store import runs
from store.engine import Database
from store.objects import ObjectStore
from tests.faults import audit
from tests.faults.checker import check
from tests.stored import add_ready_dataset, claim, submit

PROCESSES = {"machine:1": "worker-1", "machine:2": "worker-2"}


@pytest.fixture
def processes(postgresql_url: str) -> Iterator[list[Database]]:
    """Two workers and a keeper, each with sessions of its own."""
    with ExitStack() as ends:
        opened = []
        for name in ("worker-1", "worker-2", "keeper-3"):
            named = make_url(postgresql_url).update_query_dict({"application_name": name})
            opened.append(Database(named.render_as_string(hide_password=False)))
            ends.callback(opened[-1].dispose)
        with opened[0].engine.begin() as connection:
            audit.install(connection.connection.driver_connection)  # type: ignore[arg-type]  # psycopg's
        yield opened


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("UPDATE metric SET value = 0.5 WHERE run_id = :id", "worker-1 wrote its metric"),
        ("UPDATE run SET epoch = 7 WHERE id = :id", "worker-1 wrote its run"),
        ("UPDATE run SET token = token - 1 WHERE id = :id", "a token fell"),
    ],
)
def test_a_write_past_the_guards_is_noted(processes: list[Database], tmp_path: Path, written: str, found: str) -> None:
    """Claims and writes under their tokens are no violation; one of the former owner that gets through is named."""
    first, second, keeper = processes
    with first.write() as session:
        add_ready_dataset(session)
        submit(session)
    with first.write() as session:
        run_id = claim(session, worker="machine:1", lease_s=0.0).run_id
    with keeper.write() as session:
        assert runs.reap(session, max_stalled_attempts=3) == [run_id]
    with second.write() as session:
        claimed = claim(session, worker="machine:2")
        runs.record_epoch(session, claimed.claim, epoch=0, epochs=2, phase="student", metrics={"loss": 0.25})
    assert _stale(keeper, tmp_path) == []
    with first.write() as session:
        session.execute(text(written), {"id": run_id})
    assert any(found in detail for detail in _stale(keeper, tmp_path))


def _stale(database: Database, folder: Path) -> list[str]:
    recorded = audit.Recorded((), PROCESSES, healed_at=0.0, patience_s=0.0)
    history = audit.history(database, ObjectStore(str(folder / "objects"), cache_dir=folder / "cache"), recorded)
    return [each.detail for each in check(history) if each.invariant == "no write with a stale token"]
