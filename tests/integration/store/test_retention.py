"""What is removed of jobs that ended long ago, and what never is."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from store import classifications, events, jobs, leaderboard, registry, retention, runs
from store.engine import Database
from store.lifecycle import FailureCause, RunState
from store.models import Event, Job, Run
from tests.recordings import add_classification
from tests.stored import add_ready_dataset, claim, finish, submit
from worker.retain import Retainer
from worker.settings import WorkerSettings

DAY_S = 24 * 3600.0
ALL = {"retention_checkpoints_days": 2.0, "retention_curves_days": 2.0, "retention_events_days": 2.0}


def settings(home: Path, **days: float) -> WorkerSettings:
    return WorkerSettings(home=home, **days)  # type: ignore[arg-type]


def remove(database: Database, home: Path, **days: float) -> None:
    """All that a keeper would remove."""
    retainer = Retainer(database, settings(home, **days))
    while retainer.advance():
        pass


def trained(database: Database, name: str, *, seeds: int = 2, well: bool = True, days_ago: float = 3.0) -> str:
    """A job that ended so long ago, with curves, events and checkpoints."""
    with database.write() as session:
        job = submit(session, seeds=range(seeds), name=name)
        for _ in range(seeds):
            run = claim(session)
            for epoch in range(3):
                runs.record_epoch(
                    session, run.claim, epoch=epoch, epochs=3, phase="student", metrics={"loss": 1.0, "ce": 0.5}
                )
            runs.save_checkpoint(session, run.claim, digest="e" * 64, size_bytes=10, epoch=3)
            if well:
                runs.succeed(session, run.claim, finish(register=True))
            else:
                runs.fail(session, run.claim, cause=FailureCause.NAN_LOSS, detail="nan")
    age(database, job.id, days_ago)
    return job.id


def age(database: Database, job_id: str, days: float) -> None:
    with database.write() as session:
        row = session.get_one(Job, job_id)
        assert row.finished_at is not None
        row.finished_at -= timedelta(days=days)


def left(database: Database, job_id: str) -> tuple[int, int, int]:
    """How many checkpoints, points of curves and events a job has."""
    with database.read() as session:
        checkpoints = session.scalar(select(func.count(Run.checkpoint_digest)).where(Run.job_id == job_id))
        told = session.scalar(select(func.count()).where(Event.job_id == job_id))
        return checkpoints or 0, len(jobs.metrics(session, job_id)), told or 0


def removed(database: Database, job_id: str) -> tuple[bool, bool, bool]:
    """Of which of these the job says that they were removed."""
    with database.read() as session:
        job = jobs.get(session, job_id)
        marks = (job.checkpoints_removed_at, job.curves_removed_at, job.events_removed_at)
    return marks[0] is not None, marks[1] is not None, marks[2] is not None


@pytest.fixture(autouse=True)
def dataset(database: Database) -> None:
    with database.write() as session:
        add_ready_dataset(session)


def test_what_nobody_limits_is_kept(database: Database, tmp_path: Path) -> None:
    """Without settings nothing goes, however old."""
    job_id = trained(database, "old", days_ago=10_000)
    before = left(database, job_id)
    assert min(before) > 0
    remove(database, tmp_path)
    assert (left(database, job_id), removed(database, job_id)) == (before, (False, False, False))


@pytest.mark.parametrize(
    ("days", "gone"),
    [
        ({"retention_checkpoints_days": 2.0}, (True, False, False)),
        ({"retention_curves_days": 2.0}, (False, True, False)),
        ({"retention_events_days": 2.0}, (False, False, True)),
        (ALL, (True, True, True)),
    ],
)
def test_each_kind_goes_by_its_own_age(
    database: Database, tmp_path: Path, days: dict[str, float], gone: tuple[bool, ...]
) -> None:
    """Of an old job goes what is limited, and the job says so; a job that ended later or goes on keeps all."""
    old, young = trained(database, "old"), trained(database, "young", days_ago=1.0)
    with database.write() as session:
        going = submit(session, name="going").id
        run = claim(session)
        runs.record_epoch(session, run.claim, epoch=0, epochs=3, phase="student", metrics={"loss": 1.0})
        runs.save_checkpoint(session, run.claim, digest="e" * 64, size_bytes=10, epoch=1)
    whole = {job_id: left(database, job_id) for job_id in (old, young, going)}
    remove(database, tmp_path, **days)
    assert removed(database, old) == gone
    expected = tuple(0 if is_gone else count for is_gone, count in zip(gone, whole[old], strict=True))
    assert left(database, old) == expected
    for job_id in (young, going):
        assert (left(database, job_id), removed(database, job_id)) == (whole[job_id], (False, False, False))


def test_results_stay(database: Database, tmp_path: Path) -> None:
    """Leaderboard, reports, predictions and models are the same before and after."""
    job_id = trained(database, "old")

    def results() -> list[Any]:
        with database.read() as session:
            rows = [(row.id, row.n_seeds, row.accuracy_mean) for row in leaderboard.rows(session).items]
            of_runs = session.query(Run).where(Run.job_id == job_id).order_by(Run.id)
            measured = [(r.result, r.report, r.predictions_digest, r.bundle_digest, r.epoch) for r in of_runs]
            return [*rows, *measured, registry.resolve(session, "old").bundle_digest]

    before = results()
    remove(database, tmp_path, **ALL)
    assert left(database, job_id) == (0, 0, 0)
    assert results() == before


def test_a_retry_begins_afresh_and_is_removed_again(database: Database, tmp_path: Path) -> None:
    """A failed job whose traces went can be retried: its events are numbered on, and go when it is old once more."""
    job_id = trained(database, "failed", seeds=1, well=False)
    remove(database, tmp_path, **ALL)
    with database.write() as session:
        last = jobs.get(session, job_id).event_seq
        jobs.retry(session, job_id)
        run = claim(session)
        assert (run.job_id, run.checkpoint_digest, run.checkpoint_epoch) == (job_id, None, None)
        runs.record_epoch(session, run.claim, epoch=2, epochs=3, phase="student", metrics={"loss": 1.0})
        runs.fail(session, run.claim, cause=FailureCause.NAN_LOSS, detail="nan")
        assert [event.seq for event in events.after(session, job_id, 0)][:2] == [last + 1, last + 2]
    remove(database, tmp_path, **ALL)
    assert min(left(database, job_id)[1:]) > 0
    age(database, job_id, 3.0)
    remove(database, tmp_path, **ALL)
    assert left(database, job_id) == (0, 0, 0)


def test_a_batch_is_small(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call removes some events, one run's curves and some checkpoints, and says where the next one goes on."""
    job_id = trained(database, "old", seeds=4)
    monkeypatch.setattr(retention, "_EVENTS", 5)
    monkeypatch.setattr(retention, "_RUNS", 3)
    checkpoints, points, told = left(database, job_id)
    with database.write() as session:
        assert retention.remove_events(session, older_than_s=DAY_S, start="") == job_id
        first, second = sorted(run.id for run in jobs.runs_of(session, [job_id]))[:2]
        assert retention.remove_curves(session, older_than_s=DAY_S, start="") == first
        assert retention.remove_curves(session, older_than_s=DAY_S, start=first) == second
        third = retention.remove_checkpoints(session, older_than_s=DAY_S, start="")
    assert left(database, job_id) == (checkpoints - 3, points // 2, told - 5)
    with database.write() as session:
        assert third is not None
        assert retention.remove_checkpoints(session, older_than_s=DAY_S, start=third) is not None
        assert retention.remove_checkpoints(session, older_than_s=DAY_S, start=third) is None


def test_two_keepers_at_once_do_no_harm(database: Database, tmp_path: Path) -> None:
    """While two remove and users retry, all that is old goes once, nothing fails, and what was retried goes on."""
    old = [trained(database, f"old {number}") for number in range(4)]
    failed = [trained(database, f"failed {number}", seeds=1, well=False) for number in range(4)]
    trouble: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(3):
                remove(database, tmp_path, **ALL)
        except Exception as error:  # noqa: BLE001 - whatever it is
            trouble.append(error)

    def retry() -> None:
        for job_id in failed:
            with database.write() as session:
                jobs.retry(session, job_id)

    threads = [threading.Thread(target=each) for each in (work, work, retry)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
    assert {left(database, job_id) for job_id in old} == {(0, 0, 0)}
    with database.read() as session:
        assert {run.state for run in jobs.runs_of(session, failed)} == {RunState.QUEUED}
        for job_id in failed:  # the retry itself is told, and kept
            assert events.after(session, job_id, 0)[-1].data["state"] == "queued"


def test_old_timelines_go_and_what_has_not_ended_stays(database: Database, tmp_path: Path) -> None:
    """Of classifications those that ended long ago are deleted; the young and the open stay."""
    with database.write() as session:
        old, young, waiting = (add_classification(session).id for _ in range(3))
        for each in (old, young):
            classifications.cancel(session, each)
        row = classifications.get(session, old)
        assert row.finished_at is not None
        row.finished_at -= timedelta(days=3)
    remove(database, tmp_path, **ALL)
    remove(database, tmp_path, retention_classifications_days=2.0)
    with database.read() as session:
        assert {row.id for row in classifications.page(session).items} == {young, waiting}
