"""A small synthetic dataset and a spec that trains on it in seconds, for tests that need a real training."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pskd_core.data import berkeley_mhad, mmact
from pskd_core.data.columnar import Dataset, Recording, Stream, write_dataset
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


# A spec on the dataset below: of four validation recordings, two have no gyroscope.
PATCHY_SPEC: dict[str, Any] = {
    "method": {"kind": "none"},
    "student": SMALL_SPEC["student"],
    "protocol": {"kind": "subjects", "train": ["1", "2"], "test": ["3"]},
    "validation": {"kind": "trials", "trials": ["2"]},
}


def patchy_source(folder: Path) -> Path:
    """One's own data: three subjects, three trials, two classes; subject 1's trial 2 has no gyroscope."""
    folder.mkdir()
    sensors = {"accelerometer": {"unit": "g", "rate_hz": 50}, "gyroscope": {"unit": "deg/s", "rate_hz": 50}}
    described = {"name": "patchy", "classes": ["wave", "lift"], "sensors": sensors}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(described))
    rows, draw = ["id,subject,trial,label,accelerometer,gyroscope"], np.random.default_rng(0)
    for subject, trial, label in product("123", "123", ("wave", "lift")):
        name = f"{label}_{subject}_{trial}"
        for sensor in sensors:
            np.save(folder / f"{name}_{sensor}.npy", draw.normal(size=(80, 3)))
        gyroscope = "" if (subject, trial) == ("1", "2") else f"{name}_gyroscope.npy"
        rows.append(f"{name},{subject},{trial},{label},{name}_accelerometer.npy,{gyroscope}")
    (folder / "recordings.csv").write_text("\n".join(rows) + "\n")
    return folder


# What a reader of the layout calls the streams that our own synthetic data lack.
_MORE_SENSORS = {
    "utd_mhad": (),
    "berkeley_mhad": tuple(name for name, _ in berkeley_mhad._PLACES.values() if name != "accelerometer"),
    "mmact": tuple(name for name, _ in mmact._SENSORS.values() if name not in {"accelerometer", "gyroscope"}),
}
LAYOUTS = tuple(_MORE_SENSORS)


def layout_dataset(path: Path, layout: str) -> Dataset:
    """The small dataset with the streams that the reader of `layout` names, copies of the accelerometer in them."""
    source = small_dataset(path / "source")
    more = _MORE_SENSORS[layout]
    streams = source.info.streams | dict.fromkeys(more, source.info.streams["accelerometer"])
    recordings = [
        Recording(
            id=meta.id,
            subject=meta.subject,
            trial=meta.trial,
            label=meta.label,
            streams={name: _stream(source, name, index) for name in streams},
        )
        for index, meta in enumerate(source.recordings)
    ]
    info = source.info.model_copy(update={"layout": layout, "streams": streams})
    return write_dataset(path / "dataset", info, recordings)


def _stream(source: Dataset, name: str, index: int) -> Stream:
    meta = source.recordings[index]
    held = name if name in meta.streams else "accelerometer"
    return Stream(source.stream(held, index), meta.rate_hz(held))
