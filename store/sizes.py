"""Sizes of objects that rows name from before sizes were written with digests."""

import logging
from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement, select, text, true, update
from sqlalchemy.orm import InstrumentedAttribute

from store.base import present
from store.engine import Database
from store.errors import ObjectDamaged, ObjectMissing
from store.models import UNMEASURED, Dataset, Run
from store.objects import ObjectStore

logger = logging.getLogger(__name__)

_Measure = Callable[[ObjectStore, str], int]
_BATCH = 100

_OLD_RUN: ColumnElement[bool] = text(f"({UNMEASURED})")  # type: ignore[assignment]  # as the index has it
_COLUMNS: Sequence[
    tuple[
        type[Dataset] | type[Run],
        InstrumentedAttribute[str | None],
        InstrumentedAttribute[int | None],
        ColumnElement[bool],
        _Measure,
    ]
] = (
    (Dataset, Dataset.upload_digest, Dataset.upload_bytes, true(), ObjectStore.size),
    (Dataset, Dataset.tree_digest, Dataset.tree_bytes, true(), ObjectStore.tree_size),
    (Run, Run.checkpoint_digest, Run.checkpoint_bytes, _OLD_RUN, ObjectStore.tree_size),
    (Run, Run.predictions_digest, Run.predictions_bytes, _OLD_RUN, ObjectStore.size),
)


def measure(database: Database, objects: ObjectStore) -> int:
    """Writes down all sizes that are not known yet, and says how many; what is damaged stays unknown.

    What is not there takes nothing. A row that has come to name another object meanwhile is left as it is.
    """
    return sum(_measure(database, objects, *columns) for columns in _COLUMNS)


def _measure(
    database: Database,
    objects: ObjectStore,
    table: type[Dataset] | type[Run],
    digest: InstrumentedAttribute[str | None],
    size: InstrumentedAttribute[int | None],
    old: ColumnElement[bool],
    measured: _Measure,
) -> int:
    last, count = "", 0
    while True:
        unknown = select(table.id, digest).where(old, digest.is_not(None), size.is_(None), table.id > last)
        with database.read() as session:
            rows = session.execute(unknown.order_by(table.id).limit(_BATCH)).all()
        if not rows:
            return count
        found = {row_id: (named, _size(objects, named, measured)) for row_id, named in rows}
        with database.write() as session:
            for row_id, (named, size_bytes) in found.items():
                unchanged = (table.id == row_id) & (digest == named) & size.is_(None)
                session.execute(update(table).where(unchanged).values({size: size_bytes}))
        count += sum(size_bytes is not None for _, size_bytes in found.values())
        last = rows[-1].id


def _size(objects: ObjectStore, digest: str | None, measured: _Measure) -> int | None:
    try:
        return measured(objects, present(digest))
    except ObjectMissing:
        return 0
    except ObjectDamaged as damaged:
        logger.warning("an object cannot be measured: %s", damaged)
        return None
