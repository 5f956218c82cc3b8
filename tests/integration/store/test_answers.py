"""Rows of kept answers: found by tenant and key, forgotten in the order of their last use."""

from store import answers
from store.engine import Database


def keep(
    database: Database, key: str, *, tree: str | None = None, size: int = 10, tenant: str = "default"
) -> list[str]:
    digest = tree or f"tree of {key}"
    with database.write() as session:
        return answers.keep(session, key, tenant=tenant, tree_digest=digest, size_bytes=size, limit_bytes=25)


def find(database: Database, key: str, *, tenant: str = "default") -> str | None:
    with database.write() as session:
        return answers.find(session, key, tenant=tenant)


def test_a_tenant_finds_its_own(database: Database) -> None:
    """Nobody learns by a quick run what another has trained."""
    assert keep(database, "a") == []
    assert find(database, "a") == "tree of a"
    assert find(database, "b") is None
    assert find(database, "a", tenant="other") is None


def test_a_newer_tree_takes_the_place_of_the_older(database: Database) -> None:
    """So a row whose files are lost heals; the same tree again changes nothing."""
    keep(database, "a")
    assert keep(database, "a") == []
    assert keep(database, "a", tree="another") == ["tree of a"]
    assert find(database, "a") == "another"


def test_what_was_used_longest_ago_goes(database: Database) -> None:
    """Two of 10 bytes fit 25; the third displaces the one that nobody has asked for since."""
    keep(database, "a")
    keep(database, "b")
    find(database, "a")
    assert keep(database, "c") == ["tree of b"]
    assert [find(database, key) for key in "abc"] == ["tree of a", None, "tree of c"]


def test_what_does_not_fit_at_all_is_not_kept(database: Database) -> None:
    """The caller is told to delete what it has just stored, and nobody else has to make room for it."""
    keep(database, "a")
    assert keep(database, "b", size=30) == ["tree of b"]
    assert [find(database, key) for key in "ab"] == ["tree of a", None]
    assert keep(database, "a", size=30, tree="another") == ["another", "tree of a"]
    assert find(database, "a") is None


def test_what_another_tenant_names_stays(database: Database) -> None:
    """Two that trained alike share a tree; whoever is forgotten, replaced or too large takes nothing from the other."""
    for tenant in ("default", "other"):
        assert keep(database, "a", tree="shared", tenant=tenant) == []
    assert keep(database, "a", tree="newer", tenant="other") == []
    assert keep(database, "a", tree="shared", tenant="other") == ["newer"]
    assert keep(database, "b", tenant="other") == []  # the first tenant's is forgotten, and it alone
    assert [find(database, "a", tenant=tenant) for tenant in ("default", "other")] == [None, "shared"]
    assert keep(database, "a", tree="shared", size=30) == []
    assert keep(database, "a", tree="shared", size=30, tenant="other") == ["shared"]
