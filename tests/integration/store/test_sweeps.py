"""Sweeps in SQL, on both databases: what is made once, how it is counted, and how it is cancelled."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, select

from pskd_core.config import JobSpec
from pskd_core.errors import ProtocolError, SpecError
from pskd_core.sweep import Point, parse_sweep
from store import datasets, jobs, runs, sweeps
from store.engine import Database
from store.errors import DatasetNotUsable, IllegalTransition, NotFound
from store.jobs import Plan, PlannedFold
from store.lifecycle import FailureCause, JobState, SweepState
from store.models import Dataset, Job, Sweep, SweepTrial
from store.runs import Finish
from store.sweeps import Trial
from tests.stored import add_ready_dataset, claim

BASE = {"preset": "demo", "dataset": "made", "validation": {"kind": "inner_loso"}, "seeds": [0, 1]}
WEIGHTS = {"method.loss.alpha": {"choices": [0, 1]}, "method.loss.beta": {"choices": [0.5, 2]}}
TPE = {"kind": "tpe", "trials": 6, "startup_trials": 2, "at_once": 2}
POINT: Point = {"method.loss.alpha": 1, "method.loss.beta": 0.5}
PROPOSERS = 8


def two_folds(_spec: JobSpec) -> Plan:
    return lambda _dataset: [PlannedFold("inner:1", 0), PlannedFold("inner:2", 0)]


def create(database: Database, *, dataset: bool = True, **fields: Any) -> str:
    with database.write() as session:
        if dataset:
            add_ready_dataset(session)
        spec = parse_sweep({"base": BASE, "space": WEIGHTS, **fields})
        return sweeps.create(session, spec, plan_of=two_folds).id


def propose(database: Database, sweep_id: str, number: int) -> bool:
    with database.write() as session:
        return sweeps.propose(session, sweep_id, number, POINT, plan_of=two_folds)


def trials(database: Database, sweep_id: str) -> list[Trial]:
    with database.read() as session:
        return sweeps.trials_of(session, sweeps.get(session, sweep_id))


def state(database: Database, sweep_id: str) -> SweepState:
    with database.read() as session:
        return sweeps.state_of(sweeps.get(session, sweep_id), sweeps.counts(session, [sweep_id])[sweep_id])


def succeed_next(database: Database, *, accuracy: float) -> None:
    result = {
        "validation": {"accuracy": accuracy, "macro_f1": accuracy / 2, "n": 9},
        "parameters": 7,
        "macs": 3 * 10**9,
    }
    finish = Finish(result, {}, None, None, None, None, None, register=False)
    with database.write() as session:
        runs.succeed(session, claim(session).claim, finish)


def fail_next(database: Database) -> None:
    with database.write() as session:
        runs.fail(session, claim(session).claim, cause=FailureCause.NAN_LOSS, detail="nan at step 3")


def test_a_grid_fans_out_to_ordinary_jobs(database: Database) -> None:
    """Each combination is a job with its runs and their test part shut, and all are there with the sweep."""
    sweep_id = create(database, name="weights")
    made = trials(database, sweep_id)
    assert [(trial.number, *trial.parameters.values()) for trial in made] == [
        (1, 0, 0.5), (2, 0, 2), (3, 1, 0.5), (4, 1, 2),
    ]  # fmt: skip
    with database.read() as session:
        job = jobs.get(session, made[2].job_id or "")
        assert (job.name, job.spec["test"], job.spec["method"]["loss"]["alpha"]) == ("weights trial 3", "none", 1)
        assert len(jobs.runs_of(session, [trial.job_id or "" for trial in made])) == 16
    assert state(database, sweep_id) is SweepState.QUEUED


def test_a_grid_that_fails_leaves_nothing(database: Database) -> None:
    """If one trial cannot be planned, no job of any is made; a fault is told of the sweep."""

    def plan_of(spec: JobSpec) -> Plan:
        def plan(_: Dataset) -> Sequence[PlannedFold]:
            if spec.model_dump()["method"]["loss"]["alpha"] == 1:
                raise SpecError("no such stream", pointer="/method/loss/alpha")
            return [PlannedFold("all", 0)]

        return plan

    with database.write() as session:
        add_ready_dataset(session)
    with pytest.raises(SpecError) as refused, database.write() as session:
        sweeps.create(session, parse_sweep({"base": BASE, "space": WEIGHTS}), plan_of=plan_of)
    assert refused.value.errors[0]["pointer"] == "/space/method.loss.alpha"
    with database.read() as session:
        assert (jobs.page(session).items, sweeps.page(session).items) == ([], [])


def test_scores_are_read_from_the_runs(database: Database) -> None:
    """A trial's scores are those of its runs on the validation part, by the sweep's metric, with what it cost."""
    sweep_id = create(database, metric="macro_f1", space={"method.loss.alpha": {"choices": [0, 1]}})
    for accuracy in (0.2, 0.4, 0.6, 0.24444444444444446):  # the last needs all its digits
        succeed_next(database, accuracy=accuracy)
    assert state(database, sweep_id) is SweepState.RUNNING
    first, second = trials(database, sweep_id)
    assert first.state is JobState.SUCCEEDED
    assert first.measured.scores == (0.1, 0.2, 0.3, 0.12222222222222223)
    assert (first.measured.parameters, first.measured.macs) == (7, 3 * 10**9)
    assert 0 <= first.measured.seconds < 60
    assert (second.state, second.measured.scores) == (JobState.QUEUED, ())


def test_one_failed_trial_is_counted_and_explained(database: Database) -> None:
    """A sweep goes on past a failed trial and succeeds; the trial keeps its cause."""
    sweep_id = create(database, space={"method.loss.alpha": {"choices": [0, 1]}})
    fail_next(database)
    for _ in range(7):
        succeed_next(database, accuracy=0.5)
    failed, good = trials(database, sweep_id)
    assert (failed.state, failed.cause, failed.detail) == (JobState.FAILED, "nan_loss", "nan at step 3")
    assert good.state is JobState.SUCCEEDED
    assert state(database, sweep_id) is SweepState.SUCCEEDED


def test_a_sweep_of_failures_has_failed(database: Database) -> None:
    """Where no trial succeeds, neither does the sweep."""
    sweep_id = create(database, space={"method.loss.alpha": {"choices": [0]}})
    for _ in range(4):
        fail_next(database)
    assert state(database, sweep_id) is SweepState.FAILED


def test_reading_a_sweep_takes_the_same_queries_however_large(database: Database) -> None:
    """Neither trials nor runs add a query to reading one sweep, nor sweeps to a page of them."""
    create(database, space={"method.loss.alpha": {"choices": [0]}})
    create(database, dataset=False)
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    numbers = []
    with database.read() as session:
        for sweep in sweeps.page(session).items:
            asked.clear()
            sweeps.trials_of(session, sweep)
            numbers.append(len(asked))
        asked.clear()
        assert len(sweeps.counts(session, [sweep.id for sweep in sweeps.page(session).items])) == 2
    assert numbers == [2, 2]
    assert len(asked) == 2


def test_a_number_is_proposed_once(database: Database) -> None:
    """However many propose at once, each number has one trial with one job, and none is left out."""
    sweep_id = create(database, search=TPE)

    def work(_: int) -> list[int]:
        return [number for number in range(1, 7) if propose(database, sweep_id, number)]

    with ThreadPoolExecutor(PROPOSERS) as pool:
        done = [number for numbers in pool.map(work, range(PROPOSERS)) for number in numbers]
    assert sorted(done) == [1, 2, 3, 4, 5, 6]
    made = trials(database, sweep_id)
    assert [trial.number for trial in made] == [1, 2, 3, 4, 5, 6]
    with database.read() as session:
        assert set(session.scalars(select(Job.id))) == {trial.job_id for trial in made}
        assert session.get_one(Sweep, sweep_id).proposed == 6


def test_a_number_out_of_turn_is_not_proposed(database: Database) -> None:
    """A number that was made, whose turn has not come, or that is one too many, makes nothing."""
    sweep_id = create(database, search={**TPE, "trials": 2})
    assert [propose(database, sweep_id, number) for number in (2, 1, 1, 2, 3)] == [False, True, False, True, False]
    assert len(trials(database, sweep_id)) == 2


def test_so_many_trials_at_once(database: Database) -> None:
    """A sweep may propose while fewer trials than it allows are under way, and has not had all of them."""

    def unsaturated() -> list[str]:
        with database.read() as session:
            return [sweep.id for sweep in sweeps.unsaturated(session)]

    sweep_id = create(database, search={**TPE, "trials": 3})
    create(database, dataset=False)  # a grid has all its trials from the start
    assert unsaturated() == [sweep_id]
    propose(database, sweep_id, 1)
    assert unsaturated() == [sweep_id]
    propose(database, sweep_id, 2)
    assert unsaturated() == []
    with database.write() as session:
        jobs.cancel(session, trials(database, sweep_id)[0].job_id or "")
    assert unsaturated() == [sweep_id]
    propose(database, sweep_id, 3)
    assert unsaturated() == []


@pytest.mark.parametrize(
    ("error", "cause"), [(SpecError("no such stream"), "user_error"), (ProtocolError("subject 9 is missing"), "data")]
)
def test_a_proposal_that_is_no_job_counts_as_failed(database: Database, error: Exception, cause: str) -> None:
    """What the dataset cannot serve is a failed trial without a job, and the next may be proposed."""

    def unfit(_spec: JobSpec) -> Plan:
        def plan(_: Dataset) -> Sequence[PlannedFold]:
            raise error

        return plan

    sweep_id = create(database, search=TPE)
    with database.write() as session:
        assert sweeps.propose(session, sweep_id, 1, POINT, plan_of=unfit)
    assert propose(database, sweep_id, 2)
    failed, queued = trials(database, sweep_id)
    assert (failed.job_id, failed.state, failed.cause, failed.detail) == (None, JobState.FAILED, cause, str(error))
    assert queued.state is JobState.QUEUED
    with database.read() as session:
        assert sweeps.counts(session, [sweep_id])[sweep_id].states == {JobState.FAILED: 1, JobState.QUEUED: 1}


def test_trials_wait_for_their_dataset(database: Database) -> None:
    """A sweep may come before its dataset; with a failed import its trials fail, and a new sweep is refused."""
    with database.write() as session:
        datasets.create(session, name="made", source={"kind": "synthetic"})
    sweep_id = create(database, dataset=False)
    assert {trial.state for trial in trials(database, sweep_id)} == {JobState.VALIDATING}
    assert state(database, sweep_id) is SweepState.QUEUED
    with database.write() as session:
        importing = datasets.claim_import(session, worker="w", lease_s=30)
        assert importing is not None
        datasets.fail_import(session, importing.claim, cause=FailureCause.DATA, detail="no skeleton")
    assert {trial.cause for trial in trials(database, sweep_id)} == {"data"}
    assert state(database, sweep_id) is SweepState.FAILED
    with pytest.raises(DatasetNotUsable):
        create(database, dataset=False)


def test_a_sweep_keeps_its_dataset(database: Database) -> None:
    """What is proposed later runs on the dataset that the sweep began with, whoever has its name by then."""
    sweep_id = create(database, search=TPE)
    with database.write() as session:
        first = datasets.resolve(session, "made").id
        assert sweeps.spec_of(sweeps.get(session, sweep_id)).base.dataset == first
        session.get_one(Dataset, first).name = "old"
        add_ready_dataset(session, content="d" * 64)
    propose(database, sweep_id, 1)
    with database.read() as session:
        assert session.scalars(select(Job.dataset_id)).one() == first


def test_cancelling_ends_the_jobs_and_adds_no_trial(database: Database) -> None:
    """Waiting jobs are cancelled at once, running ones are asked to stop, finished ones stay, and no trial follows."""
    sweep_id = create(database, search={**TPE, "at_once": 3})
    for number in (1, 2, 3):
        propose(database, sweep_id, number)
    for _ in range(4):
        succeed_next(database, accuracy=0.5)
    with database.write() as session:
        running = claim(session)
    with database.write() as session:
        sweeps.cancel(session, sweep_id)
        assert sweeps.cancel(session, sweep_id).cancelled_at is not None
    assert state(database, sweep_id) is SweepState.CANCELLING
    assert not propose(database, sweep_id, 4)
    with database.write() as session:
        assert sweeps.unsaturated(session) == []
        runs.acknowledge(session, running.claim)
    assert state(database, sweep_id) is SweepState.CANCELLED
    assert [trial.state for trial in trials(database, sweep_id)] == ["succeeded", "cancelled", "cancelled"]


def test_what_cannot_be_cancelled(database: Database) -> None:
    """A sweep that has ended is a conflict, an unknown one or another tenant's is not found."""
    sweep_id = create(database, space={"method.loss.alpha": {"choices": [0]}})
    with database.write() as session:
        for wrong, tenant in (("swp_x", "default"), (sweep_id, "other")):
            with pytest.raises(NotFound):
                sweeps.cancel(session, wrong, tenant=tenant)
            with pytest.raises(NotFound):
                sweeps.get(session, wrong, tenant=tenant)
        assert sweeps.page(session, tenant="other").items == []
    for _ in range(4):
        succeed_next(database, accuracy=0.5)
    with pytest.raises(IllegalTransition, match="succeeded cannot cancel"), database.write() as session:
        sweeps.cancel(session, sweep_id)


@pytest.mark.parametrize("attempt", range(3))
def test_cancelling_while_everyone_works(database: Database, attempt: int) -> None:
    """Proposals, workers, the reaper and a cancel at once: nobody waits for ever, and nothing is left under way."""
    sweep_id = create(database, search={"kind": "tpe", "trials": 200, "at_once": 64})
    for number in range(1, 9):
        propose(database, sweep_id, number)

    def work(worker: int) -> None:
        for step in range(12):
            if worker == 0 and step == 3 + attempt:
                with database.write() as session:
                    sweeps.cancel(session, sweep_id)
            elif worker == 1:
                with database.write() as session:
                    runs.reap(session, max_stalled_attempts=3)
            elif worker in {2, 3}:
                with database.read() as session:
                    number = session.get_one(Sweep, sweep_id).proposed + 1
                propose(database, sweep_id, number)
            else:
                with database.write() as session:
                    taken = runs.claim_next(session, worker=f"w{worker}", lease_s=-1 if step % 2 else 30, device="cpu")
                if taken is not None and step % 2 == 0:
                    with database.write() as session:
                        runs.hand_back(session, taken.claim)

    with ThreadPoolExecutor(PROPOSERS) as pool:
        list(pool.map(work, range(PROPOSERS)))
    with database.write() as session:
        runs.reap(session, max_stalled_attempts=3)
    assert state(database, sweep_id) is SweepState.CANCELLED
    with database.read() as session:
        rows = session.scalars(select(SweepTrial).where(SweepTrial.sweep_id == sweep_id)).all()
        proposed = session.get_one(Sweep, sweep_id).proposed
        assert Counter(session.scalars(select(Job.state))) == {JobState.CANCELLED: proposed}
    assert sorted(row.number for row in rows) == list(range(1, proposed + 1))


def test_pages(database: Database) -> None:
    """Pages show each sweep once, newest first."""
    with database.write() as session:
        add_ready_dataset(session)
    ids = [create(database, dataset=False, search=TPE) for _ in range(3)]
    with database.read() as session:
        first = sweeps.page(session, limit=2)
        second = sweeps.page(session, limit=2, cursor=first.next_cursor)
    assert [sweep.id for sweep in (*first.items, *second.items)] == ids[::-1]
    assert second.next_cursor is None
