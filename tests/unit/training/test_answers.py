"""Answers of teachers that are kept: who may use them, and that nothing else changes by it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pskd_core.config import JobSpec, merge, parse_spec
from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import plan_folds
from pskd_core.errors import CheckpointError
from pskd_core.run import Run, teachers_key
from tests.small import SMALL_SPEC, small_dataset

SCHEDULES: dict[str, dict[str, Any]] = {
    "progressive(1)": {"kind": "progressive", "epochs_per_round": 1},
    "progressive(2)": {"kind": "progressive", "epochs_per_round": 2},
    "frozen": {"kind": "frozen"},
    "checkpoints": {"kind": "checkpoints", "every": 2},
    "per_step": {"kind": "per_step"},
}
OTHER_STUDENT = {
    "student": {"inputs": ["accelerometer"], "backbone": {"kind": "tiny", "width": 4}},
    "method": {"kind": "distill", "loss": {"kind": "at", "weight": 1.0}},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("data") / "dataset")


def spec_of(**fields: Any) -> JobSpec:
    return parse_spec(merge(SMALL_SPEC, fields))


def scheduled(kind: str, **fields: Any) -> JobSpec:
    return spec_of(**merge({"method": {"kind": "distill", "schedule": SCHEDULES[kind]}}, fields))


def make_run(dataset: Dataset, spec: JobSpec, *, seed: int = 0, **options: Any) -> Run:
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    return Run(dataset, spec, fold, seed, **options)


def key_of(dataset: Dataset, *, seed: int = 0, **fields: Any) -> str | None:
    spec = spec_of(**fields)
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    return teachers_key(dataset, spec, fold, seed)


def weights(run: Run) -> dict[str, torch.Tensor]:
    """Of every network."""
    return {
        f"{name}/{key}": value
        for name, learner in run.state.learners.items()
        for key, value in learner.network.state_dict().items()
    }


def assert_equal_bits(one: Run, other: Run) -> None:
    """Weights of all networks, scores, counts of steps."""
    assert all(map(torch.equal, weights(one).values(), weights(other).values()))
    assert one.finish() == other.finish()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_student_learns_the_same_from_kept_answers(dataset: Dataset, tmp_path: Path, schedule: str) -> None:
    """Whoever leaves answers trains as if it did not; another student and loss read them and miss nothing."""
    first, second = scheduled(schedule), scheduled(schedule, **OTHER_STUDENT)
    plain, leaving = make_run(dataset, first), make_run(dataset, first, answers=tmp_path / "kept")
    assert list(plain.epochs()) == list(leaving.epochs())
    assert_equal_bits(plain, leaving)

    plain, reading = make_run(dataset, second), make_run(dataset, second, answers=tmp_path / "kept")
    assert reading.replays
    assert list(plain.epochs()) == list(reading.epochs())
    assert_equal_bits(plain, reading)
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


def test_a_reader_resumes_with_the_answers_and_not_without(dataset: Dataset, tmp_path: Path) -> None:
    """Its checkpoint holds teachers who never trained here, so it says whose answers it needs."""
    kept = tmp_path / "kept"
    list(make_run(dataset, spec_of(), answers=kept).epochs())
    unbroken, broken = (make_run(dataset, spec_of(**OTHER_STUDENT), answers=kept) for _ in range(2))
    list(unbroken.epochs())
    reports = broken.epochs()
    for _ in range(4):
        next(reports)
    broken.checkpoint(tmp_path / "checkpoint")

    resumed = make_run(dataset, spec_of(**OTHER_STUDENT), resume=tmp_path / "checkpoint", answers=kept)
    assert len(list(resumed.epochs())) == 2
    assert_equal_bits(resumed, unbroken)
    with pytest.raises(CheckpointError, match="another configuration"):
        make_run(dataset, spec_of(**OTHER_STUDENT), resume=tmp_path / "checkpoint")


def test_only_a_whole_course_is_kept(dataset: Dataset, tmp_path: Path) -> None:
    """A run that stops, or goes on from a checkpoint, leaves nothing."""
    stopped = make_run(dataset, spec_of(), answers=tmp_path / "kept")
    reports = stopped.epochs()
    next(reports)
    stopped.checkpoint(tmp_path / "checkpoint")
    reports.close()  # type: ignore[attr-defined]  # an Iterator to its callers, a generator in truth
    resumed = make_run(dataset, spec_of(), resume=tmp_path / "checkpoint", answers=tmp_path / "kept")
    list(resumed.epochs())

    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint"]


def test_of_two_that_leave_the_same_answers_one_is_kept(dataset: Dataset, tmp_path: Path) -> None:
    """Workers may train the same teachers at the same time."""
    one, other = (make_run(dataset, spec_of(), answers=tmp_path / "kept") for _ in range(2))
    for _ in zip(one.epochs(), other.epochs(), strict=True):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]
    assert make_run(dataset, spec_of(), answers=tmp_path / "kept").replays


def test_the_key_is_that_of_the_teachers(dataset: Dataset) -> None:
    """What belongs to the student leaves it; what changes a teacher, or what it is asked, changes it."""
    key = key_of(dataset)
    student = merge(OTHER_STUDENT, {"training": {"ema_decay": 0.5, "student": {"learning_rate": 0.1}}, "name": "x"})
    assert key_of(dataset, **student) == key
    changes: tuple[dict[str, Any], ...] = (
        {"training": {"epochs": 4}},
        {"training": {"teacher": {"learning_rate": 0.1}}},
        {"augment": {"scale_sd": 0.2}},
        {"preprocess": {"skeleton_frames": 20}},
        {"feature_dim": 8},
        {"method": {"kind": "distill", "schedule": {"kind": "frozen"}}},
        {"protocol": {"kind": "subjects", "train": ["1", "2"], "test": ["3"]}},
    )
    keys = {key_of(dataset, **change) for change in changes}
    assert len(keys | {key, key_of(dataset, seed=1)}) == len(changes) + 2


@pytest.mark.parametrize("method", [{"kind": "none"}, {"schedule": {"kind": "per_step", "pull": 0.1}}])
def test_teachers_that_need_their_student_have_no_key(dataset: Dataset, tmp_path: Path, method: dict[str, Any]) -> None:
    """Nothing is kept of them, and the run trains as ever."""
    list(make_run(dataset, spec_of(method=method), answers=tmp_path / "kept").epochs())
    assert key_of(dataset, method=method) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("victim", ["answers.json", "teachers.safetensors", "epoch-00001.safetensors"])
def test_damaged_answers_are_refused_with_the_remedy(dataset: Dataset, tmp_path: Path, victim: str) -> None:
    """A truncated file is named by its folder, which may be deleted."""
    kept = tmp_path / "kept"
    list(make_run(dataset, spec_of(), answers=kept).epochs())
    (kept / victim).write_bytes((kept / victim).read_bytes()[:10])
    with pytest.raises(CheckpointError, match="delete that folder"):
        list(make_run(dataset, spec_of(), answers=kept).epochs())


def test_answers_of_other_teachers_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    """The key stands in the folder, whatever its name."""
    list(make_run(dataset, spec_of(), answers=tmp_path / "kept").epochs())
    with pytest.raises(CheckpointError, match="other teachers"):
        list(make_run(dataset, spec_of(), seed=1, answers=tmp_path / "kept").epochs())


@pytest.mark.parametrize("tight", ["in all", "in memory"])
def test_answers_that_take_too_much_are_not_kept(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tight: str
) -> None:
    """The run trains as if nobody had asked, and leaves nothing."""
    if tight == "in memory":
        monkeypatch.setattr("pskd_core.training.answers.LARGEST_EPOCH_BYTES", 1000)
    limit = 1000 if tight == "in all" else 2**30
    plain = make_run(dataset, spec_of())
    asked = make_run(dataset, spec_of(), answers=tmp_path / "kept", answers_limit_bytes=limit)
    assert list(plain.epochs()) == list(asked.epochs())
    assert_equal_bits(plain, asked)
    assert list(tmp_path.iterdir()) == []


def test_answers_that_vanish_never_let_final_teachers_train_on(dataset: Dataset, tmp_path: Path) -> None:
    """A run decides once whether it reads; if it cannot, it says so instead of training what stands in its place."""
    list(make_run(dataset, spec_of(), answers=tmp_path / "kept").epochs())
    reading = make_run(dataset, spec_of(), answers=tmp_path / "kept")
    shutil.rmtree(tmp_path / "kept")
    with pytest.raises(CheckpointError, match="damaged"):
        list(reading.epochs())


def test_answers_are_of_teachers_that_learned_from_such_views(dataset: Dataset) -> None:
    """Views of the teachers' own make other answers, and their absence the key that there always was."""
    assert key_of(dataset, augment_teachers={"sensor_rotation_deg": 30}) != key_of(dataset)
    assert key_of(dataset, augment_teachers=None) == key_of(dataset)
