"""A stranger's own data: brought in by docs/own-data.md alone, taught on, and one of its recordings classified.

Three sensors with clocks that jitter, 32 joints, recordings without a skeleton, and every kind of file.
"""

import csv
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet
from typer.testing import CliRunner, Result

from client.cli import app
from pskd_core.__main__ import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

Array = npt.NDArray[np.float64]
SUBJECTS, CLASSES, TRIALS = ("mia", "ben", "zoe"), ("stir", "shake", "pour"), (1, 2, 3)
JOINTS = [f"joint{number}" for number in range(32)]
WITHOUT_SKELETON = {"stir_mia_2", "pour_ben_1", "shake_zoe_3"}
STARTED_MS = 1_700_000_000_000

DESCRIPTION = {
    "name": "kitchen",
    "classes": list(CLASSES),
    "sensors": {
        "accelerometer": {
            "worn_at": "joint9",
            "unit": "m/s^2",
            "rate_hz": "from timestamps",
            "columns": ["acc_x", "acc_y", "acc_z"],
            "time_column": "timestamp_ms",
            "time_unit": "ms",
        },
        "ankle": {"worn_at": "joint30", "unit": "counts", "scale": 1 / 64, "rate_hz": "from timestamps"},
        "gyroscope": {"worn_at": "joint9", "unit": "rad/s", "rate_hz": "from timestamps", "time_unit": "iso"},
    },
    "skeleton": {
        "joints": JOINTS,
        "bones": [[JOINTS[number], JOINTS[(number - 1) // 2]] for number in range(1, 32)],
        "centre": "joint0",
        "unit": "mm",
        "rate_hz": "from timestamps",
        "up": "z",
    },
    "protocols": {"new_person": {"by": "subject", "train": ["mia", "ben"], "test": ["zoe"]}},
}
SLIM = {"kind": "agcn", "width": 4, "depth": 3}
JOB = {
    "preset": "demo",
    "name": "kitchen-student",
    "dataset": "kitchen",
    "protocol": {"kind": "named", "name": "new_person"},
    "method": {
        "kind": "distill",
        "teachers": [
            {"name": "skeleton", "inputs": ["skeleton"], "backbone": SLIM},
            {"name": "sensors", "inputs": ["accelerometer", "ankle", "gyroscope"], "backbone": {"kind": "tiny"}},
        ],
    },
    "student": {"inputs": ["accelerometer"], "backbone": {"kind": "tiny"}},
    "preprocess": {"skeleton_frames": 16, "sensor_frames": 64},
    "training": {"epochs": 8, "batch_size": 8},
}


def times_s(draw: np.random.Generator, rate_hz: float) -> Array:
    """Three seconds of a clock that never ticks evenly."""
    even = np.arange(round(3 * rate_hz)) / rate_hz
    return np.asarray(even + draw.uniform(-0.2, 0.2, len(even)) / rate_hz)


def movement(time_s: Array, label: str, axes: int, draw: np.random.Generator) -> Array:
    """Each action swings at its own frequency, every axis with its own lag."""
    frequency_hz = {"stir": 1.0, "shake": 4.0, "pour": 0.3}[label]
    swing = np.sin(2 * np.pi * frequency_hz * time_s[:, None] + np.arange(axes))
    return np.asarray(swing + draw.normal(0, 0.05, swing.shape))


def write_csv(file: Path, header: list[str], rows: list[list[Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as text:
        csv.writer(text).writerows([header, *rows])


def write_recording(folder: Path, name: str, label: str, draw: np.random.Generator) -> list[str]:
    """Its files, one of each kind; the paths as the list wants them."""
    started_s = STARTED_MS / 1000
    time_s = times_s(draw, 52)
    watch = 9.81 * np.array([0, 0, 1]) + 4 * movement(time_s, label, 3, draw)
    rows = [[f"{STARTED_MS + 1000 * t:.1f}", *map("{:.3f}".format, row)] for t, row in zip(time_s, watch, strict=True)]
    write_csv(folder / "watch" / f"{name}.csv", ["timestamp_ms", "acc_x", "acc_y", "acc_z", "battery"],
              [[*row, 87] for row in rows])  # fmt: skip
    time_s = times_s(draw, 31)
    counts = np.round(64 * (np.array([0, 1, 0]) + 0.3 * movement(time_s, label, 3, draw)))
    (folder / "ankle").mkdir(exist_ok=True)
    np.savez(folder / "ankle" / f"{name}.npz", values=counts.astype(np.int16), time=started_s + time_s)
    time_s = times_s(draw, 100)
    turning = movement(time_s, label, 3, draw)
    stamps = np.round(1e6 * (started_s + time_s)).astype("datetime64[us]")
    columns = {"time": stamps, **dict(zip("xyz", turning.T, strict=True))}
    (folder / "gyro").mkdir(exist_ok=True)
    parquet.write_table(pa.table(columns), folder / "gyro" / f"{name}.parquet")
    paths = [f"watch/{name}.csv", f"ankle/{name}.npz", f"gyro/{name}.parquet"]
    return [*paths, "" if name in WITHOUT_SKELETON else write_skeleton(folder, name, label, draw)]


def write_skeleton(folder: Path, name: str, label: str, draw: np.random.Generator) -> str:
    """CSV for one person, an array with the time first for the others."""
    time_s = times_s(draw, 30)
    positions = 1000 * movement(time_s, label, 3 * len(JOINTS), draw)
    table = np.column_stack([STARTED_MS / 1000 + time_s, positions])
    (folder / "body").mkdir(exist_ok=True)
    if "mia" in name:
        header = ["time", *(f"{joint}_{axis}" for joint in JOINTS for axis in "XYZ")]
        write_csv(folder / "body" / f"{name}.csv", header, table.tolist())
        return f"body/{name}.csv"
    np.save(folder / "body" / f"{name}.npy", table)
    return f"body/{name}.npy"


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stranger's folder, with a job beside it."""
    folder, draw = tmp_path_factory.mktemp("stranger") / "kitchen", np.random.default_rng(0)
    rows = [
        [f"{label}_{subject}_{trial}", subject, trial, label]
        for label in CLASSES
        for subject in SUBJECTS
        for trial in TRIALS
    ]
    listed = [[*row, *write_recording(folder, str(row[0]), str(row[3]), draw)] for row in rows]
    write_csv(
        folder / "recordings.csv",
        ["id", "subject", "trial", "label", "accelerometer", "ankle", "gyroscope", "skeleton"],
        listed,
    )
    (folder / "dataset.yaml").write_text(yaml.safe_dump(DESCRIPTION))
    (folder.parent / "job.yaml").write_text(yaml.safe_dump(JOB))
    return folder


def test_it_is_brought_in_taught_on_and_classified(stack_url: str, kitchen: Path) -> None:
    """Through the commands of the tutorial, and through plain HTTP, with the same answer."""

    def pskd(*arguments: str) -> Result:
        result = CliRunner().invoke(app, ["--url", stack_url, *arguments])
        assert result.exit_code == 0, result.output
        return result

    pskd("dataset", "add", str(kitchen), "--name", "kitchen")
    report = json.loads(pskd("dataset", "show", "kitchen", "--json").stdout)["report"]
    assert report["recordings"] == 27
    shown = pskd("dataset", "show", "kitchen").stdout
    assert "classes: stir 9, shake 9, pour 9" in shown
    assert "stream skeleton: 24 recordings, " in shown
    assert {name: stream["recordings"] for name, stream in report["streams"].items()} == {
        "accelerometer": 27,
        "ankle": 27,
        "gyroscope": 27,
        "skeleton": 24,
    }
    (problem,) = report["problems"]
    assert problem["detail"].startswith("3 recordings without skeleton: stir_mia_2")
    pskd("submit", str(kitchen.parent / "job.yaml"), "--wait")
    (row,) = json.loads(pskd("leaderboard", "--dataset", "kitchen", "--json").stdout)
    assert row["n_test"] == 9
    file = kitchen / "watch" / "shake_zoe_1.csv"
    answer = json.loads(pskd("classify", str(file), "--model", "kitchen-student", "--json").stdout.splitlines()[-1])
    sent = httpx.post(
        f"{stack_url}/v1/models/kitchen-student/classify", files={"file": (file.name, file.read_bytes())}, timeout=60
    )
    assert sent.status_code == 200, sent.text
    assert answer["label"] in CLASSES
    assert sent.json()["probabilities"] == answer["probabilities"]
    assert sent.json()["input"]["unit"] == "m/s^2"


def test_it_trains_without_a_service(kitchen: Path, tmp_path: Path) -> None:
    """The tutorial's last command leaves a result and a bundle."""
    job = str(kitchen.parent / "job.yaml")
    assert main(["train", job, "--data", str(kitchen), "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["summary"]["test"]["n"] == 9
    assert result["runs"][0]["teachers_train_n"] == {"skeleton": 16, "sensors": 18}
    assert list(tmp_path.glob("runs/*/bundle/*.onnx"))
