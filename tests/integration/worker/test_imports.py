"""Imports as their child does them: every source, every refusal, and the jobs that wait."""

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pskd_core.data.columnar import Dataset as Columnar
from pskd_core.sweep import parse_sweep
from store import datasets, jobs, sweeps
from store.engine import Database
from store.lifecycle import DatasetState, JobState
from store.models import Dataset, Job
from store.objects import ObjectStore
from tests.small import PATCHY_SPEC, SMALL_SOURCE, patchy_source, small_dataset
from tests.stored import folds, make_spec, plannings
from worker.imports import import_claimed
from worker.limits import UploadLimits
from worker.settings import WorkerSettings

LIMITS = UploadLimits.of(WorkerSettings())
SYNTHETIC = SMALL_SOURCE.model_dump(mode="json")


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "objects"), cache_dir=tmp_path / "cache")


@dataclass
class Imports:
    """Creates, claims and imports as a worker does."""

    database: Database
    objects: ObjectStore
    folder: Path

    def add(self, source: dict[str, Any], *, upload: str | None = None) -> str:
        with self.database.write() as session:
            return datasets.create(session, name="made", source=source, upload_digest=upload).id

    def submit(self) -> str:
        with self.database.write() as session:
            return jobs.submit(session, make_spec(seeds=[0, 1]), plan=folds()).id

    def do(self, limits: UploadLimits = LIMITS) -> None:
        with self.database.write() as session:
            claimed = datasets.claim_import(session, worker="one", lease_s=30)
        assert claimed is not None
        import_claimed(self.database, self.objects, claimed, self.folder, limits)

    def fail(self, limits: UploadLimits = LIMITS) -> None:
        with pytest.raises(SystemExit):
            self.do(limits)

    def dataset(self, dataset_id: str) -> Dataset:
        with self.database.read() as session:
            return datasets.get(session, dataset_id)

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return jobs.get(session, job_id)


@pytest.fixture
def imports(database: Database, objects: ObjectStore, tmp_path: Path) -> Imports:
    folder = tmp_path / "import"
    folder.mkdir()
    return Imports(database, objects, folder)


def test_a_synthetic_dataset_is_stored_and_starts_its_job(imports: Imports, tmp_path: Path) -> None:
    """What comes out of the object store is what the core makes on the spot, and each seed has its run."""
    dataset_id, job_id = imports.add(SYNTHETIC), imports.submit()
    imports.do()
    dataset = imports.dataset(dataset_id)
    assert dataset.state is DatasetState.READY
    assert dataset.report is not None
    assert dataset.report["recordings"] == 48
    assert dataset.tree_digest is not None
    opened = Columnar.open(imports.objects.get_tree(dataset.tree_digest))
    assert opened.digest == dataset.content_digest == small_dataset(tmp_path / "alone").digest
    assert imports.job(job_id).state is JobState.QUEUED
    with imports.database.read() as session:
        planned = [(run.seed, run.fold, run.n_test) for run in jobs.runs_of(session, [job_id])]
    assert planned == [(0, "all", 24), (1, "all", 24)]


def test_an_upload_that_is_no_dataset_fails_with_what_was_found(imports: Imports, tmp_path: Path) -> None:
    """The cause is `data`, the detail says what was looked for, and the job that waited fails with it."""
    archive = tmp_path / "upload.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("notes.txt", "hello")
    dataset_id = imports.add({"kind": "upload"}, upload=imports.objects.put_file(archive))
    job_id = imports.submit()
    imports.fail()
    dataset, job = imports.dataset(dataset_id), imports.job(job_id)
    assert (dataset.state, dataset.cause) == (DatasetState.FAILED, "data")
    assert (job.state, job.cause) == (JobState.FAILED, "data")
    assert dataset.detail is not None
    assert "notes.txt" in dataset.detail
    assert job.detail is not None
    assert "no known layout" in job.detail


def test_an_import_that_its_tenant_may_not_store_fails_for_it(imports: Imports) -> None:
    """Over the limit the cause is `quota`, with figures, for the job that waited too, and no object is put; where it
    just fits it passes, and the row says how many bytes it takes.
    """
    dataset_id, job_id = imports.add(SYNTHETIC), imports.submit()
    imports.fail(UploadLimits.of(WorkerSettings(tenant_storage_bytes=1000)))
    dataset, job = imports.dataset(dataset_id), imports.job(job_id)
    assert (dataset.state, dataset.cause, job.cause) == (DatasetState.FAILED, "quota", "quota")
    assert dataset.detail is not None
    assert "0 bytes of the 1000 that it may" in dataset.detail
    assert "PSKD_TENANT_STORAGE_BYTES" in dataset.detail
    assert list(imports.objects.stored()) == []
    shutil.rmtree(imports.folder / "dataset")
    needed = int(dataset.detail.partition(", and ")[2].split()[0])
    again = imports.add(SYNTHETIC)
    imports.do(UploadLimits.of(WorkerSettings(tenant_storage_bytes=needed)))
    stored = imports.dataset(again)
    assert (stored.state, stored.tree_bytes) == (DatasetState.READY, needed)
    assert imports.objects.tree_size(stored.tree_digest or "") == needed


def test_a_path_that_is_not_there_is_named(imports: Imports) -> None:
    """The operator reads which folder was meant."""
    dataset_id = imports.add({"kind": "path", "path": "/nowhere/utd"})
    imports.fail()
    dataset = imports.dataset(dataset_id)
    assert dataset.cause == "data"
    assert dataset.detail is not None
    assert "/nowhere/utd" in dataset.detail


def test_an_upload_that_is_gone_may_come_back(imports: Imports) -> None:
    """Trouble with the object store ends nothing: the claim stays, and its lease decides."""
    dataset_id = imports.add({"kind": "upload"}, upload="0" * 64)
    imports.fail()
    dataset = imports.dataset(dataset_id)
    assert (dataset.state, dataset.worker) == (DatasetState.VALIDATING, "one")


def test_a_stale_importer_changes_nothing(imports: Imports) -> None:
    """An importer whose lease was taken meanwhile finishes in vain."""
    dataset_id = imports.add(SYNTHETIC)
    with imports.database.write() as session:
        first = datasets.claim_import(session, worker="one", lease_s=-1)
    with imports.database.write() as session:
        datasets.reap(session, max_attempts=3)
        assert datasets.claim_import(session, worker="two", lease_s=30)
    assert first is not None
    import_claimed(imports.database, imports.objects, first, imports.folder, LIMITS)
    dataset = imports.dataset(dataset_id)
    assert (dataset.state, dataset.worker) == (DatasetState.VALIDATING, "two")


def test_an_upload_is_named_as_its_owner_knows_it(imports: Imports, tmp_path: Path) -> None:
    """A file that is no zip is called by the name that it was uploaded under, not by its place in the cache."""
    (tmp_path / "upload").write_bytes(b"hello")
    upload = imports.objects.put_file(tmp_path / "upload")
    dataset_id = imports.add({"kind": "upload", "filename": "UTD.zip"}, upload=upload)
    imports.fail()
    detail = imports.dataset(dataset_id).detail
    assert detail is not None
    assert detail.startswith("UTD.zip: neither a folder nor a readable zip")
    assert upload not in detail


def test_jobs_that_wait_are_planned_before_the_transaction(imports: Imports) -> None:
    """However many wait, what they share is planned once, and no transaction waits for that."""
    imports.add(SYNTHETIC)
    job_ids = [imports.submit() for _ in range(3)]
    with plannings(imports.database) as plans:
        imports.do()
    assert plans == [False]
    assert {imports.job(job_id).state for job_id in job_ids} == {JobState.QUEUED}


def test_trials_that_wait_are_judged_on_the_same_recordings(imports: Imports, tmp_path: Path) -> None:
    """Of a sweep that came before its dataset, a trial that would be judged on other recordings fails and says why."""
    imports.add({"kind": "path", "path": str(patchy_source(tmp_path / "patchy"))})
    inputs = {"choices": [["accelerometer"], ["gyroscope"]]}
    spec = parse_sweep({"base": {**PATCHY_SPEC, "dataset": "made"}, "space": {"student.inputs": inputs}})
    with imports.database.write() as session:
        sweep = sweeps.create(session, spec, plan_of=lambda _: folds())
    with plannings(imports.database) as plans:
        imports.do()
    assert plans == [False, False]
    with imports.database.read() as session:
        first, second = sweeps.trials_of(session, sweep)
    assert first.state is JobState.QUEUED
    assert (second.state, second.cause) == (JobState.FAILED, "user_error")
    assert second.detail is not None
    assert "judged on 2 validation recordings, and the sweep's first point on 4" in second.detail
