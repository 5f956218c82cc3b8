"""Every system of the paper's tables, trained for a moment through `Run`."""

from pathlib import Path
from typing import Any

import pytest

from pskd_core.config import JobSpec, parse_spec
from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import plan_folds
from pskd_core.errors import SpecError
from pskd_core.run import Run
from tests.small import SMALL_SPEC, small_dataset

SLIM = {"kind": "agcn", "width": 4, "depth": 3}
BOTH = ["accelerometer", "gyroscope"]
FOREST = {"inputs": BOTH, "backbone": {"kind": "random_forest", "trees": 30}}
ALONE: dict[str, dict[str, Any]] = {
    "inception1d": {"inputs": BOTH, "backbone": {"kind": "inception1d", "width": 4, "depth": 3}},
    "deepconvlstm": {
        "inputs": BOTH,
        "backbone": {"kind": "deepconvlstm", "width": 4, "depth": 2, "hidden": 8, "attention": True},
    },
    "gaf_resnet18": {"inputs": BOTH, "backbone": {"kind": "gaf_resnet18", "width": 4, "image": 32}},
    "tiny": {"inputs": ["accelerometer"], "backbone": {"kind": "tiny", "width": 4}},
    "random_forest": FOREST,
    "bones": {"inputs": ["skeleton"], "backbone": {**SLIM, "stream": "bone"}},
    "node": {"inputs": ["skeleton", "accelerometer"], "backbone": {**SLIM, "fusion": "node"}},
    "node_center": {"inputs": ["skeleton", *BOTH], "backbone": {**SLIM, "fusion": "node_center"}},
    "late": {"inputs": ["skeleton", *BOTH], "backbone": {**SLIM, "fusion": "late"}},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("data") / "dataset")


def spec_of(student: dict[str, Any], **fields: Any) -> JobSpec:
    training = {"epochs": 2, "batch_size": 12}
    return parse_spec({**SMALL_SPEC, "method": {"kind": "none"}, "training": training, "student": student, **fields})


def make_run(dataset: Dataset, spec: JobSpec, *, resume: Path | None = None) -> Run:
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    return Run(dataset, spec, fold, 0, resume=resume)


@pytest.mark.parametrize("student", ALONE.values(), ids=ALONE)
def test_a_system_runs_repeats_and_resumes(dataset: Dataset, tmp_path: Path, student: dict[str, Any]) -> None:
    """Two runs measure the same; one that stops after its first epoch and goes on does too."""
    spec = spec_of(student)
    unbroken, broken = make_run(dataset, spec), make_run(dataset, spec)
    reports = list(unbroken.epochs())
    assert len(reports) == unbroken.total_epochs == spec.epochs
    outcome = unbroken.finish()
    assert outcome.test is not None
    assert outcome.parameters > 0

    assert next(broken.epochs()) == reports[0]
    broken.checkpoint(tmp_path / "checkpoint")
    resumed = make_run(dataset, spec, resume=tmp_path / "checkpoint")
    assert list(resumed.epochs()) == reports[1:]
    assert resumed.finish() == outcome


def test_a_slim_student_other_than_the_default_is_distilled_and_exported(dataset: Dataset, tmp_path: Path) -> None:
    """A late-fused and a bone teacher guide `tiny`, which leaves a bundle."""
    teachers = [
        {"name": "bones", "inputs": ["skeleton"], "backbone": {**SLIM, "stream": "bone"}},
        {"name": "late", "inputs": ["skeleton", "accelerometer"], "backbone": {**SLIM, "fusion": "late"}},
    ]
    run = make_run(dataset, spec_of(ALONE["tiny"], method={"kind": "distill", "teachers": teachers}))
    assert len(list(run.epochs())) == 4
    assert run.finish().teachers.keys() == {"bones", "late"}
    assert run.export(tmp_path / "bundle") is not None


def test_a_forest_learns_at_once_and_is_not_served(dataset: Dataset, tmp_path: Path) -> None:
    """One epoch, far better than chance on other people, predictions as of any student, and no bundle."""
    run = make_run(dataset, spec_of({**FOREST, "inputs": ["accelerometer"]}))
    (report,) = run.epochs()
    assert (report.phase, report.total, report.steps) == ("student", 1, 0)
    outcome = run.finish()
    assert outcome.test is not None
    assert outcome.test.accuracy > 2 / len(dataset.info.classes)
    run.save_predictions(tmp_path / "predictions.npz")
    assert run.export(tmp_path / "bundle") is None


@pytest.mark.parametrize(
    ("fields", "pointer", "detail"),
    [
        ({"student": FOREST, "method": {"kind": "distill"}}, "", "cannot be distilled"),
        ({"method": {"kind": "distill", "teachers": [{"name": "f", **FOREST}]}}, "/method/teachers/0", "cannot teach"),
        ({"student": {"inputs": ["skeleton"], "backbone": {"kind": "tiny"}}}, "/student", "a tiny backbone takes"),
        (
            {"student": {"inputs": BOTH, "backbone": {"kind": "inception1d", "kernels": [8]}}},
            "/student/backbone/kernels/0",
            "be odd",
        ),
        ({"student": {"inputs": BOTH, "backbone": {"kind": "agcn"}}}, "/student", "needs the `skeleton` stream"),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, Any], pointer: str, detail: str) -> None:
    """A fault names its field, without the names of the variants that lie on the way."""
    with pytest.raises(SpecError, match=detail) as refused:
        parse_spec({"method": {"kind": "none"}, **fields})

    assert refused.value.errors[0]["pointer"] == pointer
