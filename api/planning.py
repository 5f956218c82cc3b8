"""What a job would do on a dataset: its folds, and how much work they are."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.deps import Services
from api.schemas.jobs import JobEstimate, PlannedRun
from pskd_core.config import JobSpec, configuration_hash
from pskd_core.data.batches import batch_order
from pskd_core.data.splits import Fold
from pskd_core.errors import SpecError
from pskd_core.training.schedule import epoch_plan
from store import datasets
from store.errors import DatasetNotUsable, NotFound
from store.jobs import PlannedFold
from store.lifecycle import DatasetState
from store.models import Dataset


@dataclass(frozen=True)
class Submission:
    """A checked spec and the dataset it names, whose files are at hand once it is ready."""

    spec: JobSpec
    dataset: Dataset


def prepare(spec: JobSpec, services: Services, *, tenant: str) -> Submission:
    """Find the dataset and fetch its files, so that no transaction has to wait for them.

    Raises:
        SpecError: no dataset is named, or there is none of that name.
        DatasetNotUsable: its import failed.
    """
    if spec.dataset is None:
        raise SpecError("name a dataset by id or name", pointer="/dataset")
    try:
        with services.database.read() as session:
            dataset = datasets.resolve(session, spec.dataset, tenant=tenant)
    except NotFound as absent:
        raise no_dataset(absent) from absent
    if dataset.state is DatasetState.FAILED:
        raise DatasetNotUsable(f"the import of dataset {dataset.name!r} failed: {dataset.detail}")
    if dataset.tree_digest is not None:
        services.open_dataset(dataset.tree_digest)
    return Submission(spec, dataset)


def have_files(spec: JobSpec, services: Services, *, tenant: str) -> None:
    """`prepare` for those who look the dataset up themselves: it asks nothing if it has just done the same.

    Raises:
        SpecError: no dataset is named, or there is none of that name.
        DatasetNotUsable: its import failed.
    """
    services.recent.get((tenant, spec.dataset), lambda: prepare(spec, services, tenant=tenant) is not None)


def no_dataset(absent: NotFound) -> SpecError:
    """What is wrong with a spec whose dataset is not there."""
    return SpecError(str(absent), pointer="/dataset")


def folds_of(spec: JobSpec, dataset: Dataset, services: Services) -> tuple[Fold, ...]:
    """The folds of a job on a ready dataset.

    Raises:
        SpecError: the spec names what the dataset does not have.
        ProtocolError: subjects, trials or classes have no recording.
    """
    assert dataset.tree_digest is not None
    return services.planner(dataset.tree_digest)(spec)


def planned(folds: Sequence[Fold]) -> list[PlannedFold]:
    """Folds as the store keeps them."""
    return [PlannedFold(fold.name, n_test=len(fold.test)) for fold in folds]


def estimate(submission: Submission, services: Services) -> JobEstimate:
    """What submitting it would start.

    Raises:
        SpecError: the spec names what the dataset does not have.
        ProtocolError: subjects, trials or classes have no recording.
    """
    spec, dataset = submission.spec, submission.dataset
    ready = dataset.state is DatasetState.READY
    folds = tuple(_planned_run(spec, fold) for fold in folds_of(spec, dataset, services)) if ready else None
    return JobEstimate(
        spec=spec,
        configuration_hash=configuration_hash(spec),
        dataset_id=dataset.id,
        folds=folds,
        runs=None if folds is None else len(folds) * len(spec.seeds),
        epochs=len(epoch_plan(spec.method, epochs=spec.epochs)),
        steps=None if folds is None else sum(fold.steps for fold in folds) * len(spec.seeds),
    )


def _planned_run(spec: JobSpec, fold: Fold) -> PlannedRun:
    batches = len(batch_order(len(fold.train), batch_size=spec.training.batch_size, seed=0, epoch=0))
    return PlannedRun(
        fold=fold.name,
        train=len(fold.train),
        validation=len(fold.validation),
        test=len(fold.test),
        steps=batches * spec.epochs * len(spec.networks),
    )
