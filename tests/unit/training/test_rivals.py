"""Every compared system on a small dataset: it trains, resumes to the bit, and meets the same teachers as others do."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pskd_core.config import JobSpec, parse_spec
from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import plan_folds
from pskd_core.errors import CheckpointError
from pskd_core.run import Run
from pskd_core.training.meter import EpochReport
from tests.small import SMALL_SPEC, small_dataset

CHECKPOINTS = {"kind": "checkpoints", "every": 2}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("data") / "dataset")


def spec_of(*, epochs: int = 3, **method: Any) -> JobSpec:
    training = {"epochs": epochs, "batch_size": 16}
    return parse_spec({**SMALL_SPEC, "method": {**SMALL_SPEC["method"], **method}, "training": training})


def make_run(dataset: Dataset, spec: JobSpec, *, resume: Path | None = None) -> Run:
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    return Run(dataset, spec, fold, 0, resume=resume)


def finished(dataset: Dataset, spec: JobSpec) -> Run:
    run = make_run(dataset, spec)
    list(run.epochs())
    return run


def weights(run: Run, name: str) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in run.state.learners[name].network.state_dict().items()}


def equal_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def stopped_and_resumed(dataset: Dataset, spec: JobSpec, folder: Path, *, after: int) -> tuple[Run, list[EpochReport]]:
    """A run that ended after some epochs and was taken up by another process's state, with all its reports."""
    broken = make_run(dataset, spec)
    epochs = broken.epochs()
    first = [next(epochs) for _ in range(after)]
    broken.checkpoint(folder)
    resumed = make_run(dataset, spec, resume=folder)
    return resumed, first + list(resumed.epochs())


@pytest.fixture(scope="module")
def reference(dataset: Dataset) -> Run:
    """The paper's loss."""
    return finished(dataset, spec_of())


@pytest.mark.parametrize("kind", ["logits", "fitnet", "st", "at", "rkd", "sp", "cc"])
def test_each_loss_trains_against_the_same_teachers(dataset: Dataset, reference: Run, kind: str) -> None:
    """It reports its terms, moves the student otherwise than the paper's does, and no bit of a teacher."""
    run = make_run(dataset, spec_of(loss={"kind": kind}))
    last = list(run.epochs())[-1].metrics

    terms = {"rkd_distance", "rkd_angle"} if kind == "rkd" else {kind}
    named = {"ce", "total", "follows/skeleton", "follows/fusion", *terms}
    assert last.keys() == {f"student/{name}" for name in named}
    assert last["student/follows/skeleton"] == 0.5
    assert all(last[f"student/{term}"] > 0 for term in terms)
    assert not equal_bits(weights(run, "student"), weights(reference, "student"))
    for teacher in ("skeleton", "fusion"):
        assert equal_bits(weights(run, teacher), weights(reference, teacher))


def test_a_loss_without_weight_is_a_student_without_teachers(dataset: Dataset) -> None:
    """With weight 0 every bit of the student is that of method `none`: comparisons start from one student."""
    run = finished(dataset, spec_of(loss={"kind": "sp", "weight": 0}))
    alone = finished(dataset, parse_spec({**SMALL_SPEC, "method": {"kind": "none"}}))

    assert equal_bits(weights(run, "student"), weights(alone, "student"))


@pytest.mark.parametrize("after", [3, 4])
def test_fitnet_resumes_with_its_regressors(dataset: Dataset, tmp_path: Path, after: int) -> None:
    """They are in the checkpoint with their optimiser state, so the resumed run has the unbroken one's bits."""
    spec = spec_of(loss={"kind": "fitnet"})
    unbroken = make_run(dataset, spec)
    fresh = {key: value.clone() for key, value in unbroken.state.student.regressors.state_dict().items()}
    reports = list(unbroken.epochs())
    resumed, found = stopped_and_resumed(dataset, spec, tmp_path / "checkpoint", after=after)

    assert found == reports
    assert equal_bits(weights(resumed, "student"), weights(unbroken, "student"))
    trained = [run.state.student.regressors.state_dict() for run in (resumed, unbroken)]
    assert equal_bits(*trained)
    assert not any(torch.equal(fresh[key], trained[1][key]) for key in fresh)
    assert resumed.finish() == unbroken.finish()


def test_regressors_are_no_part_of_the_student(dataset: Dataset, tmp_path: Path, reference: Run) -> None:
    """The student starts as under any loss, and what is counted and exported is the student alone."""
    spec = spec_of(loss={"kind": "fitnet"})
    first, again, plain = (make_run(dataset, each) for each in (spec, spec, spec_of()))
    assert equal_bits(weights(first, "student"), weights(plain, "student"))
    regressors = [run.state.student.regressors.state_dict() for run in (first, again)]
    assert equal_bits(*regressors)
    assert len(regressors[0]) == 4

    run = finished(dataset, spec)
    assert run.finish().parameters == reference.finish().parameters
    assert run.state.averaged is not None
    assert run.state.averaged.state_dict().keys() == reference.state.student.network.state_dict().keys()
    assert run.export(tmp_path / "bundle") is not None


def test_walking_through_checkpoints_is_progressive_distillation(dataset: Dataset) -> None:
    """Teachers never depend on the student, so snapshots met in order give every bit of rounds of the same length."""
    run = make_run(dataset, spec_of(epochs=5, schedule=CHECKPOINTS))
    assert [report.phase for report in run.epochs()] == ["teachers"] * 5 + ["student"] * 5
    rounds = finished(dataset, spec_of(epochs=5, schedule={"kind": "progressive", "epochs_per_round": 2}))
    frozen = finished(dataset, spec_of(epochs=5, schedule={"kind": "frozen"}))

    for name in ("skeleton", "fusion", "student"):
        assert equal_bits(weights(run, name), weights(rounds, name))
    assert not equal_bits(weights(run, "student"), weights(frozen, "student"))


@pytest.mark.parametrize("after", [2, 5, 6, 7, 9])
def test_checkpoints_resume_with_their_snapshots(dataset: Dataset, tmp_path: Path, after: int) -> None:
    """Stopped while teachers leave snapshots, or within or between the student's stretches: the same bits."""
    spec = spec_of(epochs=5, schedule=CHECKPOINTS)
    unbroken = make_run(dataset, spec)
    reports = list(unbroken.epochs())
    resumed, found = stopped_and_resumed(dataset, spec, tmp_path / "checkpoint", after=after)

    assert found == reports
    for name in ("skeleton", "fusion", "student"):
        assert equal_bits(weights(resumed, name), weights(unbroken, name))


def test_a_snapshot_is_kept_until_it_was_met(dataset: Dataset, tmp_path: Path) -> None:
    """A checkpoint holds what the student still has to meet, each in a file that never changes."""
    run = make_run(dataset, spec_of(epochs=5, schedule=CHECKPOINTS))
    files: list[dict[str, bytes]] = []
    for number, _ in enumerate(run.epochs()):
        folder = tmp_path / str(number)
        run.checkpoint(folder)
        files.append({file.name[9:13]: file.read_bytes() for file in sorted(folder.glob("snapshot-*"))})

    held = ["", "0", "0", "01", "012", "012", "012", "12", "12", "2"]
    assert ["".join(str(int(name)) for name in each) for each in files] == held
    assert len({each[name] for each in files for name in each}) == 3


def test_a_checkpoint_without_its_snapshot_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    """A lost file is named before anything trains on."""
    spec = spec_of(epochs=5, schedule=CHECKPOINTS)
    run = make_run(dataset, spec)
    epochs = run.epochs()
    for _ in range(2):
        next(epochs)
    run.checkpoint(tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "snapshot-0000.safetensors").unlink()

    with pytest.raises(CheckpointError, match="cannot be read"):
        make_run(dataset, spec, resume=tmp_path / "checkpoint")
