"""Two real processes over gloo train what one trains, resume to the bit, and end with one another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from pskd_core.config import JobSpec, merge, parse_spec
from pskd_core.data.columnar import SKELETON, Dataset, Recording, Stream, write_dataset
from pskd_core.data.splits import plan_folds
from pskd_core.parallel import ALONE, Team
from pskd_core.ranks import together
from pskd_core.run import Run
from pskd_core.training.meter import EpochReport
from tests.small import SMALL_SPEC, small_dataset

SLIM = {"kind": "agcn", "width": 4, "depth": 3}
PULL = {"kind": "per_step", "pull": 0.5}


def method(**fields: Any) -> dict[str, Any]:
    return {"method": {**SMALL_SPEC["method"], **fields}}


def acs(**fields: Any) -> dict[str, Any]:
    return method(loss={"kind": "pskd", "weighting": {"kind": "acs", **fields}})


def student(**backbone: Any) -> dict[str, Any]:
    return {"method": {"kind": "none"}, "student": {"inputs": ["accelerometer"], "backbone": backbone}}


# 24 recordings train in batches of 11 and 13, so no batch has two equal parts; "lame" ones lack some skeletons.
CASES: dict[str, dict[str, Any]] = {
    "none": {"method": {"kind": "none"}},
    "pskd": method(),
    **{kind: method(loss={"kind": kind}) for kind in ("logits", "fitnet", "st", "at", "rkd", "sp", "cc")},
    "gate by the batch": acs(gate="loss_batch"),
    "entropy": method(loss={"kind": "st", "weighting": {"kind": "entropy"}}),
    "rounds": method(schedule={"kind": "progressive", "epochs_per_round": 2}),
    "pull": method(schedule=PULL),
    "frozen": method(schedule={"kind": "frozen"}),
    "checkpoints": method(schedule={"kind": "checkpoints", "every": 1}),
    "mixup": {**method(schedule=PULL), "augment": {"mixup": 0.4}},
    "lame pskd": method(),
    "lame pull": method(schedule=PULL),
    "lame rkd, mixup": {**method(loss={"kind": "rkd"}), "augment": {"mixup": 0.4}},
    "late fusion": method(
        teachers=[{"name": "f", "inputs": ["skeleton", "accelerometer"], "backbone": {**SLIM, "fusion": "late"}}]
    ),
    "lstm": student(kind="deepconvlstm", width=4, depth=2, hidden=8, attention=True, dropout=0.3),
    "inception": student(kind="inception1d", width=4, depth=3),
    "images": student(kind="gaf_resnet18", width=4, image=16),
}


@dataclass(frozen=True)
class Trained:
    """What a run has come to."""

    reports: list[EpochReport]
    tensors: dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets `whole` and `lame`, of which every fifth recording alone has a skeleton."""
    folder = tmp_path_factory.mktemp("data")
    whole = small_dataset(folder / "whole")
    recordings = [
        Recording(
            id=meta.id,
            subject=meta.subject,
            trial=meta.trial,
            label=meta.label,
            streams={
                name: Stream(whole.stream(name, index), meta.rate_hz(name))
                for name in meta.streams
                if name != SKELETON or index % 5 == 0
            },
        )
        for index, meta in enumerate(whole.recordings)
    ]
    write_dataset(folder / "lame", whole.info, recordings)
    return folder


def spec_of(**fields: Any) -> JobSpec:
    training = {"epochs": 2, "batch_size": 11}
    return parse_spec(merge({**SMALL_SPEC, "training": training}, fields))


def make_run(folder: Path, name: str, spec: JobSpec, *, resume: Path | None = None) -> Run:
    dataset = Dataset.open(folder / ("lame" if name.startswith("lame") else "whole"))
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    return Run(dataset, spec, fold, 0, resume=resume)


def doubled(run: Run) -> Run:
    """In 64 bits, so that a difference is one of the method and not of rounding."""
    for learner in run.state.learners.values():
        learner.trained.double()
    if run.state.averaged is not None:
        run.state.averaged.double()
    return run


def trained(run: Run, team: Team) -> Trained:
    reports = list(run._train_in(team, lambda _: None))
    tensors = {
        f"{name}/{key}": value.clone()
        for name, learner in run.state.learners.items()
        for key, value in learner.trained.state_dict().items()
    }
    if run.state.averaged is not None:
        tensors |= {f"averaged/{key}": value.clone() for key, value in run.state.averaged.state_dict().items()}
    return Trained(reports, tensors)


def train_all(team: Team, folder: Path) -> dict[str, Trained]:
    return {name: trained(doubled(make_run(folder, name, spec_of(**fields))), team) for name, fields in CASES.items()}


def follow(join: Callable[[], Team], folder: Path) -> None:
    train_all(join(), folder)


@pytest.fixture(scope="module")
def by_two(folder: Path) -> Iterator[dict[str, Trained]]:
    """Every case as two processes train it."""
    with together(follow, [folder], processes=2, device="cpu") as team:
        yield train_all(team, folder)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_what_one_trains(folder: Path, by_two: dict[str, Trained], name: str) -> None:
    """Every weight, batch-norm statistic, regressor, averaged weight and metric is the same, but for rounding."""
    one, two = trained(doubled(make_run(folder, name, spec_of(**CASES[name]))), ALONE), by_two[name]
    fresh = doubled(make_run(folder, name, spec_of(**CASES[name]))).state.student.trained.state_dict()

    assert [report.phase for report in two.reports] == [report.phase for report in one.reports]
    for found, expected in zip(two.reports, one.reports, strict=True):
        assert found.metrics == pytest.approx(expected.metrics, rel=1e-9, abs=1e-12)
    assert two.tensors.keys() == one.tensors.keys()
    worst = max(float((two.tensors[key] - value).abs().max()) for key, value in one.tensors.items())
    print(name, worst)
    assert worst < 1e-9
    assert any(not torch.equal(one.tensors[f"student/{key}"], value) for key, value in fresh.items())
