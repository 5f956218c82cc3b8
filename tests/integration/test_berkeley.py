"""Real Berkeley-MHAD through the command line: skeleton and acceleration, and six sensors that teach one."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pskd_core.__main__ import main
from tests.data_paths import real_data

_AGCN = {"kind": "agcn", "width": 4, "depth": 3}
# Poses are there of subjects 1 to 3 alone.
_TWO_MODALITIES: dict[str, Any] = {
    "dataset": "berkeley",
    "protocol": {"kind": "subjects", "train": ["1", "2"], "test": ["3"]},
    "method": {
        "kind": "distill",
        "teachers": [
            {"name": "skeleton", "inputs": ["skeleton"], "backbone": _AGCN},
            {"name": "fusion", "inputs": ["skeleton", "accelerometer"], "backbone": _AGCN},
        ],
    },
    "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 8}},
    "feature_dim": 16,
    "preprocess": {"skeleton_frames": 16},
    "training": {"epochs": 1},
}


def trained(folder: Path, *arguments: str) -> dict[str, Any]:
    """The only run of `train` on the real data."""
    assert main(["train", *arguments, "--data", str(real_data("berkeley-mhad")), "--out", str(folder / "out")]) == 0
    result = json.loads((folder / "out" / "result.json").read_bytes())
    (run,) = result["runs"]
    assert isinstance(run, dict)
    return run


def test_poses_and_acceleration_train_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The substitute skeleton teaches, alone and with the wrist's sensor, and is named as what it is."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(_TWO_MODALITIES | {"seeds": [0]}))
    run = trained(tmp_path, str(spec))
    tested = {run["test"]["n"], *(teacher["test"]["n"] for teacher in run["teachers"].values())}
    assert len(tested) == 1, "teachers and student are compared on the same recordings"
    assert 50 <= tested.pop() <= 55
    assert set(run["teachers"]) == {"skeleton", "fusion"}
    assert "SUBSTITUTE" in "".join(capsys.readouterr())


def test_six_sensors_teach_one(tmp_path: Path) -> None:
    """The headline recipe runs on the real sensors; a trial that lacks one of the six still tests the student."""
    spec = tmp_path / "spec.yaml"
    split = {"protocol": {"kind": "subjects", "train": ["1", "2"], "test": ["6"]}, "training": {"epochs": 1}}
    spec.write_text(yaml.safe_dump({"dataset": "berkeley", "seeds": [0], **split}))
    run = trained(tmp_path, str(spec), "--preset", "berkeley-headline")
    assert list(run["teachers"]) == ["six"]
    assert run["teachers"]["six"]["test"]["n"] < run["test"]["n"]
