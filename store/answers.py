"""Answers of teachers that runs left for other students of the same teachers: a row names their tree of objects."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from store.base import db_now, upsert
from store.models import TeacherAnswers


def find(session: Session, key: str, *, tenant: str) -> str | None:
    """The tree of a key's answers, which are now the last used."""
    used = update(TeacherAnswers).where(TeacherAnswers.tenant == tenant, TeacherAnswers.key == key)
    return session.scalar(used.values(used_at=db_now()).returning(TeacherAnswers.tree_digest))


def keep(
    session: Session, key: str, *, tenant: str, tree_digest: str, size_bytes: int, limit_bytes: int
) -> Sequence[str]:
    """Names a tree, and forgets those used longest ago until all together fit `limit_bytes`; returns what to delete.

    Invariant: a tree has one row, so what is forgotten is nobody's; of two runs that leave the same, the first stays.
    """
    values = {"tenant": tenant, "key": key, "tree_digest": tree_digest, "size_bytes": size_bytes}
    session.execute(upsert(session, TeacherAnswers).values(values).on_conflict_do_nothing())
    newest_first = (TeacherAnswers.used_at.desc(), TeacherAnswers.key)
    # What lies beyond the limit, counted from the last used.
    total = func.sum(TeacherAnswers.size_bytes).over(order_by=newest_first, rows=(None, 0)).label("total")
    ranked = select(TeacherAnswers.tree_digest, total).subquery()
    beyond = select(ranked.c.tree_digest).where(ranked.c.total > limit_bytes)
    forgotten = delete(TeacherAnswers).where(TeacherAnswers.tree_digest.in_(beyond))
    return session.scalars(forgotten.returning(TeacherAnswers.tree_digest)).all()
