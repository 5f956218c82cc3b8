"""Counts of what has happened, kept in SQL so that they outlive every process and belong to what they count.

A count is a new row in the transaction that does the counted thing: nobody waits for another's, and what is rolled
back is not counted. The keeper folds many rows into few.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from store.outward import Tally

FEW = 1000  # rows that are not worth folding
_AT_A_TIME = 10_000


class Tallied(StrEnum):
    """What is counted."""

    LEASE_LOST = "lease_lost"  # by a "run", an "import" or a "classification"
    RUN = "run"  # that has ended: as "succeeded", "cancelled" or by the cause of its failure
    WEBHOOK = "webhook"  # an attempt to deliver: "delivered", "failed", or "dead" with the last one


# Upper ends of a histogram's buckets; what is not timed has none but infinity.
BOUNDS_S: Mapping[Tallied, Sequence[float]] = MappingProxyType(
    {
        Tallied.LEASE_LOST: (math.inf,),
        Tallied.RUN: (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 43200, 86400, math.inf),
        Tallied.WEBHOOK: (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, math.inf),
    }
)


@dataclass(frozen=True)
class Total:
    """How often something has happened that took at most `bound_s`, and more than the bound below."""

    what: Tallied
    label: str
    bound_s: float
    count: int
    seconds: float


def note(session: Session, what: Tallied, label: str, *, seconds: float = 0.0) -> None:
    """Counts it once, with this transaction's commit."""
    bounds = BOUNDS_S[what]
    session.add(Tally(what=what, label=label, bound_s=bounds[bisect_left(bounds, seconds)], seconds=seconds))


def totals(session: Session) -> Sequence[Total]:
    """Every count so far, in one statement, so that folding meanwhile changes nothing."""
    columns = (Tally.what, Tally.label, Tally.bound_s)
    found = select(*columns, func.sum(Tally.count), func.sum(Tally.seconds)).group_by(*columns)
    return [Total(Tallied(row[0]), row[1], row[2], int(row[3]), float(row[4])) for row in session.execute(found)]


def fold(session: Session) -> bool:
    """Replaces many rows by few with the same totals; whether there is more to fold.

    Invariant: of two that fold at once, the second finds the rows gone.
    """
    if (session.scalar(select(func.count()).select_from(Tally)) or 0) <= FEW:
        return False
    oldest = select(Tally.id).order_by(Tally.id).limit(_AT_A_TIME)
    columns = (Tally.what, Tally.label, Tally.bound_s, Tally.count, Tally.seconds)
    gone = session.execute(
        delete(Tally).where(Tally.id.in_(oldest)).returning(*columns), execution_options={"synchronize_session": False}
    ).all()
    few: dict[tuple[str, str, float], Tally] = {}
    for what, label, bound_s, count, seconds in gone:
        into = few.setdefault(
            (what, label, bound_s), Tally(what=what, label=label, bound_s=bound_s, count=0, seconds=0.0)
        )
        into.count += count
        into.seconds += seconds
    session.add_all(few.values())
    return len(gone) == _AT_A_TIME
