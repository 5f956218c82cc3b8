"""What all tables share: UTC times, the database's own clock, ids that sort by age."""

import secrets
import threading
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from sqlalchemy import DateTime, Dialect, Enum, Float, MetaData, Text, TypeDecorator, literal
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import JSON

from store.lifecycle import ClassificationState, DatasetState, JobState, RunState, Wanted

T = TypeVar("T")

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32 in lower case: sorts like the numbers
_RANDOM_BITS = 80
_ID_LENGTH = 26  # 48 bits of milliseconds and 80 random bits, 5 bits a letter
_STEP_BITS = 64


class _Numbers:
    """Milliseconds and random bits, each greater than the last: within a millisecond too, and by a clock set back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        number = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        with self._lock:
            if number <= self._last:
                # A step at random, so that a neighbour's id cannot be told from one's own.
                number = self._last + 1 + secrets.randbits(_STEP_BITS)
            self._last = number
        return number


_numbers = _Numbers()


def new_id(prefix: str) -> str:
    """An opaque id such as `job_01k…`; ids of one kind sort by creation, strictly within a process."""
    number = _numbers.next()
    return f"{prefix}_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_ID_LENGTH - 1), -1, -5))


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time on both databases (SQLite stores text without a zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuses naive times, which would mean something else on each machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Adds the zone that SQLite does not keep."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Storable(TypeDecorator[str]):
    """Text that both databases take: NUL and lone surrogates, as in hostile file names, become `\ufffd` and `?`."""

    impl = Text()
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        """The nearest text that can be stored and looked up."""
        return None if value is None else value.replace("\0", "\ufffd").encode(errors="replace").decode()


class db_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The database's clock, now plus `offset_s`; it moves within a transaction, unlike SQL's `now()`."""

    type = UtcDateTime()
    name = "db_now"
    inherit_cache = True

    def __init__(self, offset_s: float = 0.0) -> None:
        super().__init__(literal(float(offset_s), Float))


@compiles(db_now, "postgresql")
def _postgresql_now(element: db_now, compiler: SQLCompiler, **kwargs: Any) -> str:
    offset = compiler.process(element.clauses, **kwargs)
    return f"(clock_timestamp() + make_interval(secs => {offset}))"


@compiles(db_now, "sqlite")
def _sqlite_now(element: db_now, compiler: SQLCompiler, **kwargs: Any) -> str:
    # The text form of SQLAlchemy's DateTime, so that times compare as text. SQLite's clock has milliseconds.
    offset = compiler.process(element.clauses, **kwargs)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {offset} || ' seconds')"


def _enum(kind: type[StrEnum]) -> Enum:
    return Enum(kind, native_enum=False, length=16, values_callable=lambda members: [m.value for m in members])


class Base(DeclarativeBase):
    """Metadata with named constraints, which migrations can drop on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    # What the database computes (times) comes back with the write, so that rows are whole after the session.
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012
    # Plain JSON, not JSONB: nothing queries inside it, and JSONB would reorder the keys of stored specs and reports.
    type_annotation_map: ClassVar = {
        datetime: UtcDateTime(),
        str: Storable(),
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
        ClassificationState: _enum(ClassificationState),
        DatasetState: _enum(DatasetState),
        JobState: _enum(JobState),
        RunState: _enum(RunState),
        Wanted: _enum(Wanted),
    }


def present(value: T | None) -> T:
    """A value that is there because of the state its row is in."""
    if value is None:
        raise RuntimeError("a row lacks what its state promises")
    return value


def upsert(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT of the session's dialect, for its `on_conflict_…` methods."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
