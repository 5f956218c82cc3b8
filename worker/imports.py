"""One import in its own process: from an upload, a folder or a recipe to a dataset that jobs can train on."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy.orm import Session

from pskd_core.config import JobSpec
from pskd_core.data.columnar import Dataset
from pskd_core.data.importing import import_dataset
from pskd_core.data.plans import Folds, FoldsOf, planner, trial_planner
from pskd_core.data.synthetic import SyntheticSource
from pskd_core.errors import DataError, SpecError
from store import datasets, jobs, sweeps, usage
from store.datasets import ClaimedImport
from store.engine import Database
from store.jobs import PlannedFold
from store.lifecycle import FailureCause
from store.models import Job, Sweep
from store.objects import ObjectStore, size_of
from worker.attempt import attempt
from worker.failures import detail_of
from worker.limits import UploadLimits

FoldsFor = Callable[[Job, Sweep | None], Folds]  # of a job, which may be a trial of a sweep


def import_claimed(
    database: Database, objects: ObjectStore, claimed: ClaimedImport, folder: Path, limits: UploadLimits
) -> None:
    """Import and write down the result, or why there is none; the jobs that waited start or fail with it.

    `limits` are those of this process.
    """

    def fail(session: Session, cause: FailureCause, error: Exception) -> None:
        datasets.fail_import(session, claimed.claim, cause=cause, detail=detail_of(error))

    attempt(
        lambda: _import(database, objects, claimed, folder / "dataset", limits.tenant_bytes), database, limits, fail
    )


def _import(
    database: Database, objects: ObjectStore, claimed: ClaimedImport, destination: Path, limit_bytes: int | None
) -> None:
    # An upload lies in the cache, under a name that says nothing to whoever sent it.
    label = claimed.source.get("filename", "the upload") if claimed.upload_digest is not None else None
    report = import_dataset(_source(objects, claimed), destination, label=label)
    tree_bytes = size_of(destination)

    def check_room(session: Session) -> None:
        usage.check_room(session, adding_bytes=tree_bytes, limit_bytes=limit_bytes, tenant=claimed.tenant)

    with database.read() as session:  # what does not fit is not even put
        check_room(session)
    tree = objects.put_tree(destination)
    folds_for = _planned(database, claimed, Dataset.open(destination))
    with database.write() as session:
        check_room(session)
        row = datasets.finish_import(
            session,
            claimed.claim,
            report=report.model_dump(mode="json"),
            content_digest=report.digest,
            tree_digest=tree,
            tree_bytes=tree_bytes,
        )
        sweep_of = sweeps.of_waiting(session, row.id)
        for job in jobs.waiting(session, row.id):
            _start(session, job, sweep_of.get(job.id), folds_for)


def _planned(database: Database, claimed: ClaimedImport, dataset: Dataset) -> FoldsFor:
    """A planner that knows what waits by now, so that no transaction waits for that."""
    folds_for = _planner(dataset)
    with database.read() as session:
        waiting, sweep_of = jobs.waiting(session, claimed.dataset_id), sweeps.of_waiting(session, claimed.dataset_id)
    for job in waiting:
        with suppress(SpecError, DataError):  # raised again where the job fails with it
            folds_for(job, sweep_of.get(job.id))
    return folds_for


def _planner(dataset: Dataset) -> FoldsFor:
    of_job, of_sweeps = planner(dataset.info, dataset.recordings), dict[str, FoldsOf]()

    def folds_for(job: Job, sweep: Sweep | None) -> Folds:
        if sweep is not None and sweep.id not in of_sweeps:
            of_sweeps[sweep.id] = trial_planner(sweeps.spec_of(sweep), of_job)
        folds_of = of_job if sweep is None else of_sweeps[sweep.id]
        return folds_of(JobSpec.model_validate(job.spec))

    return folds_for


def _source(objects: ObjectStore, claimed: ClaimedImport) -> Path | SyntheticSource:
    if claimed.upload_digest is not None:
        return objects.get_file(claimed.upload_digest)
    if claimed.source["kind"] == "path":
        return Path(claimed.source["path"])
    return SyntheticSource.model_validate(claimed.source)


def _start(session: Session, job: Job, sweep: Sweep | None, folds_for: FoldsFor) -> None:
    """Fan a job out that waited for its dataset, or say why the dataset cannot serve it."""
    try:
        folds = folds_for(job, sweep)
    except (SpecError, DataError) as unfit:
        cause = FailureCause.USER_ERROR if isinstance(unfit, SpecError) else FailureCause.DATA
        jobs.fail(session, job, cause=cause, detail=str(unfit))
    else:
        jobs.expand(session, job, [PlannedFold(name=fold.name, n_test=len(fold.test)) for fold in folds])
