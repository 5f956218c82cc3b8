"""Rows for tests, made the way the product makes them: through the store's own functions."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from pskd_core.config import JobSpec, parse_spec
from store import datasets, jobs, runs
from store.engine import Database
from store.jobs import Plan, PlannedFold
from store.models import TENANT, Dataset, Job
from store.runs import ClaimedRun, Finish
from store.seedstats import Subjects, Tested

CONFUSION = ((8, 2), (1, 9))  # rows are truth: 17 of 20 are right
REPORT = {"recordings": 20}


def add_ready_dataset(
    session: Session, name: str = "made", *, content: str = "c" * 64, tenant: str = TENANT
) -> Dataset:
    """An imported dataset; its files are not in any object store."""
    datasets.create(session, name=name, source={"kind": "synthetic"}, tenant=tenant)
    session.flush()
    claimed = datasets.claim_import(session, worker="importer", lease_s=30)
    assert claimed is not None
    assert claimed.name == name, "another import waits"
    return datasets.finish_import(
        session, claimed.claim, report=REPORT, content_digest=content, tree_digest="7" * 64, tree_bytes=700
    )


def folds(*names: str, n_test: int = 20) -> Plan:
    """A plan of folds with these names, each testing as many recordings."""
    return lambda _dataset: [PlannedFold(name, n_test) for name in names]


def make_spec(dataset: str = "made", *, seeds: Sequence[int] = (0,), **fields: Any) -> JobSpec:
    """A spec that is valid and trains nothing here."""
    return parse_spec({"dataset": dataset, "seeds": list(seeds), **fields})


def submit(
    session: Session,
    *fold_names: str,
    dataset: str = "made",
    seeds: Sequence[int] = (0,),
    priority: int = 0,
    tenant: str = TENANT,
    **fields: Any,
) -> Job:
    """A job on a dataset that is there, with a run for each seed and fold (default: one, `cross_subject`)."""
    resources = {"priority": priority, **fields.pop("resources", {})}
    spec = make_spec(dataset, seeds=seeds, resources=resources, **fields)
    plan = folds(*fold_names or ("cross_subject",))
    return jobs.submit(session, spec, plan=plan, tenant=tenant)


def claim(session: Session, *, worker: str = "worker-1", lease_s: float = 30.0) -> ClaimedRun:
    """The next run, which must be there."""
    claimed = runs.claim_next(session, worker=worker, lease_s=lease_s, device="cpu")
    assert claimed is not None
    return claimed


def finish(*, test: Tested | None = None, register: bool = False, **result: Any) -> Finish:
    """What a run leaves behind, with a bundle."""
    return Finish(
        result={"parameters": 1000, "macs": 3 * 10**9, **result},
        report={"confusion": CONFUSION},
        test=test or scored(CONFUSION),
        predictions_digest="a" * 64,
        predictions_bytes=512,
        bundle_digest="b" * 64,
        bundle_bytes=4096,
        latency_ms=1.5,
        register=register,
    )


def scored(confusion: Sequence[Sequence[int]], subjects: Subjects | None = None) -> Tested:
    """The scores of a confusion matrix over two classes or more."""
    n = sum(map(sum, confusion))
    columns = list(zip(*confusion, strict=True))
    f1 = [2 * row[k] / (sum(row) + sum(columns[k])) for k, row in enumerate(confusion)]
    return Tested(sum(row[k] for k, row in enumerate(confusion)) / n, sum(f1) / len(f1), n, confusion, subjects)


@contextmanager
def counted(database: Database, kinds: tuple[str, ...] = ("SELECT",)) -> Iterator[list[str]]:
    """The statements of these kinds that are made inside the block."""
    queries: list[str] = []

    def count(*arguments: object) -> None:
        if (statement := str(arguments[2])).startswith(kinds):
            queries.append(statement)

    event.listen(database.engine, "before_cursor_execute", count)
    yield queries
    event.remove(database.engine, "before_cursor_execute", count)


@contextmanager
def plannings(database: Database) -> Iterator[list[bool]]:
    """For each time that this thread plans folds inside the block, whether a transaction waits for it."""
    open_, seen = set[object](), list[bool]()

    def profile(frame: FrameType, what: str, _: object) -> None:
        if what == "call" and frame.f_code.co_name == "plan_folds":
            seen.append(bool(open_))

    events = {"begin": open_.add, "commit": open_.discard, "rollback": open_.discard}
    for name, note in events.items():
        event.listen(database.engine, name, note)
    sys.setprofile(profile)
    yield seen
    sys.setprofile(None)
    for name, note in events.items():
        event.remove(database.engine, name, note)
