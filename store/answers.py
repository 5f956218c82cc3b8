"""Answers of teachers that runs left for other students of the same teachers: a row names their tree of objects."""

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from store.base import db_now, upsert
from store.models import TeacherAnswers


def find(session: Session, key: str, *, tenant: str) -> str | None:
    """The tree of a key's answers, which are now the last used."""
    used = update(TeacherAnswers).where(TeacherAnswers.tenant == tenant, TeacherAnswers.key == key)
    return session.scalar(used.values(used_at=db_now()).returning(TeacherAnswers.tree_digest))


def keep(session: Session, key: str, *, tenant: str, tree_digest: str, size_bytes: int, limit_bytes: int) -> list[str]:
    """Names a tree, and forgets those used longest ago until all together fit `limit_bytes`; returns what to delete.

    One that does not fit at all is not kept, and displaces nothing. A key's newer tree takes the place of the older.
    Invariant: no row names what is returned; two tenants that trained alike name one tree.
    """
    mine = (TeacherAnswers.tenant == tenant, TeacherAnswers.key == key)
    if size_bytes > limit_bytes:
        unfit = delete(TeacherAnswers).where(*mine).returning(TeacherAnswers.tree_digest)
        return _unnamed(session, {*session.scalars(unfit), tree_digest})
    replaced = session.scalar(select(TeacherAnswers.tree_digest).where(*mine).with_for_update())
    values = {"tree_digest": tree_digest, "size_bytes": size_bytes, "used_at": db_now()}
    insert = upsert(session, TeacherAnswers).values(tenant=tenant, key=key, **values)
    session.execute(insert.on_conflict_do_update(index_elements=["tenant", "key"], set_=values))
    newest_first = (TeacherAnswers.used_at.desc(), TeacherAnswers.tenant, TeacherAnswers.key)
    # What lies beyond the limit, counted from the last used.
    total = func.sum(TeacherAnswers.size_bytes).over(order_by=newest_first, rows=(None, 0)).label("total")
    ranked = select(TeacherAnswers.tenant, TeacherAnswers.key, total).subquery()
    beyond = select(ranked.c.tenant, ranked.c.key).where(ranked.c.total > limit_bytes)
    forgotten = delete(TeacherAnswers).where(tuple_(TeacherAnswers.tenant, TeacherAnswers.key).in_(beyond))
    return _unnamed(session, {*session.scalars(forgotten.returning(TeacherAnswers.tree_digest)), replaced})


def _unnamed(session: Session, trees: set[str | None]) -> list[str]:
    found = trees - {None}
    named = select(TeacherAnswers.tree_digest).where(TeacherAnswers.tree_digest.in_(found))
    return sorted(tree for tree in found - set(session.scalars(named)) if tree is not None)
