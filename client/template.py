"""An example of one's own data: a manifest and small made recordings, ready to import."""

import csv
import math
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

_DURATION_S, _SENSOR_HZ, _FRAMES_HZ = 1.6, 50, 30
_JOINTS = ("hip", "chest", "head", "shoulder", "elbow", "wrist")
_AT_REST = ((0.0, 1.0), (0.0, 1.4), (0.0, 1.7), (0.2, 1.4), (0.2, 1.1))  # x and y in m of all joints but the wrist
_FOREARM_M = 0.25
_GRAVITY = 9.81

Row = list[float | str]


def write_template(folder: Path) -> None:
    """Write `dataset.yaml`, `recordings.csv` and the files they name.

    Raises:
        OSError: the folder holds something already, or cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(0, "it is not empty")
    manifest = resources.files("client").joinpath("template_files", "dataset.yaml").read_text(encoding="utf-8")
    (folder / "dataset.yaml").write_text(manifest, encoding="utf-8")
    columns: list[Row] = [["id", "subject", "trial", "label", "accelerometer", "skeleton"]]
    for label in ("wave", "lift"):
        for subject in (1, 2, 3):
            for trial in (1, 2, 3):
                name = f"{label}_s{subject}_t{trial}"
                _write(folder / "watch" / f"{name}.csv", _watch(label, subject, trial))
                _write(folder / "poses" / f"{name}.csv", _poses(label, subject, trial))
                columns.append([name, subject, trial, label, f"watch/{name}.csv", f"poses/{name}.csv"])
    _write(folder / "recordings.csv", columns)


def _write(file: Path, rows: list[Row]) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as text:
        csv.writer(text, lineterminator="\n").writerows(rows)


def _watch(label: str, subject: int, trial: int) -> list[Row]:
    """Time in s and what a watch reads in m/s²: gravity and the wrist's second derivative."""
    rows: list[Row] = [["time", "x", "y", "z"]]
    step = 1e-3
    for time_s in _times(_SENSOR_HZ):
        before, now, after = (_wrist(label, subject, trial, time_s + shift) for shift in (-step, 0, step))
        x, y = ((b - 2 * n + a) / step**2 for b, n, a in zip(before, now, after, strict=True))
        rows.append([time_s, round(x, 4), round(y + _GRAVITY, 4), 0.0])
    return rows


def _poses(label: str, subject: int, trial: int) -> list[Row]:
    """Time in s and all joints in m."""
    rows: list[Row] = [["time", *(f"{joint}.{axis}" for joint in _JOINTS for axis in "xyz")]]
    for time_s in _times(_FRAMES_HZ):
        places = [*_AT_REST, _wrist(label, subject, trial, time_s)]
        rows.append([time_s, *(round(value, 4) for x, y in places for value in (x, y, 2.5))])
    return rows


def _times(rate_hz: int) -> Iterator[float]:
    return (round(sample / rate_hz, 4) for sample in range(round(_DURATION_S * rate_hz)))


def _wrist(label: str, subject: int, trial: int, time_s: float) -> tuple[float, float]:
    """Where the forearm ends: it swings sideways in a wave and is raised and lowered in a lift."""
    x, y = _AT_REST[-1]
    phase = 2 * math.pi * (1.3 + 0.1 * subject) * time_s + trial
    angle = 0.5 * math.sin(phase) if label == "wave" else math.pi / 2 + 0.8 * math.sin(phase / 2)
    return x + _FOREARM_M * math.sin(angle), y + _FOREARM_M * math.cos(angle)
