"""Proposes the next trials of sweeps that learn from those that have ended."""

import logging
from contextlib import suppress
from functools import lru_cache

from pskd_core.config import JobSpec
from pskd_core.data.columnar import Dataset
from pskd_core.data.plans import trial_planners
from pskd_core.errors import DataError, SpecError
from pskd_core.sweep import Tpe, trial_spec
from store import sweeps
from store.base import present
from store.engine import Database
from store.jobs import Plan, PlannedFold
from store.models import Dataset as DatasetRow
from store.models import Sweep
from store.objects import ObjectStore
from worker.proposals import next_point

logger = logging.getLogger(__name__)

_KEPT_OPEN = 4


class Searcher:
    """Looks for sweeps that may go on; everything that it decides by is in SQL, so any number may run side by side."""

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database

        @lru_cache(maxsize=_KEPT_OPEN)
        def opened(tree_digest: str) -> Dataset:
            return Dataset.open(objects.get_tree(tree_digest))

        self._opened = opened

    def advance(self) -> bool:
        """Propose one trial of each sweep that may have another; says whether there was any.

        Raises what stood in a sweep's way, after the others have had their turn.
        """
        with self._database.read() as session:
            waiting = sweeps.unsaturated(session)
        trouble: Exception | None = None
        for sweep in waiting:
            try:
                self._propose(sweep)
            except Exception as error:
                logger.exception("%s cannot go on for now", sweep.id)
                trouble = error
        if trouble is not None:
            raise trouble
        return bool(waiting)

    def _propose(self, sweep: Sweep) -> None:
        """Invariant: what is decided by is one look at the trials, and holds until the write, or the number is taken.

        Trials that end in between only leave more room; one that is added in between is this number.
        """
        spec = sweeps.spec_of(sweep)
        assert isinstance(spec.search, Tpe)  # all trials of the others are made with the sweep
        with self._database.read() as session:
            trials = sweeps.trials_of(session, sweep)
            tree_digest = session.get_one(DatasetRow, sweep.dataset_id).tree_digest
        if sweeps.under_way(trials) >= sweep.at_once:
            return  # another keeper has proposed since
        number, point = len(trials) + 1, next_point(spec, spec.search, trials)
        folds_on = trial_planners(spec, self._opened)
        if tree_digest is not None:  # planned now, so that no transaction waits for it
            folds_of = folds_on(tree_digest)
            with suppress(SpecError, DataError):  # raised again where the trial is made, and kept with it
                folds_of(trial_spec(spec, number, point))

        def plan_of(trial: JobSpec) -> Plan:
            return lambda dataset: [
                PlannedFold(fold.name, n_test=len(fold.test)) for fold in folds_on(present(dataset.tree_digest))(trial)
            ]

        with self._database.write() as session:
            sweeps.propose(session, sweep.id, number, point, plan_of=plan_of)
