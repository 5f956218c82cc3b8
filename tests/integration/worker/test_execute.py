"""One attempt at a run, in this process: what it leaves when it is stale, when its checkpoint is spoilt, in trouble."""

import errno
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from pskd_core.config import Resources
from pskd_core.errors import RankLost
from pskd_core.run import Run
from pskd_core.training.meter import EpochReport
from store import datasets, jobs, outbox, runs
from store.engine import Database
from store.events import after
from store.jobs import PlannedFold
from store.lifecycle import FailureCause, RunState
from store.models import ConfigurationResult, Event, TeacherAnswers
from store.models import Run as RunRow
from store.objects import ObjectStore
from store.runs import ClaimedRun
from tests.integration.worker.stack import small_spec
from tests.small import SMALL_SPEC, small_dataset
from tests.stored import REPORT, claim, folds
from worker.child import forkserver
from worker.execute import Execution
from worker.link import Link, Stop
from worker.settings import WorkerSettings

ONE_EPOCH = {"epochs": 1, "batch_size": 16}
REUSING = {"reuse_teachers": True}


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> WorkerSettings:
    tracking_url = "http://127.0.0.1:9"
    return WorkerSettings(home=tmp_path, database_url=database_url, mlflow_url=tracking_url, checkpoint_every_s=0)


@pytest.fixture
def link() -> Link:
    return Link(forkserver(), lease_end_s=time.monotonic() + 600)


@pytest.fixture
def execution(database: Database, settings: WorkerSettings, link: Link, tmp_path: Path) -> Execution:
    """The first attempt at the only run of a job; the dataset is in the object store."""
    objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
    small = small_dataset(tmp_path / "data")
    tree = objects.put_tree(tmp_path / "data")
    with database.write() as session:
        datasets.create(session, name="made", source={"kind": "synthetic"})
        importing = datasets.claim_import(session, worker="importer", lease_s=30)
        assert importing is not None
        report = {"report": REPORT, "content_digest": small.digest, "tree_digest": tree, "tree_bytes": 1}
        datasets.finish_import(session, importing.claim, **report)  # type: ignore[arg-type]
        jobs.submit(session, small_spec(dataset="made", training=ONE_EPOCH), plan=folds("all", n_test=24))
        claimed = claim(session)
    folder = tmp_path / "scratch"
    folder.mkdir()
    return Execution(settings, database, objects, claimed, link, folder)


def row(execution: Execution) -> RunRow:
    with execution.database.read() as session:
        return runs.get(session, execution.claimed.run_id)


def events(execution: Execution) -> list[Event]:
    with execution.database.read() as session:
        return list(after(session, execution.claimed.job_id, 0))


def claim_again(execution: Execution) -> ClaimedRun:
    """As if the lease had run out meanwhile."""
    with execution.database.write() as session:
        runs.renew(session, execution.claimed.claim, lease_s=-1)
    with execution.database.write() as session:
        runs.reap(session, max_stalled_attempts=3)
        return claim(session, worker="two")


def test_a_stale_attempt_changes_nothing(execution: Execution) -> None:
    """An attempt whose run somebody else has claimed stops at its first write and leaves no trace, not even a note."""
    claim_again(execution)
    before, told = row(execution), len(events(execution))
    execution.run()
    now = row(execution)
    assert (now.state, now.worker, now.epoch, now.checkpoint_digest) == (RunState.RUNNING, "two", 0, None)
    assert now.token == before.token
    assert len(events(execution)) == told
    with execution.database.write() as session:
        assert outbox.take(session, "mlflow") == []


def test_a_spoilt_checkpoint_costs_time_only(execution: Execution) -> None:
    """A checkpoint that cannot be read is reported, and the run starts afresh and succeeds."""
    with execution.database.write() as session:
        broken = execution.objects.put_bytes(b"{}")  # an empty tree
        runs.save_checkpoint(session, execution.claimed.claim, digest=broken, size_bytes=1, epoch=1)
    execution.claimed = claim_again(execution)
    execution.run()
    now = row(execution)
    assert (now.state, now.epoch) == (RunState.SUCCEEDED, 2)
    (warning,) = [event.data["detail"] for event in events(execution) if event.kind == "warning"]
    assert "starting afresh" in warning
    with execution.database.write() as session:
        told = [message.payload["op"] for message in outbox.take(session, "mlflow")]
    assert told == ["epoch", "epoch", "state"]


def test_an_epoch_done_again_is_not_told_again(execution: Execution) -> None:
    """A resume from an older checkpoint repeats epochs; events and notes of them are not repeated."""
    with execution.database.write() as session:
        first: dict[str, Any] = {"epoch": 0, "epochs": 2, "phase": "teachers", "metrics": {"skeleton/ce": 9.0}}
        assert runs.record_epoch(session, execution.claimed.claim, **first)
    execution.link.ask(Stop.AT_EPOCH)
    with pytest.raises(SystemExit):
        execution.run()
    now = row(execution)
    assert (now.epoch, now.checkpoint_epoch) == (1, 1)
    assert [event.data["epoch"] for event in events(execution) if event.kind == "run.epoch"] == [0]
    with execution.database.write() as session:
        assert outbox.take(session, "mlflow") == []


def test_trouble_with_files_is_left_to_the_lease(execution: Execution) -> None:
    """A dataset that cannot be fetched ends the attempt, not the run: people read why, and the reaper counts it."""
    missing = "0" * 64
    execution.claimed = replace(execution.claimed, dataset_tree=missing)
    with pytest.raises(SystemExit) as ended:
        execution.run()
    assert ended.value.code == 1
    assert row(execution).state is RunState.RUNNING
    (warning,) = [event.data["detail"] for event in events(execution) if event.kind == "warning"]
    assert warning.startswith("will be tried again: ObjectMissing")


def test_a_fault_of_ours_is_called_one(execution: Execution) -> None:
    """A fold that the job does not have is nobody's but our mistake; the run fails as `internal` and says what."""
    execution.claimed = replace(execution.claimed, fold_index=7)
    with pytest.raises(SystemExit):
        execution.run()
    now = row(execution)
    assert (now.state, now.cause, now.detail) == (RunState.FAILED, "internal", "IndexError: tuple index out of range")


def test_cancelling_in_mid_epoch_leaves_the_row_to_the_supervisor(execution: Execution) -> None:
    """Asked to stop now, the attempt makes no further step and writes nothing."""
    execution.link.ask(Stop.NOW)
    with pytest.raises(SystemExit) as ended:
        execution.run()
    assert ended.value.code is None
    assert execution.link.beats == 2  # the opened dataset and one step
    assert (row(execution).state, row(execution).epoch) == (RunState.RUNNING, 0)


def test_a_run_repeats_what_the_core_gives(execution: Execution, tmp_path: Path) -> None:
    """The executed fold is the planned one: its report has the test part of the core's own run."""
    execution.run()
    now = row(execution)
    assert now.report is not None
    assert now.result is not None
    assert now.report["classes"][0] == "wave"
    assert len(now.report["test"]["confusion"]) == 6
    assert "confusion" not in now.result["test"]
    assert set(now.result["teachers"]) == {"skeleton", "fusion"}
    assert now.bundle_bytes is not None
    assert now.bundle_bytes > 10_000
    assert not list(execution.folder.glob("checkpoint*"))


def next_student(execution: Execution, folder: Path, **fields: Any) -> Execution:
    """An attempt at another job of the same teachers, whose student follows another loss."""
    method = {**SMALL_SPEC["method"], "loss": {"kind": "st"}}
    spec = small_spec(dataset="made", method=method, training=ONE_EPOCH, resources=REUSING, **fields)
    with execution.database.write() as session:
        jobs.submit(session, spec, plan=folds("all", n_test=24))
        claimed = claim(session)
    folder.mkdir()
    return replace(execution, claimed=claimed, folder=folder)


def steps(execution: Execution, monkeypatch: pytest.MonkeyPatch) -> int:
    """Runs it; returns how many steps it took itself."""
    counted: list[int] = []
    on_step = Execution._on_step

    def counting(self: Execution, done: int) -> None:
        counted.append(done)
        on_step(self, done)

    with monkeypatch.context() as patched:
        patched.setattr(Execution, "_on_step", counting)
        execution.run()
    assert row(execution).state is RunState.SUCCEEDED
    return len(counted)


def test_teachers_are_trained_once(execution: Execution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second student takes their answers from the store, and its result is that of a run that trains them itself."""
    execution.claimed = replace(execution.claimed, spec=small_spec(training=ONE_EPOCH, resources=REUSING))
    taught = steps(execution, monkeypatch)
    second, third = next_student(execution, tmp_path / "two"), next_student(execution, tmp_path / "three")
    third.claimed = replace(third.claimed, spec=third.claimed.spec.model_copy(update={"resources": Resources()}))

    assert steps(second, monkeypatch) == steps(third, monkeypatch) // 2 == taught // 2
    assert row(second).report == row(third).report
    assert row(second).predictions_digest == row(third).predictions_digest
    assert not (second.folder / "answers").exists()


def test_answers_beyond_the_limit_go(execution: Execution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no longer fits is deleted with its row, and whoever needs it trains the teachers again."""
    execution.settings = execution.settings.model_copy(update={"teachers_limit_bytes": 0})
    execution.claimed = replace(execution.claimed, spec=small_spec(training=ONE_EPOCH, resources=REUSING))
    taught = steps(execution, monkeypatch)
    with execution.database.read() as session:
        assert session.query(TeacherAnswers).count() == 0
    assert steps(next_student(execution, tmp_path / "two"), monkeypatch) == taught


def kept_tree(execution: Execution) -> str:
    with execution.database.read() as session:
        return session.scalars(select(TeacherAnswers.tree_digest)).one()


def warnings(execution: Execution) -> list[str]:
    return [event.data["detail"] for event in events(execution) if event.kind == "warning"]


def spoil(objects: ObjectStore, digest: str) -> None:
    """Other bytes in the place of one file of a tree, as a failing disk leaves them."""
    victim = Path(objects._key(objects.list_tree(digest)["teachers.safetensors"]))
    victim.unlink()
    victim.write_bytes(b"spoilt")


@pytest.mark.parametrize("trouble", ["gone", "spoilt"])
def test_answers_that_cannot_be_had_are_made_again(
    execution: Execution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """It costs one run the time of its teachers, which is told; the one after it reads again."""
    execution.claimed = replace(execution.claimed, spec=small_spec(training=ONE_EPOCH, resources=REUSING))
    taught = steps(execution, monkeypatch)
    tree = kept_tree(execution)
    if trouble == "gone":
        execution.objects.delete_tree(tree)
    else:
        spoil(execution.objects, tree)
    second = next_student(execution, tmp_path / "two")
    assert steps(second, monkeypatch) == taught
    assert "cannot be had" in warnings(second)[0]
    third = next_student(execution, tmp_path / "three")
    assert steps(third, monkeypatch) == taught // 2
    assert warnings(third) == []


def test_forgotten_answers_are_read_to_their_end(
    execution: Execution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes room in the store takes nothing from a run that reads, not even between two of its epochs."""
    execution.claimed = replace(execution.claimed, spec=small_spec(training=ONE_EPOCH, resources=REUSING))
    taught = steps(execution, monkeypatch)
    second = next_student(execution, tmp_path / "two")
    end_epoch = Execution._end_epoch

    def ending(self: Execution, run: Run, report: EpochReport) -> None:
        end_epoch(self, run, report)
        self.objects.delete_tree(tree)

    tree = kept_tree(execution)
    monkeypatch.setattr(Execution, "_end_epoch", ending)
    assert steps(second, monkeypatch) == taught // 2


def test_a_store_that_is_full_costs_the_answers_and_not_the_run(
    execution: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a finished training cannot leave behind is a warning."""
    put_tree = ObjectStore.put_tree

    def full(self: ObjectStore, directory: Path, **options: Any) -> str:
        if directory.name == "answers":
            raise OSError(errno.ENOSPC, "No space left on device")
        return put_tree(self, directory, **options)

    monkeypatch.setattr(ObjectStore, "put_tree", full)
    execution.claimed = replace(execution.claimed, spec=small_spec(training=ONE_EPOCH, resources=REUSING))
    steps(execution, monkeypatch)
    assert "not kept" in warnings(execution)[0]
    assert not (execution.folder / "answers").exists()


def test_who_has_lost_its_run_keeps_no_answers(execution: Execution, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the answers are being stored another worker takes the run: no row names them, and nothing ends."""
    put_tree = ObjectStore.put_tree

    def overtaken(self: ObjectStore, directory: Path, **options: Any) -> str:
        if directory.name == "answers":
            with execution.database.write() as session:
                session.execute(update(RunRow).values(token=RunRow.token + 1))
        return put_tree(self, directory, **options)

    monkeypatch.setattr(ObjectStore, "put_tree", overtaken)
    execution.claimed = replace(execution.claimed, spec=small_spec(training=ONE_EPOCH, resources=REUSING))
    execution.run()
    assert row(execution).state is RunState.RUNNING
    with execution.database.read() as session:
        assert session.query(TeacherAnswers).count() == 0


def test_a_run_tells_its_subjects_apart(execution: Execution) -> None:
    """The result that the leaderboard keeps has the right answers of each test subject, as the report has them."""
    execution.run()
    report = row(execution).report
    assert report is not None
    with execution.database.read() as session:
        (result,) = session.scalars(select(ConfigurationResult))
    told = {name: scores["accuracy"] * scores["n"] for name, scores in report["test"]["per_subject"].items()}
    assert result.subjects is not None
    assert {name: right for name, (right, _) in result.subjects.items()} == pytest.approx(told)
    assert sum(n for _, n in result.subjects.values()) == result.n


@pytest.mark.parametrize(("kills", "state", "cause"), [(0, "running", None), (1, "failed", "out_of_memory")])
def test_a_lost_process_is_told_by_how_it_ended(
    execution: Execution, monkeypatch: pytest.MonkeyPatch, kills: int, state: str, cause: str | None
) -> None:
    """Its run is tried again at once, without waiting for the lease; unless the kernel killed it for memory."""
    count = [0]
    monkeypatch.setattr("worker.memory.kills", lambda: count[0])
    execution.__post_init__()

    def lost(*_: Any) -> Iterator[EpochReport]:
        count[0] += kills
        raise RankLost("process 2 of 2 was killed by signal 9", killed=True)

    monkeypatch.setattr(Run, "epochs", lost)
    with pytest.raises(SystemExit):
        execution.run()
    now = row(execution)
    assert (now.state, now.cause) == (state, cause)
    if kills:
        assert now.detail is not None
        assert now.detail.startswith("process 2 of 2 was killed by signal 9: the system ran out of memory")
        assert "lower training.batch_size" in now.detail
    else:
        assert now.last_end == "had to end: process 2 of 2 was killed by signal 9"
        assert warnings(execution) == ["will be tried again: process 2 of 2 was killed by signal 9"]
        with execution.database.write() as session:
            assert runs.reap(session, max_stalled_attempts=3) == [execution.claimed.run_id]


def test_a_refit_is_calibrated_on_its_inner_folds(execution: Execution, tmp_path: Path) -> None:
    """Its student's calibration counts every recording that inner folds held out; without one of them it has none."""
    execution.run()
    validated = {"protocol": {"kind": "subjects", "train": ["1", "2"], "test": ["3"]}, "method": {"kind": "none"}}
    spec = small_spec(dataset="made", training=ONE_EPOCH, validation={"kind": "inner_loso"}, seeds=[0, 1], **validated)
    planned = [PlannedFold("inner:1", 0), PlannedFold("inner:2", 0), PlannedFold("refit", 12)]
    with execution.database.write() as session:
        jobs.submit(session, spec, plan=lambda _dataset: planned)
    found = {}
    for place in range(6):
        with execution.database.write() as session:
            claimed = claim(session)
            if (claimed.seed, claimed.fold) == (1, "inner:2"):
                runs.fail(session, claimed.claim, cause=FailureCause.INTERNAL, detail="")
                continue
        (folder := tmp_path / f"scratch-{place}").mkdir()
        attempt = replace(execution, claimed=claimed, folder=folder)
        attempt.run()
        result = row(attempt).result
        assert result is not None
        found[claimed.seed, claimed.fold] = result["calibration"]
    assert found[0, "refit"]["validation"]["n"] == sum(found[0, f"inner:{one}"]["validation"]["n"] for one in (1, 2))
    assert found[1, "refit"] is None
    assert any("fold inner:2 has left no predictions" in str(event.data) for event in events(attempt))
