"""Folds of many jobs on one dataset; planning reads every recording, which takes long where there are many."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache

from pskd_core.config import Distill, JobSpec
from pskd_core.data.columnar import Dataset, DatasetInfo
from pskd_core.data.splits import Fold, Indices, Recordings, plan_folds, tied_sensors
from pskd_core.errors import DataError, SpecError
from pskd_core.sweep import Sweep, first_points, trial_spec

Folds = tuple[Fold, ...]
FoldsOf = Callable[[JobSpec], Folds]  # raises what `plan_folds` raises
_MOST_KNOWN = 1000  # ways to split; callers choose them, so their number must have an end


def planner(info: DatasetInfo, recordings: Recordings) -> FoldsOf:
    """`plan_folds` that remembers: jobs are planned, or refused, once if they differ in nothing that it reads."""
    known: dict[object, Folds | SpecError | DataError] = {}

    def folds_of(spec: JobSpec) -> Folds:
        teachers = spec.method.teachers if isinstance(spec.method, Distill) else ()
        taught = tuple((teacher.name, teacher.inputs, tied_sensors(teacher)) for teacher in teachers)
        student = (spec.student.inputs, tied_sensors(spec.student))
        alike = (spec.protocol, spec.validation, spec.test, student, taught)
        if (found := known.get(alike)) is None:
            try:
                found = plan_folds(spec, info, recordings)
            except (SpecError, DataError) as unfit:
                found = unfit
            if len(known) >= _MOST_KNOWN:
                known.clear()
            known[alike] = found
        if isinstance(found, Exception):
            raise found
        return found

    return folds_of


def trial_planner(sweep: Sweep, folds_of: FoldsOf) -> FoldsOf:
    """`folds_of` for a sweep's trials, which must all be judged on the recordings that its first point is judged on.

    Other inputs of the student may be there for other recordings, and scores on those would say nothing of the trials.
    """

    @cache
    def expected() -> Folds | None:
        for number, point in enumerate(first_points(sweep), start=1):
            with suppress(SpecError, DataError):  # told of that point's own trial
                return folds_of(trial_spec(sweep, number, point))
        return None

    def of_trial(spec: JobSpec) -> Folds:
        folds = folds_of(spec)
        if (first := expected()) is not None and (judging := _judging(folds)) != (others := _judging(first)):
            raise SpecError(
                f"with {' and '.join(spec.student.inputs)} a trial is judged on {_size(judging)} validation "
                f"recordings, and the sweep's first point on {_size(others)}, not all of them the same; choose among "
                "inputs that the same recordings have",
                pointer="/student/inputs",
            )
        return folds

    return of_trial


def trial_planners(sweep: Sweep, opened: Callable[[str], Dataset]) -> Callable[[str], FoldsOf]:
    """The planner of a sweep's trials on each dataset that is asked for, by what `opened` finds it by."""

    @cache
    def on(tree_digest: str) -> FoldsOf:
        dataset = opened(tree_digest)
        return trial_planner(sweep, planner(dataset.info, dataset.recordings))

    return on


def _judging(folds: Folds) -> Mapping[str, Indices]:
    return {fold.name: fold.validation for fold in folds}


def _size(judging: Mapping[str, Indices]) -> int:
    return sum(map(len, judging.values()))
