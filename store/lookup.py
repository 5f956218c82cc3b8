"""How a dataset is named in a request: by id or by name."""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from store.errors import NotFound
from store.lifecycle import DatasetState
from store.models import Dataset


def find_dataset(session: Session, id_or_name: str, *, tenant: str, lock: bool = False) -> Dataset:
    """By id, else by name (one that has not failed first, then the newest).

    `lock` keeps its import from ending before the commit; claims and renewals go on meanwhile.

    Raises:
        NotFound: the tenant has no such dataset.
    """
    named = or_(Dataset.id == id_or_name, Dataset.name == id_or_name)
    best_first = ((Dataset.id == id_or_name).desc(), Dataset.state == DatasetState.FAILED, Dataset.id.desc())
    found = select(Dataset).where(Dataset.tenant == tenant, named).order_by(*best_first).limit(1)
    if lock:
        found = found.with_for_update(read=True, key_share=True)
    dataset = session.scalars(found, execution_options={"populate_existing": lock}).one_or_none()
    if dataset is None:
        raise NotFound("dataset", id_or_name)
    return dataset
