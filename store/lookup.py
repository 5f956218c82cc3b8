"""How a dataset is named in a request: by id or by name."""

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session

from store.errors import NotFound
from store.lifecycle import DatasetState
from store.models import Dataset

# Built once: every submit asks this, and to build it costs as much as to ask it.
_NAMED = bindparam("named", type_=Dataset.name.type)
_BEST = (
    select(Dataset)
    .where(Dataset.tenant == bindparam("tenant"), or_(Dataset.id == _NAMED, Dataset.name == _NAMED))
    .order_by((Dataset.id == _NAMED).desc(), Dataset.state == DatasetState.FAILED, Dataset.id.desc())
    .limit(1)
)
_LOCKED = _BEST.with_for_update(read=True, key_share=True)


def find_dataset(session: Session, id_or_name: str, *, tenant: str, lock: bool = False) -> Dataset:
    """By id, else by name (one that has not failed first, then the newest).

    `lock` keeps its import from ending before the commit; claims and renewals go on meanwhile.

    Raises:
        NotFound: the tenant has no such dataset.
    """
    wanted = {"tenant": tenant, "named": id_or_name}
    fresh = {"populate_existing": lock}
    dataset = session.scalars(_LOCKED if lock else _BEST, wanted, execution_options=fresh).one_or_none()
    if dataset is None:
        raise NotFound("dataset", id_or_name)
    return dataset
