"""Many workers and users at once, on both databases: nothing is done twice, nothing is lost, nobody waits for ever."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.orm import Session

from pskd_core.config import JobSpec
from store import datasets, events, jobs, leaderboard, registry, runs
from store.claims import Claim
from store.engine import Database
from store.errors import Conflict, IllegalTransition, LostLease
from store.jobs import PlannedFold
from store.lifecycle import ENDED_JOB, ENDED_RUN, FailureCause, JobState, RunState, Wanted
from store.models import Dataset, Job
from store.runs import ClaimedRun
from tests.stored import add_ready_dataset, finish, make_spec, submit

WORKERS = 6


def _at_once(work: Callable[[int], None], *, count: int = WORKERS) -> None:
    """Runs `work(0)`, `work(1)` … in threads; an error in one is an error of the test."""
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work, index) for index in range(count)]:
            done.result()


def _claim(database: Database, worker: int) -> ClaimedRun | None:
    with database.write() as session:
        return runs.claim_next(session, worker=f"worker-{worker}", lease_s=30, device="cpu")


def _submit_jobs(database: Database, count: int, **fields: Sequence[int]) -> list[str]:
    with database.write() as session:
        add_ready_dataset(session)
        return [submit(session, **fields).id for _ in range(count)]  # type: ignore[arg-type]


def test_each_run_is_claimed_once(database: Database) -> None:
    """Workers that claim as fast as they can get every run between them, and none of them twice."""
    _submit_jobs(database, 5, seeds=range(6))
    claimed: list[str] = []

    def work(worker: int) -> None:
        while (run := _claim(database, worker)) is not None:
            claimed.append(run.run_id)

    _at_once(work)
    assert len(claimed) == 30
    assert set(Counter(claimed).values()) == {1}


def test_event_numbers_have_no_gaps(database: Database) -> None:
    """Writers of one job at the same time number its events 1, 2, 3 …, and a reader who follows misses none."""
    (job_id,) = _submit_jobs(database, 1, seeds=range(WORKERS))
    claimed = [_claim(database, worker) for worker in range(WORKERS)]
    seen: list[int] = []

    def work(worker: int) -> None:
        run = claimed[worker]
        assert run is not None
        for epoch in range(10):
            with database.write() as session:
                runs.record_epoch(session, run.claim, epoch=epoch, epochs=10, phase="", metrics={"loss": 1.0})

    def follow(_: int) -> None:
        while len(seen) < 2 + WORKERS * 11:
            with database.read() as session:
                seen.extend(event.seq for event in events.after(session, job_id, seen[-1] if seen else 0))

    _at_once(lambda index: follow(index) if index == WORKERS else work(index), count=WORKERS + 1)
    assert seen == list(range(1, len(seen) + 1))


def test_runs_that_end_together_end_their_job(database: Database) -> None:
    """Whichever of the last runs commits last sees that all have ended; none leaves the job running."""
    job_ids = _submit_jobs(database, 4, seeds=range(WORKERS))
    claimed = [_claim(database, 0) for _ in range(4 * WORKERS)]

    def work(worker: int) -> None:
        for run in claimed[worker::WORKERS]:
            assert run is not None
            with database.write() as session:
                runs.succeed(session, run.claim, finish(register=True))

    _at_once(work)
    with database.read() as session:
        assert {jobs.get(session, job_id).state for job_id in job_ids} == {JobState.SUCCEEDED}
        (row,) = leaderboard.rows(session).items
        model = registry.get(session, "made-pskd").model
        versions = registry.versions(session, model.id).items
    assert (row.n_seeds, row.n_incomplete_seeds) == (WORKERS, 0)
    assert [version.version for version in versions] == list(range(4 * WORKERS, 0, -1))


def test_one_name_one_dataset(database: Database) -> None:
    """Of several requests that create a dataset of the same name, one does, and the others are told."""
    outcomes: list[str] = []

    def work(_: int) -> None:
        try:
            with database.write() as session:
                datasets.create(session, name="mine", source={"kind": "synthetic"})
            outcomes.append("created")
        except Conflict:
            outcomes.append("refused")

    _at_once(work)
    assert Counter(outcomes) == {"created": 1, "refused": WORKERS - 1}


@pytest.mark.parametrize("attempt", range(5))
def test_no_job_misses_the_end_of_its_import(database: Database, attempt: int) -> None:
    """A job submitted while the import ends is fanned out exactly once, by the one or by the other."""
    with database.write() as session:
        datasets.create(session, name="mine", source={"kind": "synthetic"})
    with database.write() as session:
        importing = datasets.claim_import(session, worker="importer", lease_s=30)
    assert importing is not None

    def plan(_: Dataset) -> list[PlannedFold]:
        return [PlannedFold("cross_subject", 20)]

    def work(index: int) -> None:
        with database.write() as session:
            if index == attempt:
                dataset = datasets.finish_import(
                    session, importing.claim, report={}, content_digest="c" * 64, tree_digest="7" * 64, tree_bytes=1
                )
                for job in jobs.waiting(session, dataset.id):
                    jobs.expand(session, job, plan(dataset))
            else:
                jobs.submit(session, make_spec("mine"), plan=plan)

    _at_once(work)
    with database.read() as session:
        found = jobs.page(session).items
        assert [job.state for job in found] == [JobState.QUEUED] * (WORKERS - 1)
        assert len(jobs.runs_of(session, [job.id for job in found])) == WORKERS - 1


def test_import_is_claimed_while_a_job_is_submitted(postgresql_url: str) -> None:
    """A wake is not wasted because somebody submits a job on the dataset just then; on SQLite nobody else can write."""
    database = Database(postgresql_url)
    with database.write() as session:
        datasets.create(session, name="made", source={"kind": "synthetic"})
    with database.write() as submitting:
        submit(submitting)
        with database.write() as session:
            assert datasets.claim_import(session, worker="importer", lease_s=30) is not None
    database.dispose()


class _Chaos:
    """Workers, users and a reaper that do at random what they may; every error but the expected ones is a fault."""

    def __init__(self, database: Database, seed: int, job_ids: Sequence[str]) -> None:
        self.database, self.random, self.job_ids = database, random.Random(seed), job_ids  # noqa: S311 - repeatable

    def user(self) -> None:
        ask = self.random.choice([jobs.cancel, jobs.pause, jobs.resume, jobs.retry])
        try:
            with self.database.write() as session:
                ask(session, self.random.choice(self.job_ids))
        except IllegalTransition:
            pass

    def reaper(self) -> None:
        with self.database.write() as session:
            runs.reap(session, max_stalled_attempts=2)

    def worker(self) -> None:
        with self.database.write() as session:
            run = runs.claim_next(session, worker="w", lease_s=self.random.choice([-1, 30]), device="cpu")
        try:
            for step in range(3 if run else 0):
                assert run is not None
                with self.database.write() as session:
                    if self.act(session, run, step):
                        return
        except (LostLease, IllegalTransition):
            pass

    def act(self, session: Session, run: ClaimedRun, step: int) -> bool:
        """One step of a run; says whether it ended."""
        if runs.wanted(session, run.claim) is not Wanted.RUN:
            runs.acknowledge(session, run.claim)
            return True
        match self.random.randrange(6):
            case 0 | 1:
                runs.record_epoch(session, run.claim, epoch=step, epochs=3, phase="", metrics={"loss": 1.0})
            case 2:
                runs.save_checkpoint(session, run.claim, digest="e" * 64, size_bytes=1, epoch=step + 1)
            case 3:
                runs.fail(session, run.claim, cause=FailureCause.INTERNAL, detail="chaos")
                return True
            case 4:
                runs.hand_back(session, run.claim)
                return True
            case _:
                runs.succeed(session, run.claim, finish(register=True))
                return True
        return False

    def go(self, steps: int) -> None:
        for _ in range(steps):
            self.random.choices([self.worker, self.user, self.reaper], weights=[6, 3, 1])[0]()


def _finish_what_is_left(database: Database) -> None:
    with database.write() as session:
        for job in jobs.page(session, limit=100).items:
            if job.state in {JobState.PAUSED, JobState.PAUSING}:
                jobs.resume(session, job.id)
    while True:
        with database.write() as session:
            for run in jobs.runs_of(session, [job.id for job in jobs.page(session, limit=100).items]):
                if run.state is RunState.RUNNING:
                    runs.hand_back(session, Claim(run.id, run.token))
        run_or_none = _claim(database, 0)
        if run_or_none is None:
            return
        with database.write() as session:
            runs.succeed(session, run_or_none.claim, finish())


def test_chaos_ends_in_order(database: Database) -> None:
    """Whatever workers, users and the reaper do at once, no one deadlocks, states agree, and every job can end."""
    job_ids = _submit_jobs(database, 6, seeds=range(3))
    _at_once(lambda index: _Chaos(database, index, job_ids).go(40))
    _check_consistent(database, job_ids)
    _finish_what_is_left(database)
    _check_consistent(database, job_ids)
    with database.read() as session:
        assert all(jobs.get(session, job_id).state in ENDED_JOB for job_id in job_ids)


def _check_consistent(database: Database, job_ids: Sequence[str]) -> None:
    with database.read() as session:
        for job_id in job_ids:
            job: Job = jobs.get(session, job_id)
            of_job = jobs.runs_of(session, [job_id])
            assert (job.state in ENDED_JOB) == all(run.state in ENDED_RUN for run in of_job)
            history = events.after(session, job_id, 0, limit=10_000)
            assert [event.seq for event in history] == list(range(1, job.event_seq + 1))
            told = [event.data["state"] for event in history if event.kind == "job.state"]
            assert told[-1] == job.state
            assert JobSpec.model_validate(job.spec).seeds == (0, 1, 2)
