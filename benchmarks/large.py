"""A dataset of MMAct's size: written as a user would bring it, imported, and trained on for one epoch.

`make bench-large` prints the figures as JSON. Each stage is a process of its own, whose memory is that of its whole
tree: the larger of the resident memory sampled while it ran and of the peak that the system kept.
"""

import argparse
import json
import subprocess  # nosec B404 # our own programs, through no shell
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from pskd_core.data.body_graphs import COCO_17

_ACTIONS, _SUBJECTS = 35, 20
_SENSORS = {"accelerometer": ("m/s^2", 100), "accelerometer_phone": ("m/s^2", 100), "gyroscope": ("rad/s", 50)}
_FRAMES_HZ = 30
_SHORTEST_S, _LONGEST_S = 3, 8
_SAMPLED_EVERY_S = 0.05
_SLIM = {"kind": "agcn", "width": 4, "depth": 3}
# Slim networks on few frames: the figures are about data, and a wide teacher would hide them.
SPEC = {
    "protocol": {"kind": "named", "name": "cross_subject"},
    "method": {
        "kind": "distill",
        "teachers": [
            {"name": "skeleton", "inputs": ["skeleton"], "backbone": _SLIM},
            {"name": "sensors", "inputs": list(_SENSORS), "backbone": {"kind": "tiny"}},
        ],
    },
    "student": {"inputs": ["accelerometer"], "backbone": {"kind": "tiny"}},
    "preprocess": {"skeleton_frames": 16, "sensor_frames": 64},
    "training": {"epochs": 1, "batch_size": 64, "threads": 2},
}


def measure(clips: int, folder: Path) -> dict[str, Any]:
    """Write, import and train in `folder`, which must be empty.

    Returns:
        Clips, bytes on disk before and after the import, and seconds and peak bytes of import and training.
    """
    given, kept, figures = folder / "given", folder / "kept", folder / "figures.json"
    _stage("write", str(given), str(clips))
    import_s, import_peak = _stage("import", str(given), str(kept))
    train_s, train_peak = _stage("train", str(kept), str(figures))
    return {
        "clips": clips,
        "given_bytes": _bytes_below(given),
        "imported_bytes": _bytes_below(kept),
        "import_s": round(import_s, 1),
        "import_peak_bytes": import_peak,
        "train_s": round(train_s, 1),
        "train_peak_bytes": train_peak,
        **json.loads(figures.read_text(encoding="utf-8")),
    }


def _stage(*arguments: str) -> tuple[float, int]:
    """Run one stage; its seconds, and the peak of its process tree's resident memory in bytes."""
    started, sampled = time.monotonic(), 0
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.large", *arguments])
    # Not by `ru_maxrss`: it begins with the memory of whoever started the process.
    while process.poll() is None:
        sampled = max(sampled, _resident(process.pid))
        time.sleep(_SAMPLED_EVERY_S)
    if process.returncode:
        raise SystemExit(f"stage {arguments[0]} failed")
    return time.monotonic() - started, sampled


def _resident(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        return sum(each.memory_info().rss for each in [root, *root.children(recursive=True)])
    except psutil.NoSuchProcess:  # one of them has just ended
        return 0


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


# --- Stages -------------------------------------------------------------------------------------------------------


def write(folder: Path, clips: int) -> None:
    """A manifest dataset of `.npy` files: per clip three sensors and a skeleton that swing as its action does."""
    for stream in (*_SENSORS, "skeleton"):
        (folder / stream).mkdir(parents=True)
    joints = COCO_17.joints
    subjects = [str(number) for number in range(1, _SUBJECTS + 1)]
    description = {
        "name": "large",
        "classes": [f"action_{number}" for number in range(_ACTIONS)],
        "sensors": {name: {"unit": unit, "rate_hz": rate_hz} for name, (unit, rate_hz) in _SENSORS.items()},
        "skeleton": {
            "joints": list(joints),
            "bones": [[joints[child], joints[parent]] for child, parent in COCO_17.bones],
            "centre": joints[COCO_17.centre],
            "unit": "m",
            "rate_hz": _FRAMES_HZ,
        },
        "protocols": {"cross_subject": {"by": "subject", "train": subjects[:16], "test": subjects[16:]}},
    }
    (folder / "dataset.yaml").write_text(yaml.safe_dump(description), encoding="utf-8")
    rows = [f"id,subject,trial,label,{','.join(_SENSORS)},skeleton"]
    for number in range(clips):
        label, trial = number % _ACTIONS, number // (_ACTIONS * _SUBJECTS)
        subject = (number // _ACTIONS * 3 + label) % _SUBJECTS  # few clips reach every subject as well
        _write_clip(folder, number, label)
        files = ",".join(f"{stream}/{number}.npy" for stream in (*_SENSORS, "skeleton"))
        rows.append(f"{number},{subject + 1},{trial + 1},action_{label},{files}")
    (folder / "recordings.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _write_clip(folder: Path, number: int, label: int) -> None:
    draw = np.random.default_rng(number)
    duration_s = round(draw.uniform(_SHORTEST_S, _LONGEST_S), 1)
    for stream, (_, rate_hz) in _SENSORS.items():
        values = _swing(draw, label, round(duration_s * rate_hz), rate_hz, axes=3)
        np.save(folder / stream / f"{number}.npy", values)
    positions = _swing(draw, label, round(duration_s * _FRAMES_HZ), _FRAMES_HZ, axes=3 * len(COCO_17.joints))
    np.save(folder / "skeleton" / f"{number}.npy", positions.reshape(len(positions), -1, 3))


def _swing(draw: np.random.Generator, label: int, samples: int, rate_hz: int, *, axes: int) -> np.ndarray:
    time_s = np.arange(samples, dtype=np.float32)[:, None] / np.float32(rate_hz)
    frequency_hz, lag = 0.5 + label % 7 / 4, np.arange(axes, dtype=np.float32) * (1 + label // 7)
    noise = draw.standard_normal((samples, axes), np.float32)
    return np.asarray(np.sin(2 * np.pi * frequency_hz * time_s + lag) + np.float32(0.3) * noise, np.float32)


def import_(given: Path, kept: Path) -> None:
    """Import what `write` wrote."""
    from pskd_core.data.importing import import_dataset  # noqa: PLC0415 (each stage loads what it needs alone)

    import_dataset(given, kept)


def train(kept: Path, figures: Path) -> None:
    """Every network's one epoch and the test, as `python -m pskd_core train` runs them."""
    from pskd_core.config import parse_spec  # noqa: PLC0415
    from pskd_core.data.columnar import Dataset  # noqa: PLC0415
    from pskd_core.data.splits import plan_folds  # noqa: PLC0415
    from pskd_core.run import Run  # noqa: PLC0415

    dataset, spec = Dataset.open(kept), parse_spec(SPEC)
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    started = time.monotonic()
    run = Run(dataset, spec, fold, seed=0)
    prepared = time.monotonic()
    for _ in run.epochs():
        pass
    trained = time.monotonic()
    test = run.finish().test
    assert test is not None
    found = {
        "prepare_s": round(prepared - started, 1),
        "epoch_s": round(trained - prepared, 1),
        "test_s": round(time.monotonic() - trained, 1),
        "test_n": test.n,
        "test_accuracy": round(test.accuracy, 4),
    }
    figures.write_text(json.dumps(found), encoding="utf-8")


def main() -> None:
    """`python -m benchmarks.large [--clips N] [--folder DIR]`, or one stage of it."""
    stages: dict[str, Callable[[str, str], None]] = {
        "write": lambda folder, clips: write(Path(folder), int(clips)),
        "import": lambda given, kept: import_(Path(given), Path(kept)),
        "train": lambda kept, figures: train(Path(kept), Path(figures)),
    }
    if len(sys.argv) == 4 and (stage := stages.get(sys.argv[1])):
        stage(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("--clips", type=int, default=36_000, help="140 or more, to reach every subject")
    parser.add_argument("--folder", type=Path, help="where the files go, 4 GB; a temporary folder if not said")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pskd-bench-", dir=options.folder) as folder:
        sys.stdout.write(json.dumps(measure(options.clips, Path(folder)), indent=2) + "\n")


if __name__ == "__main__":
    main()
