"""The tables of what the service tells the world outside: figures, which monitoring reads."""

from sqlalchemy import BigInteger, Integer
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base


class Tally(Base):
    """Something that has happened `count` times; whoever counts adds a row, and the keeper folds rows into few."""

    __tablename__ = "tally"

    # SQLite numbers rows by itself only under INTEGER, which is as large there.
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    what: Mapped[str]  # of `tally.Tallied`
    label: Mapped[str]  # how it went, or to what; of few different ones
    bound_s: Mapped[float]  # each took at most so long: the bucket of a histogram; infinite where nothing is timed
    count: Mapped[int] = mapped_column(BigInteger, default=1)
    seconds: Mapped[float] = mapped_column(default=0.0)  # all of them together
