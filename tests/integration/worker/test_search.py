"""The keeper's searcher on both databases: one trial a number, whoever proposes and whoever is killed."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from pskd_core.data.importing import import_dataset
from pskd_core.sweep import Tpe, parse_sweep
from store import datasets, runs, sweeps
from store.engine import Database
from store.errors import ObjectMissing
from store.lifecycle import ENDED_JOB, FailureCause, JobState, SweepState
from store.models import Job, Sweep, SweepTrial
from store.objects import ObjectStore
from store.runs import Finish
from store.sweeps import Trial
from tests.small import PATCHY_SPEC, SMALL_SPEC, patchy_source, small_dataset
from tests.stored import folds, plannings
from worker.proposals import next_point
from worker.search import Searcher

BASE = {**SMALL_SPEC, "dataset": "made", "validation": {"kind": "inner_loso"}}
RATE = "training.student.learning_rate"
SPACE = {RATE: {"low": 1e-4, "high": 1e-1, "log": True}, "feature_dim": {"choices": [8, 16, 32]}}
SEARCH = {"kind": "tpe", "trials": 12, "startup_trials": 3, "seed": 5}

# Proposes trial 1 as the searcher does, and is killed before it can commit.
PROPOSE_AND_HANG = """
import sys, time
from store import sweeps
from store.engine import Database
from tests.stored import folds

with Database(sys.argv[1]).write() as session:
    point = {sys.argv[3]: 0.01, "feature_dim": 8}
    assert sweeps.propose(session, sys.argv[2], 1, point, plan_of=lambda _: folds("all"))
    print("proposed", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "objects"), cache_dir=tmp_path / "cache")


@pytest.fixture
def searcher(database: Database, objects: ObjectStore, tmp_path: Path) -> Searcher:
    """A searcher, and a small dataset that is ready."""
    dataset = small_dataset(tmp_path / "made")
    add_dataset(database, "made", tree=objects.put_tree(tmp_path / "made"), content=dataset.digest)
    return Searcher(database, objects)


def add_dataset(database: Database, name: str, *, tree: str, content: str) -> None:
    with database.write() as session:
        datasets.create(session, name=name, source={"kind": "synthetic"})
        claimed = datasets.claim_import(session, worker="w", lease_s=60)
        assert claimed is not None
        datasets.finish_import(
            session, claimed.claim, report={}, content_digest=content, tree_digest=tree, tree_bytes=1
        )


def create(database: Database, *, dataset: str = "made", **search: Any) -> str:
    spec = parse_sweep({"base": {**BASE, "dataset": dataset}, "space": SPACE, "search": {**SEARCH, **search}})
    with database.write() as session:
        return sweeps.create(session, spec, plan_of=lambda _: folds("all")).id


def trials(database: Database, sweep_id: str) -> list[Trial]:
    with database.read() as session:
        return sweeps.trials_of(session, session.get_one(Sweep, sweep_id))


def work(database: Database) -> bool:
    """Run what waits: its score follows from its parameters, and every fifth learning rate or so fails."""
    with database.write() as session:
        claimed = runs.claim_next(session, worker="w", lease_s=60, device="cpu")
    if claimed is None:
        return False
    rate = claimed.spec.training.student.learning_rate
    with database.write() as session:
        if round(rate * 1e9) % 5 == 0:
            runs.fail(session, claimed.claim, cause=FailureCause.NAN_LOSS, detail="nan")
        else:
            result = {"validation": {"accuracy": 1 - rate, "macro_f1": 0.5}}
            runs.succeed(session, claimed.claim, Finish(result, {}, None, None, None, None, None, register=False))
    return True


def assert_whole(database: Database, sweep_id: str) -> list[Trial]:
    """Every number has one trial with one job, and there is no job besides."""
    made = trials(database, sweep_id)
    with database.read() as session:
        sweep = session.get_one(Sweep, sweep_id)
        assert [trial.number for trial in made] == list(range(1, sweep.proposed + 1))
        assert sorted(session.scalars(select(Job.id))) == sorted(str(trial.job_id) for trial in made)
    return made


def test_each_proposal_can_be_made_again_from_what_is_stored(database: Database, searcher: Searcher) -> None:
    """A sweep goes on trial by trial to its end, and every point is the one that its predecessors' rows lead to."""
    sweep_id = create(database)
    while searcher.advance():
        assert not searcher.advance()  # one at a time
        while work(database):  # both inner folds
            pass
    made = assert_whole(database, sweep_id)
    assert len(made) == 12
    with database.read() as session:
        sweep = session.get_one(Sweep, sweep_id)
        spec = sweeps.spec_of(sweep)
        assert sweeps.state_of(sweep, sweeps.counts(session, [sweep_id])[sweep_id]) is SweepState.SUCCEEDED
    assert isinstance(spec.search, Tpe)
    for number, trial in enumerate(made):
        assert next_point(spec, spec.search, made[:number]) == trial.parameters
    assert {trial.state for trial in made} <= {JobState.SUCCEEDED, JobState.FAILED}


def test_no_transaction_waits_for_a_plan(database: Database, searcher: Searcher) -> None:
    """Trials are planned while the database is free, also those that turn out to be unfit."""
    space = {"student.inputs": {"choices": [["accelerometer"], ["magnetometer"]]}}
    spec = parse_sweep({"base": BASE, "space": space, "search": {**SEARCH, "trials": 6, "at_once": 6}})
    with database.write() as session:
        sweeps.create(session, spec, plan_of=lambda _: folds("all"))
    with plannings(database) as plans:
        while searcher.advance():
            pass
    assert plans
    assert not any(plans)


def test_searchers_side_by_side_propose_each_number_once(
    database: Database, objects: ObjectStore, searcher: Searcher
) -> None:
    """Several keepers and workers at once: no number twice or missing, and never more under way than allowed."""
    sweep_id = create(database, at_once=3, trials=24)
    done, seen = threading.Event(), []

    def keep(_: int) -> None:
        own = Searcher(database, objects)
        while not done.is_set():
            own.advance()

    def look() -> None:
        while not done.is_set():
            with database.read() as session:
                under_way = select(func.count()).select_from(Job).where(Job.state.not_in(ENDED_JOB))
                seen.append(session.scalars(under_way).one())

    with ThreadPoolExecutor(5) as pool:
        keepers = [pool.submit(keep, number) for number in range(3)]
        watcher = pool.submit(look)
        try:
            while sum(trial.state in ENDED_JOB for trial in trials(database, sweep_id)) < 24:
                work(database)
        finally:
            done.set()
        for each in (*keepers, watcher):
            each.result()
    assert len(assert_whole(database, sweep_id)) == 24
    assert 0 < max(seen) <= 3


def test_a_keeper_killed_before_it_commits_leaves_nothing_behind(
    database: Database, database_url: str, searcher: Searcher
) -> None:
    """After `kill -9` between proposal and commit the number is free, and the next keeper makes it, once."""
    sweep_id = create(database)
    command = [sys.executable, "-c", PROPOSE_AND_HANG, database_url, sweep_id, RATE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3], env=os.environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"proposed\n"
        assert trials(database, sweep_id) == []
        process.kill()
    assert searcher.advance()
    (trial,) = assert_whole(database, sweep_id)
    assert (trial.number, trial.state) == (1, JobState.QUEUED)


def test_a_sweep_in_trouble_keeps_no_other_waiting(database: Database, searcher: Searcher) -> None:
    """If the files of one sweep's dataset cannot be had, the others go on, and the loop hears of it."""
    add_dataset(database, "lost", tree="e" * 64, content="f" * 64)
    troubled, other = create(database, dataset="lost"), create(database)
    with pytest.raises(ObjectMissing):
        searcher.advance()
    assert (len(trials(database, troubled)), len(trials(database, other))) == (0, 1)


def test_a_cancelled_sweep_proposes_nothing(database: Database, searcher: Searcher) -> None:
    """Once it is cancelled no trial is added, however many were to come."""
    sweep_id = create(database)
    assert searcher.advance()
    with database.write() as session:
        sweeps.cancel(session, sweep_id)
    assert not searcher.advance()
    with database.read() as session:
        assert session.scalars(select(func.count()).select_from(SweepTrial)).one() == 1


def test_what_the_dataset_cannot_serve_is_a_failed_trial(database: Database, searcher: Searcher) -> None:
    """A point whose job no dataset of this kind can run is counted as failed, and the search goes on past it."""
    space = {"student.inputs": {"choices": [["accelerometer"], ["magnetometer"]]}}
    spec = parse_sweep({"base": BASE, "space": space, "search": {**SEARCH, "trials": 6}})
    with database.write() as session:
        sweep_id = sweeps.create(session, spec, plan_of=lambda _: folds("all")).id
    while searcher.advance():
        while work(database):
            pass
    made = trials(database, sweep_id)
    causes = {str(trial.parameters["student.inputs"]): trial.cause for trial in made}
    assert len(made) == 6
    assert causes["['magnetometer']"] == "user_error"


def test_a_proposal_judged_on_other_recordings_is_a_failed_trial(
    database: Database, objects: ObjectStore, searcher: Searcher, tmp_path: Path
) -> None:
    """Inputs that some validation recordings lack could not be compared with the first choice, so they never run."""
    digest = import_dataset(patchy_source(tmp_path / "patchy"), tmp_path / "imported").digest
    add_dataset(database, "patchy", tree=objects.put_tree(tmp_path / "imported"), content=digest)
    space = {"student.inputs": {"choices": [["accelerometer"], ["gyroscope"]]}}
    fields = {"base": {**PATCHY_SPEC, "dataset": "patchy"}, "space": space, "search": {**SEARCH, "trials": 6}}
    with database.write() as session:
        sweep_id = sweeps.create(session, parse_sweep(fields), plan_of=lambda _: folds("all")).id
    while searcher.advance():
        while work(database):
            pass
    made = trials(database, sweep_id)
    refused = [trial for trial in made if trial.parameters["student.inputs"] == ["gyroscope"]]
    assert 0 < len(refused) < len(made) == 6
    assert {(trial.job_id, trial.cause) for trial in refused} == {(None, "user_error")}
    assert "first point on 4" in str(refused[0].detail)
