"""Whose turn it is, deadlines, quotas, who is there, and how long it will take, on both databases."""

from collections.abc import Sequence

import pytest
from sqlalchemy import insert, select, text, update

from store import jobs, outlook, queueing, runs, workers
from store.base import db_now
from store.engine import Database
from store.errors import LostLease, OverTime, QuotaExceeded
from store.jobs import PlannedFold
from store.lifecycle import FailureCause, RunState
from store.models import Run
from store.runs import ClaimedRun
from tests.stored import add_ready_dataset, claim, finish, make_spec, submit

TENANTS = ("default", "other")


@pytest.fixture
def prepared(database: Database) -> Database:
    """Two tenants with a dataset each."""
    for tenant in TENANTS:
        with database.write() as session:
            add_ready_dataset(session, tenant=tenant)
    return database


def _claim(database: Database, *, runs_at_once: int | None = None) -> ClaimedRun | None:
    with database.write() as session:
        return runs.claim_next(session, worker="w", lease_s=30, device="cpu", runs_at_once=runs_at_once)


def _claimed(database: Database, count: int) -> list[str]:
    return [run.tenant for run in (_claim(database) for _ in range(count)) if run is not None]


def _submit(database: Database, tenant: str, seeds: Sequence[int] = (0,), **fields: object) -> str:
    with database.write() as session:
        return submit(session, seeds=seeds, tenant=tenant, **fields).id  # type: ignore[arg-type]


def test_tenants_share_workers_alike(prepared: Database) -> None:
    """However much one tenant has queued before, and however urgent it calls it, every second start is the other's."""
    _submit(prepared, "default", range(6), priority=100)
    _submit(prepared, "other", range(3))
    assert _claimed(prepared, 6) == ["default", "other"] * 3
    assert _claimed(prepared, 9) == ["default"] * 3


def test_tenants_take_turns_on_a_single_slot(prepared: Database) -> None:
    """When nothing runs, whoever was served longest ago is next."""
    _submit(prepared, "default", range(4))
    _submit(prepared, "other", range(2))
    order = []
    for _ in range(4):
        run = _claim(prepared)
        assert run is not None
        order.append(run.tenant)
        with prepared.write() as session:
            runs.succeed(session, run.claim, finish())
    assert order == ["default", "other", "default", "other"]


def test_a_tenant_has_only_so_many_runs_at_once(prepared: Database) -> None:
    """At its limit a tenant is passed over, and goes on when one of its runs has ended."""
    _submit(prepared, "default", range(4))
    first = _claim(prepared, runs_at_once=1)
    assert first is not None
    assert _claim(prepared, runs_at_once=1) is None
    _submit(prepared, "other")
    second = _claim(prepared, runs_at_once=1)
    assert second is not None
    assert second.tenant == "other"
    with prepared.write() as session:
        runs.hand_back(session, first.claim)
    third = _claim(prepared, runs_at_once=1)
    assert third is not None
    assert third.tenant == "default"


def test_a_claim_looks_at_no_more_than_it_takes(prepared: Database) -> None:
    """With thousands of runs queued, for this device and for others, every look for the next one goes by the index."""
    job_id = _submit(prepared, "default", range(2))
    with prepared.write() as session:
        first = session.scalars(select(Run).where(Run.job_id == job_id).limit(1)).one()
        rows = [
            {"tenant": "default", "job_id": job_id, "seed": seed, "fold": "f", "fold_index": 0, "n_test": 1}
            | {"position": seed, "device": "cuda" if seed % 2 else "cpu", "created_at": first.created_at}
            for seed in range(10, 3010)
        ]
        session.execute(insert(Run), rows)
    with prepared.write() as session:
        session.execute(text("ANALYZE"))
        head = select(Run.id).where(queueing.CLAIMABLE, Run.device == "cpu", Run.tenant == "default")
        statement = head.order_by(*queueing.ORDER).limit(1)
        compiled = str(statement.compile(session.get_bind(), compile_kwargs={"literal_binds": True}))
        explain = "EXPLAIN " if session.get_bind().dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
        plan = "\n".join(str(row) for row in session.execute(text(explain + compiled)).all())
    assert "ix_run_claim" in plan
    assert "SORT" not in plan.upper().replace("SORT KEY", "SORT")
    assert "TEMP B-TREE" not in plan


def test_a_run_over_its_time_fails_although_its_worker_is_lost(prepared: Database) -> None:
    """The supervisor hears of it, and without one the reaper ends it, by the database's clock."""
    _submit(prepared, "default", resources={"deadline_s": 60})
    run = _claim(prepared)
    assert run is not None
    with prepared.write() as session:
        assert runs.reap(session, max_stalled_attempts=3) == []
        session.execute(update(Run).where(Run.id == run.run_id).values(deadline_at=db_now(-1)))
    for ask in (runs.wanted, lambda session, claim: runs.renew(session, claim, lease_s=30)):
        with pytest.raises(OverTime, match="60 s"), prepared.write() as session:
            ask(session, run.claim)
    with prepared.write() as session:
        assert runs.reap(session, max_stalled_attempts=3) == [run.run_id]
    with prepared.read() as session:
        ended = runs.get(session, run.run_id)
        assert (ended.state, ended.cause) == (RunState.FAILED, "timeout")
        assert "resources.deadline_s" in (ended.detail or "")


def test_time_between_claims_is_no_time_run(prepared: Database) -> None:
    """What earlier claims have taken counts against the deadline, waiting does not, and a retry begins afresh."""
    job_id = _submit(prepared, "default", resources={"deadline_s": 60})
    first = _claim(prepared)
    assert first is not None
    with prepared.write() as session:
        session.execute(update(Run).where(Run.id == first.run_id).values(claimed_at=db_now(-50)))
    with prepared.write() as session:
        runs.hand_back(session, first.claim)
        assert runs.get(session, first.run_id).deadline_at is None
    again = _claim(prepared)
    assert again is not None
    with prepared.write() as session:
        row = runs.get(session, again.run_id)
        assert row.deadline_at is not None
        assert row.claimed_at is not None
        assert 5 < (row.deadline_at - row.claimed_at).total_seconds() < 11
        runs.time_out(session, again.claim)
    with prepared.write() as session:
        jobs.retry(session, job_id)
        assert runs.get(session, again.run_id).ran_s == 0


def test_a_killed_process_is_named_when_the_run_is_given_up(prepared: Database) -> None:
    """Its lease ends at once, and the last of its attempts says by which signal it ended."""
    _submit(prepared, "default")
    run = _claim(prepared)
    assert run is not None
    with prepared.write() as session:
        runs.lose(session, run.claim, how="was killed by signal 9")
    # Its supervisor may not have noticed yet: it must not revive the lease.
    with pytest.raises(LostLease), prepared.write() as session:
        runs.renew(session, run.claim, lease_s=120)
    with prepared.write() as session:
        assert runs.reap(session, max_stalled_attempts=1) == [run.run_id]
    with prepared.read() as session:
        ended = runs.get(session, run.run_id)
    assert ended.cause == "worker_lost"
    assert "killed by signal 9" in (ended.detail or "")


def test_only_so_many_jobs_may_wait(prepared: Database) -> None:
    """The refusal says how many wait and how many may; others and started jobs do not count."""
    _submit(prepared, "default")
    _submit(prepared, "default")
    with prepared.read() as session:
        jobs.check_room(session, adding=1, limit=3)
        jobs.check_room(session, adding=2, limit=None)
        jobs.check_room(session, adding=3, limit=3, tenant="other")
        with pytest.raises(QuotaExceeded, match=r"2 jobs wait already, and 2 more would exceed the 3"):
            jobs.check_room(session, adding=2, limit=3)
    with prepared.write() as session:
        claim(session)
        jobs.check_room(session, adding=2, limit=3)


def _seen(database: Database, name: str, *, device: str = "cpu", slots: int = 1) -> None:
    with database.write() as session:
        queue = "gpu" if device == "cuda" else "cpu"
        workers.seen(session, name, queues=[queue], device=device, devices=[], runs_at_once=slots)


def _look(database: Database) -> outlook.Outlook:
    with database.read() as session:
        return outlook.look(session, tenant="default", lease_s=30, runs_at_once=None)


def test_workers_are_known_while_they_live(prepared: Database) -> None:
    """One that says good-bye or falls silent serves nothing; the warning says since when, and for which queue."""
    assert "queue gpu has been seen;" in (_look(prepared).unserved("cuda") or "")
    _seen(prepared, "w1")
    _seen(prepared, "w2", device="cuda")
    assert [_look(prepared).unserved(device) for device in ("auto", "cpu", "cuda")] == [None] * 3
    with prepared.write() as session:
        workers.stopped(session, "w2")
    assert "no worker of queue gpu has been seen for 0 s" in (_look(prepared).unserved("cuda") or "")
    assert _look(prepared).unserved("auto") is None
    with prepared.write() as session:
        workers.purge(session, older_than_s=-1)
        assert workers.known(session) == []


def test_the_time_to_the_end_follows_pace_queue_and_slots(prepared: Database) -> None:
    """Epochs of 10 s: what is ahead is done first, twice the slots halve the time, and nothing known is no figure."""
    first, second = (_submit(prepared, "default", seeds, training={"epochs": 5}) for seeds in ((0,), (1, 2)))

    def left(job_id: str) -> float | None:
        with prepared.read() as session:
            seen = outlook.look(session, tenant="default", lease_s=30, runs_at_once=None)
            return outlook.seconds_left(seen, jobs.get(session, job_id), jobs.runs_of(session, [job_id]), planned=10)

    _seen(prepared, "w")
    assert (left(first), left(second)) == (None, None)
    run = _claim(prepared)
    assert run is not None
    with prepared.write() as session:
        runs.record_epoch(session, run.claim, epoch=1, epochs=10, phase="student", metrics={})
        session.execute(update(Run).where(Run.id == run.run_id).values(claimed_at=db_now(-20)))
    assert left(first) == pytest.approx(80, abs=8)
    assert left(second) == pytest.approx(280, abs=28)
    _seen(prepared, "w2")
    assert left(second) == pytest.approx(140, abs=14)
    with prepared.write() as session:
        jobs.pause(session, second)
    assert left(second) is None


def test_a_refit_waits_for_its_inner_folds(prepared: Database) -> None:
    """A run that tests is claimed once its seed's inner folds have ended, be it badly; others need not wait."""

    def plan(_dataset: object) -> list[PlannedFold]:
        return [PlannedFold("inner:1", 0), PlannedFold("inner:2", 0), PlannedFold("refit", 20)]

    with prepared.write() as session:
        jobs.submit(session, make_spec(seeds=(0, 1)), plan=plan)
    claimed = [run for run in (_claim(prepared) for _ in range(6)) if run is not None]
    assert [(run.seed, run.fold) for run in claimed] == [(seed, f"inner:{one}") for seed in (0, 1) for one in (1, 2)]
    with prepared.write() as session:
        runs.succeed(session, claimed[2].claim, finish())
        runs.succeed(session, claimed[0].claim, finish())
    assert _claim(prepared) is None
    with prepared.write() as session:
        runs.fail(session, claimed[1].claim, cause=FailureCause.INTERNAL, detail="")
    refit = _claim(prepared)
    assert refit is not None
    assert (refit.seed, refit.fold) == (0, "refit")
    assert _claim(prepared) is None
    with prepared.read() as session:
        left = runs.predictions(session, refit.job_id, seed=0, folds=("inner:1", "inner:2"))
    assert left == {"inner:1": "a" * 64}
