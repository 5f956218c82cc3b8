"""An import that takes more than it may of memory, time or disk ends with the limit's name, and harms nothing else."""

import resource
import time
import zipfile
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from store import datasets
from store.engine import Database
from store.lifecycle import DatasetState, FailureCause
from store.models import Dataset
from store.objects import ObjectStore
from tests.small import patchy_source
from worker.child import forkserver, import_child
from worker.lease import ImportLease
from worker.limits import UploadLimits
from worker.link import Link
from worker.settings import WorkerSettings

MEBIBYTE = 1 << 20
_ROWS = 400_000


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    return forkserver()


def made_settings(tmp_path: Path, sqlite_url: str, **limits: Any) -> WorkerSettings:
    return WorkerSettings(home=tmp_path / "home", database_url=sqlite_url, **limits)


def zipped(folder: Path) -> Path:
    """Somebody's own data, of which one file grows to 5 MB of text when it is read."""
    (table := folder / "recordings.csv").write_text(table.read_text().replace("_accelerometer.npy", ".csv", 1))
    long = table.read_text().splitlines()[1].split(",")[4]
    (folder / long).write_text("x,y,z\n" + "0.1,0.9,0.2\n" * _ROWS)
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return target


def imported(context: ForkServerContext, settings: WorkerSettings, tmp_path: Path) -> Dataset:
    """What an import in its own process makes of the archive."""
    database = Database(settings.database_url)
    objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
    upload = objects.put_file(zipped(patchy_source(tmp_path / "made")))
    with database.write() as session:
        datasets.create(session, name="made", source={"kind": "upload"}, upload_digest=upload)
    with database.write() as session:
        claimed = datasets.claim_import(session, worker="one", lease_s=120)
    assert claimed is not None
    (folder := tmp_path / "scratch").mkdir()
    link = Link(context, lease_end_s=time.monotonic() + 120)
    child = context.Process(target=import_child, args=(settings, claimed, link, folder))
    child.start()
    child.join(120)
    with database.read() as session:
        found = datasets.get(session, claimed.dataset_id)
    database.dispose()
    return found


@pytest.mark.parametrize(
    ("limits", "cause", "said"),
    [
        ({"import_memory_bytes": 24 * MEBIBYTE}, "out_of_memory", "more than 24 MiB of memory"),
        ({"import_timeout_s": 0.05}, "data", "takes more than 0.05 s"),
        ({"import_file_bytes": MEBIBYTE}, "data", "a file of more than 1 MiB"),
    ],
    ids=["memory", "time", "file"],
)
def test_a_limit_ends_an_import_with_its_name(
    context: ForkServerContext, tmp_path: Path, sqlite_url: str, limits: dict[str, Any], cause: str, said: str
) -> None:
    """The dataset fails at once and for good: its cause is typed, its detail names the limit and who can raise it."""
    found = imported(context, made_settings(tmp_path, sqlite_url, **limits), tmp_path)
    assert (found.state, found.cause) == (DatasetState.FAILED, cause)
    assert found.detail is not None
    assert said in found.detail
    assert "have its operator raise PSKD_IMPORT_" in found.detail


def test_within_its_limits_the_same_archive_is_imported(
    context: ForkServerContext, tmp_path: Path, sqlite_url: str
) -> None:
    """What torch has mapped before does not count: 256 MiB are enough for an archive that unpacks to 5 MB."""
    limits = {"import_memory_bytes": 256 * MEBIBYTE, "import_file_bytes": 32 * MEBIBYTE}
    found = imported(context, made_settings(tmp_path, sqlite_url, **limits), tmp_path)
    assert (found.state, found.detail) == (DatasetState.READY, None)


def test_a_disk_that_refuses_by_another_limit_is_no_fault_of_the_data() -> None:
    """Only our own limit of a file's size is named as one; any other refusal may pass, and stays what it is."""
    limits = UploadLimits(memory_bytes=MEBIBYTE, time_s=1.0, file_bytes=12345)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 12345
    refused = OSError(27, "File too large")
    assert limits.named(refused) is refused


def test_an_import_that_the_kernel_killed_for_memory_says_so(sqlite_url: str, tmp_path: Path) -> None:
    """It is not tried again on a machine that is too small for it; any other signal costs an attempt."""
    database, settings = Database(sqlite_url), made_settings(tmp_path, sqlite_url)
    with database.write() as session:
        dataset_id = datasets.create(session, name="made", source={"kind": "upload"}, upload_digest="0" * 64).id
    with database.write() as session:
        claimed = datasets.claim_import(session, worker="one", lease_s=30)
    assert claimed is not None
    lease = ImportLease(database, settings, claimed.claim)
    seen = []
    for for_memory in (False, True):
        lease.killed("was killed by signal 9", for_memory=for_memory)
        with database.read() as session:
            found = datasets.get(session, dataset_id)
        seen.append((found.state, found.cause))
    assert seen == [(DatasetState.VALIDATING, None), (DatasetState.FAILED, FailureCause.OUT_OF_MEMORY)]
    database.dispose()
