"""Registered models, on both databases."""

import pytest

from store import promotion, registry, runs
from store.engine import Database
from store.errors import NotFound
from tests.stored import add_ready_dataset, claim, finish, submit


def _register(database: Database, *, count: int = 1, name: str = "") -> None:
    """`count` runs of one job, each of which registers its bundle."""
    with database.write() as session:
        submit(session, seeds=range(count), name=name)
    for _ in range(count):
        with database.write() as session:
            runs.succeed(session, claim(session).claim, finish(register=True, test_accuracy=0.9))


@pytest.fixture(autouse=True)
def _dataset(database: Database) -> None:
    with database.write() as session:
        add_ready_dataset(session)


def test_versions_and_champion(database: Database) -> None:
    """Each registered run is a version; the first is champion until somebody promotes another."""
    _register(database, count=3, name="Wrist student, v2!")
    with database.read() as session:
        registered = registry.get(session, "wrist-student-v2")
        assert (registered.aliases, registered.model.last_version) == ({"champion": 1}, 3)
        assert registry.resolve(session, "wrist-student-v2").version == 1
        second = registry.resolve(session, "wrist-student-v2", version=2)
    assert (second.bundle_digest, second.bundle_bytes, second.dataset_name) == ("b" * 64, 4096, "made")
    assert second.metrics["test_accuracy"] == 0.9
    with database.write() as session:
        for alias, version in (("champion", 3), ("old", 1)):
            candidacy = promotion.consider(session, "wrist-student-v2", alias, version)
            gate = promotion.judge(candidacy, lambda _digest: None)
            promotion.promote(session, candidacy, gate, actor="me", reason="a try", force=True)
    with database.read() as session:
        assert registry.resolve(session, "wrist-student-v2").version == 3
        assert registry.resolve(session, "wrist-student-v2", alias="old").version == 1
        found = registry.version_of_run(session, second.run_id)
        assert found is not None
        assert found.version == 2
        assert registry.version_of_run(session, "run_none") is None


def test_model_without_name(database: Database) -> None:
    """A job without a name registers under dataset and method."""
    _register(database)
    with database.read() as session:
        assert registry.get(session, "made-pskd").model.last_version == 1


def test_what_is_not_there(database: Database) -> None:
    """An unknown name, version or alias, or another tenant's model, is not found, and the message says which."""
    _register(database, name="mine")
    with database.write() as session:
        for wanted in ({"version": 2}, {"alias": "best"}, {"tenant": "other"}):
            with pytest.raises(NotFound, match="mine"):
                registry.resolve(session, "mine", **wanted)
        with pytest.raises(NotFound):
            registry.get(session, "yours")
        with pytest.raises(NotFound):
            promotion.consider(session, "mine", "best", 9)


def test_pages(database: Database) -> None:
    """Models come by name with aliases and newest version, versions newest first."""
    for name in ("c", "a", "b"):
        _register(database, count=2, name=name)
    with database.read() as session:
        first = registry.page(session, limit=2)
        second = registry.page(session, limit=2, cursor=first.next_cursor)
        models = [each.model for each in (*first.items, *second.items)]
        newest = {row.model_id: row.version for row in registry.recent_versions(session, [m.id for m in models])}
        pages = [registry.versions(session, models[0].id, limit=1)]
        pages.append(registry.versions(session, models[0].id, limit=1, cursor=pages[0].next_cursor))
    assert ([model.name for model in models], second.next_cursor) == (["a", "b", "c"], None)
    assert newest == {model.id: 2 for model in models}
    assert [row.version for page in pages for row in page.items] == [2, 1]
