"""Rows of kept answers: found by tenant and key, forgotten in the order of their last use."""

from collections.abc import Sequence

from store import answers
from store.engine import Database


def keep(database: Database, key: str, *, tenant: str = "default", size: int = 10, limit: int = 25) -> Sequence[str]:
    with database.write() as session:
        return answers.keep(
            session, key, tenant=tenant, tree_digest=f"tree of {key}", size_bytes=size, limit_bytes=limit
        )


def find(database: Database, key: str, *, tenant: str = "default") -> str | None:
    with database.write() as session:
        return answers.find(session, key, tenant=tenant)


def test_a_tenant_finds_its_own(database: Database) -> None:
    """Nobody learns by a quick run what another has trained."""
    assert keep(database, "a") == []
    assert find(database, "a") == "tree of a"
    assert find(database, "b") is None
    assert find(database, "a", tenant="other") is None


def test_the_first_stays(database: Database) -> None:
    """Of two runs that leave the same answers one is counted."""
    keep(database, "a", size=20)
    assert keep(database, "a", size=20) == []
    assert find(database, "a") == "tree of a"


def test_what_was_used_longest_ago_goes(database: Database) -> None:
    """Two of 10 bytes fit 25; the third displaces the one that nobody has asked for since."""
    keep(database, "a")
    keep(database, "b")
    find(database, "a")
    assert keep(database, "c") == ["tree of b"]
    assert [find(database, key) for key in "abc"] == ["tree of a", None, "tree of c"]


def test_what_does_not_fit_at_all_is_not_kept(database: Database) -> None:
    """The caller is told to delete what it has just stored; what was there goes first only if it is older."""
    assert keep(database, "a", size=30) == ["tree of a"]
    assert find(database, "a") is None
