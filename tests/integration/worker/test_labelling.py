"""A long recording labelled in a process of its own, which may be refused, killed or cancelled."""

import json
import os
import signal
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import psutil
import pytest

from pskd_core.data.recordings import read_recording
from pskd_core.inference import Bundle, classify
from store import classifications, datasets, usage
from store.engine import Database
from store.lifecycle import ClassificationState
from store.models import ModelVersion
from store.objects import ObjectStore
from store.timelines import Classification
from tests.bundles import made_bundle
from tests.integration.worker.stack import Stack, until
from tests.recordings import write_day
from worker.child import forkserver, label_child
from worker.labelling import label_claimed
from worker.limits import UploadLimits
from worker.link import Link
from worker.settings import WorkerSettings


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    return forkserver()


def submit(database: Database, objects: ObjectStore, folder: Path, recording: Path, **reading: Any) -> str:
    """A recording and a model, in the object store, and the row that waits."""
    (bundle := folder / "bundle").mkdir()
    made_bundle(bundle)
    version = ModelVersion(version=1, bundle_digest=objects.put_tree(bundle))
    with database.write() as session:
        return classifications.create(
            session,
            filename=recording.name,
            upload_digest=objects.put_file(recording),
            upload_bytes=recording.stat().st_size,
            model="watch",
            version=version,
            reading=reading,
        ).id


def get(database: Database, classification_id: str) -> Classification:
    with database.read() as session:
        return classifications.get(session, classification_id)


def labelled(
    context: ForkServerContext, settings: WorkerSettings, folder: Path, recording: Path, **reading: Any
) -> Classification:
    """What a process of its own makes of a recording."""
    database = Database(settings.database_url)
    objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
    created = submit(database, objects, folder, recording, **reading)
    with database.write() as session:
        claimed = classifications.claim(session, worker="one", lease_s=120)
    (scratch := folder / "scratch").mkdir()
    link = Link(context, lease_end_s=time.monotonic() + 120)
    child = context.Process(target=label_child, args=(settings, claimed, link, scratch))
    child.start()
    child.join(120)
    row = get(database, created)
    database.dispose()
    return row


def made_settings(tmp_path: Path, sqlite_url: str, **limits: Any) -> WorkerSettings:
    return WorkerSettings(home=tmp_path / "home", database_url=sqlite_url, **limits)


def test_a_recording_becomes_what_classify_answers(context: ForkServerContext, tmp_path: Path, sqlite_url: str) -> None:
    """The stored lines and the overview are those of the recording as a whole, and nothing else stays."""
    settings = made_settings(tmp_path, sqlite_url)
    write_day(day := tmp_path / "day.csv", hours=0.05)
    row = labelled(context, settings, tmp_path, day)
    assert (row.state, row.detail) == (ClassificationState.SUCCEEDED, None)
    objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
    whole = classify(Bundle.load(tmp_path / "bundle"), read_recording(day.read_bytes())).model_dump(mode="json")
    for name, digest, size in (
        ("segments", row.segments_digest, row.segments_bytes),
        ("windows", row.windows_digest, row.windows_bytes),
    ):
        content = objects.get_bytes(digest or "")
        assert [json.loads(line) for line in content.splitlines()] == whole[name]
        assert len(content) == size
    assert row.overview is not None
    assert row.overview["input"] == whole["input"]
    assert row.overview["label"] == whole["label"]
    assert list((tmp_path / "scratch" / "timeline").iterdir()) != []  # its supervisor's to remove


@pytest.mark.parametrize(
    ("name", "content", "cause", "said", "place"),
    [
        (
            "a.csv",
            b"t,x,y,z\n0,1,1,1\n1,oops,1,1\n2,1,1,1\n",
            "data",
            "oops",
            {"file": "a.csv", "row": 3, "column": "x"},
        ),
        ("b.csv", b"time,x,y,z\n2,1,1,1\n1,0,1,1\n0,1,1,0\n", "data", "b.csv", {"file": "b.csv"}),
        ("c.gt3x", b"PK\x03\x04" + bytes(2000), "data", "c.gt3x", {"file": "c.gt3x"}),
        ("d.npy", b"\x93NUMPY\x01\x00" + bytes(100), "data", "d.npy", {"file": "d.npy"}),
    ],
)
def test_a_hostile_file_is_refused_with_its_place(
    context: ForkServerContext,
    tmp_path: Path,
    sqlite_url: str,
    name: str,
    content: bytes,
    cause: str,
    said: str,
    place: dict[str, Any],
) -> None:
    """What cannot be read fails at once and for good, under the name that its owner knows, and says where it is."""
    (file := tmp_path / name).write_bytes(content)
    row = labelled(context, made_settings(tmp_path, sqlite_url), tmp_path, file)
    assert (row.state, row.cause, row.attempts) == (ClassificationState.FAILED, cause, 1)
    assert row.detail is not None
    assert said in row.detail
    assert (row.place or {}).items() >= place.items()
    assert row.upload_digest is None


@pytest.mark.parametrize(
    ("limits", "cause", "said"),
    [
        ({"import_timeout_s": 0.05}, "data", "its labelling takes more than 0.05 s; cut the recording up"),
        ({"import_file_bytes": 1 << 16}, "data", "a file of more than 0 MiB"),
        ({"tenant_storage_bytes": 1}, "quota", "PSKD_TENANT_STORAGE_BYTES"),
    ],
    ids=["time", "file", "quota"],
)
def test_a_limit_ends_it_with_its_name(
    context: ForkServerContext, tmp_path: Path, sqlite_url: str, limits: dict[str, Any], cause: str, said: str
) -> None:
    """As an import's, its limits are typed and named; results that do not fit are stored nowhere."""
    settings = made_settings(tmp_path, sqlite_url, **limits)
    (still := tmp_path / "still.csv").write_text("x,y,z\n" + "0,0,1\n" * 30_000)
    row = labelled(context, settings, tmp_path, still, overlap=0.95)
    assert (row.state, row.cause) == (ClassificationState.FAILED, cause)
    assert said in (row.detail or "")
    assert row.windows_digest is None


def test_memory_does_not_grow_with_the_recording(context: ForkServerContext, tmp_path: Path, sqlite_url: str) -> None:
    """Four hours at 100 Hz (26 MB of text, 1.4 million samples) pass where 96 MiB are all that may be taken."""
    write_day(day := tmp_path / "day.csv", hours=4)
    row = labelled(context, made_settings(tmp_path, sqlite_url, import_memory_bytes=96 << 20), tmp_path, day)
    assert (row.state, row.detail) == (ClassificationState.SUCCEEDED, None)
    assert row.overview is not None
    assert row.overview["windows"] > 5000


def test_what_is_left_of_a_recording_may_grow_into_what_it_frees(database: Database, tmp_path: Path) -> None:
    """Its tenant needs room for the timeline alone, not for the recording beside it."""
    objects = ObjectStore(str(tmp_path / "objects"), cache_dir=tmp_path / "cache")
    write_day(day := tmp_path / "day.csv", hours=0.05)
    created = submit(database, objects, tmp_path, day)
    with database.write() as session:
        claimed = classifications.claim(session, worker="one", lease_s=60)
    assert claimed is not None
    limits = UploadLimits.of(WorkerSettings(tenant_storage_bytes=day.stat().st_size))
    (scratch := tmp_path / "scratch").mkdir()
    label_claimed(database, objects, claimed, scratch, limits)
    with database.read() as session:
        row = classifications.get(session, created)
        assert usage.look(session).size_bytes == (row.segments_bytes or 0) + (row.windows_bytes or 0)
    assert row.state is ClassificationState.SUCCEEDED


# --- Through Celery -----------------------------------------------------------------------------------------------


def labelling_child(worker: int) -> psutil.Process | None:
    """The process that has a scratch file open, once it is at work."""
    for child in psutil.Process(worker).children(recursive=True):
        try:
            if any("timeline" in file.path for file in child.open_files()):
                return child
        except psutil.Error:
            continue
    return None


def under_way(stack: Stack, classification_id: str) -> Classification | None:
    row = get(stack.database, classification_id)
    return row if row.state is ClassificationState.RUNNING and row.fraction > 0 else None


def test_a_killed_attempt_is_followed_by_another(sqlite_stack: Stack, tmp_path: Path) -> None:
    """Its process is killed with -9 in the middle; another attempt begins afresh and ends well."""
    write_day(day := tmp_path / "day.csv", hours=4)
    created = submit(sqlite_stack.database, sqlite_stack.objects, tmp_path, day)
    worker = sqlite_stack.start("worker")
    sqlite_stack.start("worker.keeper")
    until(lambda: under_way(sqlite_stack, created), what="progress")
    child = until(lambda: labelling_child(worker.pid), what="its process")
    os.kill(child.pid, signal.SIGKILL)

    def ended() -> Classification | None:
        row = get(sqlite_stack.database, created)
        return row if row.finished_at is not None else None

    row = until(ended, what="the second attempt")
    assert (row.state, row.attempts) == (ClassificationState.SUCCEEDED, 2)
    until(lambda: not list(sqlite_stack.settings.scratch_dir.glob("*/*")), within_s=5, what="an empty scratch folder")


def test_a_cancelled_one_stops_within_seconds(postgresql_stack: Stack, tmp_path: Path) -> None:
    """Asked in the middle, its process is ended and nothing of it is left."""
    write_day(day := tmp_path / "day.csv", hours=12)
    created = submit(postgresql_stack.database, postgresql_stack.objects, tmp_path, day)
    postgresql_stack.start("worker")
    postgresql_stack.start("worker.keeper")
    until(lambda: under_way(postgresql_stack, created), what="progress")
    with postgresql_stack.database.write() as session:
        assert classifications.cancel(session, created).state is ClassificationState.CANCELLING
    until(
        lambda: get(postgresql_stack.database, created).state is ClassificationState.CANCELLED,
        within_s=10,
        what="its end",
    )
    row = get(postgresql_stack.database, created)
    assert (row.overview, row.windows_digest, row.upload_digest) == (None, None, None)
    scratch = postgresql_stack.settings.scratch_dir
    until(lambda: not list(scratch.glob("*/*")), within_s=5, what="an empty scratch folder")


def test_no_recording_waits_for_an_import(sqlite_stack: Stack, tmp_path: Path) -> None:
    """A worker that is at a large dataset labels a recording meanwhile; each kind has a slot of its own."""
    with sqlite_stack.database.write() as session:
        source = {"kind": "synthetic", "subjects": 100, "trials": 100, "classes": 6}
        dataset_id = datasets.create(session, name="large", source=source).id
    sqlite_stack.start("worker")
    sqlite_stack.start("worker.keeper")

    def importing() -> bool:
        with sqlite_stack.database.read() as session:
            return datasets.get(session, dataset_id).worker is not None

    until(importing, what="the import")
    write_day(day := tmp_path / "day.csv", hours=0.05)
    created = submit(sqlite_stack.database, sqlite_stack.objects, tmp_path, day)
    until(lambda: get(sqlite_stack.database, created).finished_at, what="the timeline")
    assert get(sqlite_stack.database, created).state is ClassificationState.SUCCEEDED
    assert importing()
