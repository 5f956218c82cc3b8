"""What a tenant has stored, counted from rows, and the limit that it may not pass."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import update

from store import answers, datasets, deletion, jobs, runs, sizes, usage
from store.engine import Database
from store.errors import StorageFull
from store.models import Dataset, Run
from store.objects import ObjectStore
from store.settle import settle
from tests.stored import add_ready_dataset, claim, counted, finish, submit

TREE, PREDICTIONS, BUNDLE = 700, 512, 4096  # bytes, as tests.stored has it


def fill(database: Database, tenant: str) -> str:
    """A dataset and a job of two runs: one has ended and registered its model, the other has a checkpoint."""
    with database.write() as session:
        add_ready_dataset(session, tenant=tenant)
        job = submit(session, seeds=(0, 1), tenant=tenant)
        runs.succeed(session, claim(session).claim, finish(register=True))
        runs.save_checkpoint(session, claim(session).claim, digest="e" * 64, size_bytes=300, epoch=1)
    return job.id


def look(database: Database, tenant: str = "one") -> usage.Usage:
    with database.read() as session:
        return usage.look(session, tenant=tenant)


def test_each_tenant_s_rows_count_with_their_objects(database: Database) -> None:
    """Of two tenants that name the same objects each has them counted, under one kind; others have nothing."""
    fill(database, "one")
    fill(database, "two")
    with database.write() as session:
        datasets.create(
            session, name="sent", source={"kind": "upload"}, upload_digest="d" * 64, upload_bytes=50, tenant="one"
        )
        answers.keep(session, "key", tenant="one", tree_digest="f" * 64, size_bytes=9, limit_bytes=10)
    found = look(database)
    assert found.kinds == {
        "datasets": usage.Kept(2, TREE + 50),
        "classifications": usage.Kept(0),
        "model_versions": usage.Kept(1, BUNDLE),
        "runs": usage.Kept(2, PREDICTIONS),
        "checkpoints": usage.Kept(1, 300),
        "jobs": usage.Kept(1),
        "sweeps": usage.Kept(0),
    }
    assert (found.size_bytes, found.unmeasured, found.cached_bytes) == (TREE + 50 + BUNDLE + PREDICTIONS + 300, 0, 9)
    assert look(database, "two").size_bytes == found.size_bytes - 50
    assert look(database, "three").size_bytes == 0


def test_deleting_frees_what_it_was_counted_with(database: Database) -> None:
    """A model's bytes stay with its run until the job goes; then nothing of either counts."""
    job_id = fill(database, "one")
    with database.write() as session:
        jobs.cancel(session, job_id, tenant="one")
        runs.reap(session, max_stalled_attempts=1)
        session.execute(update(Run).where(Run.state == "running").values(state="cancelled"))
        settle(session, job_id)
        deletion.delete_model(session, "made-pskd", force=True, tenant="one")
    kinds = look(database).kinds
    assert (kinds["model_versions"], kinds["runs"]) == (usage.Kept(0), usage.Kept(2, PREDICTIONS + BUNDLE))
    with database.write() as session:
        deletion.delete_job(session, job_id, force=True, tenant="one")
    assert look(database).size_bytes == TREE


def test_looking_takes_as_many_queries_whatever_there_is(database: Database) -> None:
    """Eight statements with nothing stored, and eight with rows of every kind."""
    with counted(database) as queries:
        look(database)
    fill(database, "one")
    with counted(database) as more:
        look(database)
    assert len(queries) == len(more) == 8


def test_of_two_that_add_at_once_one_is_refused(database: Database) -> None:
    """Both fit alone and not together: the second waits for the first and is refused with the figures, each time."""
    for number in range(5):
        told: list[dict[str, int] | None] = []
        barrier = threading.Barrier(2)

        def add(name: str, told: list[dict[str, int] | None] = told, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            tenant = name.partition("/")[0]
            try:
                with database.write() as session:
                    usage.check_room(session, adding_bytes=60, limit_bytes=100, tenant=tenant)
                    source = {"kind": "upload"}
                    datasets.create(session, name=name, source=source, upload_bytes=60, tenant=tenant)
            except StorageFull as full:
                told.append(full.storage)
            else:
                told.append(None)

        threads = [threading.Thread(target=add, args=(f"{number}/{each}",)) for each in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(told, key=bool) == [None, {"stored_bytes": 60, "adding_bytes": 60, "limit_bytes": 100}]


@pytest.mark.parametrize(
    ("stored", "adding", "fits"), [(99, 0, True), (100, 0, False), (90, 10, True), (90, 11, False), (0, 101, False)]
)
def test_the_limit_itself_fits(stored: int, adding: int, *, fits: bool) -> None:
    """What fills the limit to the byte is taken; from then on nothing new is."""
    if fits:
        usage.check(stored, adding_bytes=adding, limit_bytes=100)
    else:
        with pytest.raises(StorageFull, match=f"{stored} bytes of the 100 .*PSKD_TENANT_STORAGE_BYTES"):
            usage.check(stored, adding_bytes=adding, limit_bytes=100)


def test_old_rows_are_measured(database: Database, tmp_path: Path) -> None:
    """Rows of a version that wrote no sizes are said to be unknown until they are measured; what is damaged stays so,
    and what is gone takes nothing.
    """
    objects = ObjectStore(str(tmp_path / "objects"), cache_dir=tmp_path / "cache")
    folder = tmp_path / "tree"
    (folder / "inner").mkdir(parents=True)
    (folder / "a").write_bytes(b"12345")
    (folder / "inner" / "b").write_bytes(b"678")
    tree, upload, list_of_none = (
        objects.put_tree(folder),
        objects.put_bytes(b"upload"),
        objects.put_bytes(b'{"/x": ""}'),
    )
    fill(database, "one")
    with database.write() as session:
        names = {"upload_digest": upload, "upload_bytes": None, "tree_digest": tree, "tree_bytes": None}
        session.execute(update(Dataset).values(**names))
        session.execute(update(Run).values(predictions_bytes=None))  # its object is nowhere
        session.execute(update(Run).values(checkpoint_digest=list_of_none, checkpoint_bytes=None))
    before = look(database)
    assert (before.unmeasured, before.kinds["datasets"]) == (5, usage.Kept(1, 0, unmeasured=2))
    assert before.kinds["checkpoints"] == usage.Kept(2, 0, unmeasured=2)
    assert sizes.measure(database, objects) == 3
    assert look(database).kinds["datasets"] == usage.Kept(1, len(b"upload") + 8)
    assert (look(database).unmeasured, look(database).kinds["checkpoints"].unmeasured) == (2, 2)
    assert sizes.measure(database, objects) == 0
