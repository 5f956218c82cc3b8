"""A small synthetic dataset and a spec that trains on it in seconds, for tests that need a real training."""

from pathlib import Path
from typing import Any

from pskd_core.data.columnar import Dataset
from pskd_core.data.importing import import_dataset
from pskd_core.data.synthetic import SyntheticSource

_SLIM = {"kind": "agcn", "width": 4, "depth": 3}

# Slim teachers, one with dropout, and a slim student.
SMALL_SPEC: dict[str, Any] = {
    "method": {
        "kind": "distill",
        "teachers": [
            {"name": "skeleton", "inputs": ["skeleton"], "backbone": _SLIM},
            {"name": "fusion", "inputs": ["skeleton", "accelerometer"], "backbone": {**_SLIM, "dropout": 0.1}},
        ],
    },
    "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 8}},
    "feature_dim": 16,
    "preprocess": {"skeleton_frames": 16, "sensor_frames": 32},
    "training": {"epochs": 3, "batch_size": 16},
}

SMALL_SOURCE = SyntheticSource(subjects=4, trials=2)


def small_dataset(path: Path) -> Dataset:
    """Four subjects, two trials, six classes, imported to `path`."""
    import_dataset(SMALL_SOURCE, path)
    return Dataset.open(path)
