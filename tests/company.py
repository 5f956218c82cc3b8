"""What the processes of a shared run do in tests: little is imported here, since each of them imports it."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pskd_core.config import JobSpec, merge, parse_spec
from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import plan_folds
from pskd_core.parallel import Team
from pskd_core.run import Run
from pskd_core.training.meter import EpochReport
from tests.small import SMALL_SPEC

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
    "progressive": {**method(), "training": {"epochs": 2}},
    "rounds": {**method(schedule={"kind": "progressive", "epochs_per_round": 2}), "training": {"epochs": 2}},
    "pull": method(schedule=PULL),
    "frozen": {**method(schedule={"kind": "frozen"}), "training": {"epochs": 2}},
    "checkpoints": {**method(schedule={"kind": "checkpoints", "every": 1}), "training": {"epochs": 2}},
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


def spec_of(**fields: Any) -> JobSpec:
    training = {"epochs": 1, "batch_size": 11}
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


# --- That fail ----------------------------------------------------------------------------------------------------


def want_memory(join: Callable[[], Team]) -> None:
    join()
    torch.empty(2**50)


def end_early(join: Callable[[], Team]) -> None:
    os._exit(3)


def sleep(join: Callable[[], Team]) -> None:
    join()
    time.sleep(600)
