"""Folds of many jobs on one dataset; planning reads every recording, which takes long where there are many."""

from collections.abc import Callable
from functools import cache

from pskd_core.config import Distill, JobSpec
from pskd_core.data.columnar import Dataset, DatasetInfo
from pskd_core.data.splits import Fold, Recordings, plan_folds
from pskd_core.errors import DataError, SpecError

Folds = tuple[Fold, ...]
FoldsOf = Callable[[JobSpec], Folds]  # raises what `plan_folds` raises


def planner(info: DatasetInfo, recordings: Recordings) -> FoldsOf:
    """`plan_folds` that remembers: jobs are planned, or refused, once if they differ in nothing that it reads."""
    known: dict[object, Folds | SpecError | DataError] = {}

    def folds_of(spec: JobSpec) -> Folds:
        teachers = spec.method.teachers if isinstance(spec.method, Distill) else ()
        taught = tuple((teacher.name, teacher.inputs) for teacher in teachers)
        alike = (spec.protocol, spec.validation, spec.test, spec.student.inputs, taught)
        if alike not in known:
            try:
                known[alike] = plan_folds(spec, info, recordings)
            except (SpecError, DataError) as unfit:
                known[alike] = unfit
        if isinstance(found := known[alike], Exception):
            raise found
        return found

    return folds_of


def planners(opened: Callable[[str], Dataset]) -> Callable[[str], FoldsOf]:
    """A planner for each dataset that is asked for, by what `opened` finds it by."""

    @cache
    def on(tree_digest: str) -> FoldsOf:
        dataset = opened(tree_digest)
        return planner(dataset.info, dataset.recordings)

    return on
