"""Submitting jobs, and what their users ask of them, on both databases."""

import pytest

from pskd_core.errors import ProtocolError
from store import datasets, events, jobs, outbox, runs
from store.engine import Database
from store.errors import BadCursor, DatasetNotUsable, IllegalTransition, NotFound
from store.jobs import PlannedFold
from store.lifecycle import FailureCause, JobState, RunState
from store.models import Dataset, Job
from tests.stored import add_ready_dataset, claim, finish, folds, make_spec, submit


def _states(database: Database, job_id: str) -> list[str]:
    with database.read() as session:
        return [run.state.value for run in jobs.runs_of(session, [job_id])]


def _job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return jobs.get(session, job_id)


@pytest.fixture
def job_id(database: Database) -> str:
    """A queued job with seeds 0 and 1."""
    with database.write() as session:
        add_ready_dataset(session)
        return submit(session, seeds=(0, 1)).id


def test_submit_fans_out(database: Database) -> None:
    """A job on a ready dataset has a run and a wake for each seed and fold, in one transaction, seed by seed."""
    with database.write() as session:
        add_ready_dataset(session)
        outbox.mark_sent(session, [message.id for message in outbox.take(session, "wake")])
        job = submit(session, "loso:1", "loso:2", seeds=(5, 3), priority=2)
    with database.write() as session:
        of_job = jobs.runs_of(session, [job.id])
        wakes = outbox.take(session, "wake")
    assert (job.state, job.priority, job.created_at.tzinfo is not None) == (JobState.QUEUED, 2, True)
    assert [(run.seed, run.fold, run.fold_index, run.rank) for run in of_job] == [
        (5, "loso:1", 0, -2),
        (5, "loso:2", 1, -2),
        (3, "loso:1", 0, -2),
        (3, "loso:2", 1, -2),
    ]
    assert [wake.payload for wake in wakes] == [{"queue": "cpu"}] * 4


def test_submit_that_fails_leaves_nothing(database: Database) -> None:
    """A plan that misses subjects ends the submit: no job, no run, no message."""

    def plan(_: Dataset) -> list[PlannedFold]:
        raise ProtocolError("subject 8 is missing", missing=("8",))

    with database.write() as session:
        add_ready_dataset(session)
    with pytest.raises(ProtocolError), database.write() as session:
        jobs.submit(session, make_spec(), plan=plan)
    with database.read() as session:
        assert jobs.page(session).items == []


def test_dataset_by_id_name_or_not_at_all(database: Database) -> None:
    """A spec may name its dataset by id or by name; of another tenant, or unknown, it is not found."""
    with database.write() as session:
        dataset = add_ready_dataset(session)
        assert submit(session, dataset=dataset.id).dataset_id == dataset.id
        assert submit(session, dataset="made").dataset_id == dataset.id
        for name, tenant in (("else", "default"), ("made", "other"), (dataset.id, "other")):
            with pytest.raises(NotFound):
                submit(session, dataset=name, tenant=tenant)


def test_job_waits_for_its_import(database: Database) -> None:
    """Submitted before the import ends, a job is visible as `validating` and fans out when the dataset is ready."""
    with database.write() as session:
        datasets.create(session, name="made", source={"kind": "synthetic"})
        job = submit(session)
    assert (job.state, _states(database, job.id)) == (JobState.VALIDATING, [])
    with database.write() as session:
        importing = datasets.claim_import(session, worker="importer", lease_s=30)
        assert importing is not None
        dataset = datasets.finish_import(
            session, importing.claim, report={}, content_digest="c" * 64, tree_digest="7" * 64, tree_bytes=1
        )
        for waiting in jobs.waiting(session, dataset.id):
            jobs.expand(session, waiting, folds("all")(dataset))
            jobs.expand(session, waiting, folds("all")(dataset))  # a second time changes nothing
    assert (_job(database, job.id).state, _states(database, job.id)) == (JobState.QUEUED, ["queued"])


def test_job_fails_with_its_import(database: Database) -> None:
    """A failed import fails the jobs that waited for it, with its cause; later ones are refused at once."""
    with database.write() as session:
        datasets.create(session, name="made", source={"kind": "synthetic"})
        job = submit(session)
    with database.write() as session:
        importing = datasets.claim_import(session, worker="importer", lease_s=30)
        assert importing is not None
        datasets.fail_import(session, importing.claim, cause=FailureCause.DATA, detail="no skeleton")
    failed = _job(database, job.id)
    assert (failed.state, failed.cause) == (JobState.FAILED, "data")
    assert "no skeleton" in (failed.detail or "")
    assert failed.finished_at is not None
    with pytest.raises(DatasetNotUsable), database.write() as session:
        submit(session)


def test_cancel_while_waiting_for_the_import(database: Database) -> None:
    """A job cancelled before it has runs stays cancelled when the dataset becomes ready."""
    with database.write() as session:
        dataset = datasets.create(session, name="made", source={"kind": "synthetic"})
        job = submit(session)
        assert jobs.cancel(session, job.id).state is JobState.CANCELLED
        jobs.expand(session, job, folds("all")(dataset))
    assert (_job(database, job.id).state, _states(database, job.id)) == (JobState.CANCELLED, [])


def test_cancel_queued_job(database: Database, job_id: str) -> None:
    """What waits is cancelled at once, cannot be claimed, and cancelling again changes nothing."""
    with database.write() as session:
        assert jobs.cancel(session, job_id).state is JobState.CANCELLED
    with database.write() as session:
        before = jobs.get(session, job_id).event_seq
        assert jobs.cancel(session, job_id).state is JobState.CANCELLED
        assert jobs.get(session, job_id).event_seq == before
        assert runs.claim_next(session, worker="w", lease_s=30, device="cpu") is None
    assert _states(database, job_id) == ["cancelled", "cancelled"]


def test_cancel_running_job(database: Database, job_id: str) -> None:
    """What runs is flagged: the job is cancelling until the run has stopped."""
    with database.write() as session:
        claimed = claim(session)
    with database.write() as session:
        assert jobs.cancel(session, job_id).state is JobState.CANCELLING
    assert _states(database, job_id) == ["running", "cancelled"]
    with database.write() as session:
        runs.acknowledge(session, claimed.claim)
    assert _job(database, job_id).state is JobState.CANCELLED


def test_pause_and_resume(database: Database, job_id: str) -> None:
    """A paused job keeps its checkpoint, is not claimed, and goes on from there when resumed."""
    with database.write() as session:
        claimed = claim(session)
        assert jobs.pause(session, job_id).state is JobState.PAUSING
    with database.write() as session:
        runs.save_checkpoint(session, claimed.claim, digest="e" * 64, size_bytes=1, epoch=1)
        assert runs.acknowledge(session, claimed.claim) is RunState.PAUSED
        assert runs.claim_next(session, worker="w", lease_s=30, device="cpu") is None
    assert _job(database, job_id).state is JobState.PAUSED
    with database.write() as session:
        assert jobs.resume(session, job_id).state is JobState.QUEUED
    with database.write() as session:
        assert claim(session).checkpoint_digest == "e" * 64


def test_resume_before_the_run_has_stopped(database: Database, job_id: str) -> None:
    """Who changes their mind in time never stops the run."""
    with database.write() as session:
        claimed = claim(session)
        jobs.pause(session, job_id)
        assert jobs.resume(session, job_id).state is JobState.RUNNING
    with database.write() as session:
        assert runs.wanted(session, claimed.claim) == "run"
    assert _states(database, job_id) == ["running", "queued"]


def test_retry_runs_what_failed(database: Database, job_id: str) -> None:
    """The failed run goes on from its checkpoint with fresh attempts; what succeeded is not run again."""
    with database.write() as session:
        first, second = claim(session), claim(session)
        runs.save_checkpoint(session, first.claim, digest="e" * 64, size_bytes=1, epoch=1)
        runs.fail(session, first.claim, cause=FailureCause.OUT_OF_MEMORY, detail="no memory left")
        runs.succeed(session, second.claim, finish())
    with database.write() as session:
        job = jobs.retry(session, job_id)
        assert (job.state, job.cause, job.finished_at) == (JobState.QUEUED, None, None)
    assert _states(database, job_id) == ["queued", "succeeded"]
    with database.write() as session:
        again = claim(session)
        assert (again.seed, again.checkpoint_digest) == (0, "e" * 64)
        runs.succeed(session, again.claim, finish())
    assert _job(database, job_id).state is JobState.SUCCEEDED


def test_what_cannot_be_asked(database: Database, job_id: str) -> None:
    """A step that the table does not have is refused and changes nothing; another tenant does not see the job."""
    with database.write() as session:
        for ask in (jobs.resume, jobs.retry):
            with pytest.raises(IllegalTransition):
                ask(session, job_id)
        with pytest.raises(NotFound):
            jobs.cancel(session, job_id, tenant="other")
    with database.write() as session:
        claimed = [claim(session), claim(session)]
        for run in claimed:
            runs.succeed(session, run.claim, finish())
    with database.write() as session:
        for ask in (jobs.cancel, jobs.pause, jobs.resume, jobs.retry):
            with pytest.raises(IllegalTransition):
                ask(session, job_id)
    assert _job(database, job_id).state is JobState.SUCCEEDED


def test_retry_of_a_job_without_runs(database: Database) -> None:
    """A job that failed with its import has nothing to run again, and says so."""
    with database.write() as session:
        datasets.create(session, name="made", source={"kind": "synthetic"})
        job = submit(session)
        jobs.fail(session, job, cause=FailureCause.DATA, detail="subject 8 is missing")
        with pytest.raises(IllegalTransition):
            jobs.retry(session, job.id)


def test_the_tracker_hears_what_users_do_to_waiting_runs(database: Database) -> None:
    """A run that MLflow knows and no worker holds tells of its end by a note; an unknown one has nothing to tell."""
    with database.write() as session:
        add_ready_dataset(session)
        job_id = submit(session, seeds=(0, 1)).id
        known = claim(session)
        runs.set_tracking_id(session, known.run_id, "mlflow-1")
        runs.hand_back(session, known.claim)
    with database.write() as session:
        jobs.cancel(session, job_id)
        notes = [(note.key, note.payload) for note in outbox.take(session, "mlflow")]
    assert notes == [(known.run_id, {"op": "state", "state": "cancelled"})]


def test_claims_go_by_priority_then_age(database: Database) -> None:
    """A higher priority goes first; within it the older job, and within a job the planned order."""
    with database.write() as session:
        add_ready_dataset(session)
    expected: list[tuple[int, int, str]] = []
    for priority in (0, 5, 0, 5):
        with database.write() as session:
            expected.append((-priority, len(expected), submit(session, seeds=(4, 2), priority=priority).id))
    with database.write() as session:
        order = [claim(session) for _ in range(8)]
    assert [(run.job_id, run.seed) for run in order] == [
        (id_, seed) for _, _, id_ in sorted(expected) for seed in (4, 2)
    ]


def test_claims_go_by_device(database: Database) -> None:
    """A CPU worker leaves `cuda` runs alone, a GPU worker `cpu` runs; both take `auto`, which wakes the cpu queue."""
    with database.write() as session:
        add_ready_dataset(session)
        outbox.mark_sent(session, [message.id for message in outbox.take(session, "wake")])
        ids = {device: submit(session, resources={"device": device}).id for device in ("cuda", "cpu", "auto")}
    with database.write() as session:
        assert [wake.key for wake in outbox.take(session, "wake")] == ["gpu", "cpu", "cpu"]
        taken = [runs.claim_next(session, worker="w", lease_s=30, device="cuda") for _ in range(3)]
        assert [run and run.job_id for run in taken] == [ids["cuda"], ids["auto"], None]
        assert claim(session).job_id == ids["cpu"]


def test_pages(database: Database) -> None:
    """Pages show each job once, newest first, also while jobs are added; a cursor fits its own list only."""
    with database.write() as session:
        add_ready_dataset(session)
        ids = [submit(session).id for _ in range(5)]
        submit(session, tenant="default", seeds=(9,))
        jobs.cancel(session, ids[0])
    with database.write() as session:
        first = jobs.page(session, state=JobState.QUEUED, limit=3)
        submit(session)
        second = jobs.page(session, state=JobState.QUEUED, limit=3, cursor=first.next_cursor)
        with pytest.raises(BadCursor):
            jobs.page(session, limit=3, cursor=first.next_cursor)
        assert jobs.page(session, tenant="other").items == []
    shown = [job.id for job in (*first.items, *second.items)]
    assert shown[1:] == ids[:0:-1]
    assert second.next_cursor is None


def test_events_can_be_read_from_any_number(database: Database, job_id: str) -> None:
    """A reader who lost the connection goes on after the last number it saw."""
    with database.write() as session:
        claimed = claim(session)
        runs.warn(session, claimed.claim, "the learning rate is high")
    with database.read() as session:
        everything = events.after(session, job_id, 0)
        assert [event.seq for event in events.after(session, job_id, 2, limit=2)] == [3, 4]
        assert events.after(session, job_id, everything[-1].seq) == []
    assert everything[-1].kind == "warning"
    assert everything[-1].data["detail"] == "the learning rate is high"
