"""A day of one sensor as CSV, labelled as a worker labels it: how long each part takes, and in what memory.

`make bench-long` writes the figures to `build/long.json`. The labelling is a process of its own, whose memory is read
again and again: what is its own, and what it has mapped of files, which the system takes back when it needs the room.
"""

import argparse
import json
import os
import subprocess  # nosec B404 # our own programs, through no shell
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import parser_of, publish, row
from pskd_core.inference import Bundle
from pskd_core.long import Reading, classify_long

_RATE_HZ = 100
_LOOK_EVERY_S = 0.05
_SHOWN = 24  # readings of the memory
_MEBIBYTE = 1 << 20


def measure(hours: float, folder: Path) -> dict[str, Any]:
    """Write a recording and label it, in an empty folder; linux alone says what memory is whose.

    Returns:
        Size of the file, seconds of each part, and MiB at times since the start.
    """
    from benchmarks.serving import train  # noqa: PLC0415 - with torch, which the labelling does not have

    bundle, recording, marks = train(folder), folder / "day.csv", folder / "marks.json"
    write(recording, hours)
    began_at = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.long", "--label", str(bundle), str(recording), str(marks)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    readings = []
    while process.poll() is None:
        if (memory := _memory(process.pid)) is not None:
            readings.append((time.monotonic() - began_at, *memory))
        time.sleep(_LOOK_EVERY_S)
    if process.returncode:
        raise SystemExit("the labelling failed")
    told = json.loads(marks.read_text(encoding="utf-8"))
    shown = readings[:: max(len(readings) // _SHOWN, 1)]
    return {
        "hours": hours,
        "rate_hz": _RATE_HZ,
        "file_mib": round(recording.stat().st_size / _MEBIBYTE, 1),
        **told,
        "own_mib_most": max(own for _, own, _ in readings),
        "mapped_mib_most": max(mapped for _, _, mapped in readings),
        "memory": [{"at_s": round(at_s, 1), "own_mib": own, "mapped_mib": mapped} for at_s, own, mapped in shown],
    }


def _memory(pid: int) -> tuple[float, float] | None:
    """MiB of a process that are its own, and that it has mapped of files."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return None
    found = dict(line.split(":", 1) for line in lines)
    if "RssAnon" not in found:  # it has just ended
        return None
    own, mapped = (round(int(found[name].split()[0]) / 1024, 1) for name in ("RssAnon", "RssFile"))
    return own, mapped


def write(path: Path, hours: float) -> None:
    """A wrist that rests, swings and rests otherwise, in g, with the uneven times of a real clock."""
    generator = np.random.default_rng(0)
    with path.open("w", encoding="ascii") as file:
        file.write("time,x,y,z\n")
        for minute in range(round(hours * 60)):
            times_s = 60 * minute + np.arange(60 * _RATE_HZ) / _RATE_HZ
            phase = 2 * np.pi * times_s * (minute % 3)
            swing = np.stack([0.3 * np.sin(phase), 1 + 0.3 * np.cos(phase), np.full_like(phase, 0.1)], axis=1)
            values_g = np.roll(swing, minute % 3, axis=1) + generator.normal(0, 0.02, swing.shape)
            jitter_s = generator.uniform(0, 0.4 / _RATE_HZ, len(times_s))
            rows = np.column_stack([times_s + jitter_s, values_g]).tolist()
            file.writelines(f"{t:.4f},{x:.4f},{y:.4f},{z:.4f}\n" for t, x, y, z in rows)


def label(bundle: Path, recording: Path, marks: Path) -> None:
    """In a process of its own: the work, and when each part of it ended."""
    began_at = time.monotonic()
    model = Bundle.load(bundle)
    ends_s = {"load": 0.0, "parse": 0.0, "resample": 0.0, "infer": 0.0}
    ends_s["load"] = time.monotonic() - began_at

    def told(share: float) -> None:
        now_s = time.monotonic() - began_at
        if share <= 0.5:
            ends_s["parse"] = now_s
        else:  # the first of the windows are labelled together, in no time
            ends_s["resample"] = ends_s["resample"] or now_s
            ends_s["infer"] = now_s

    with tempfile.TemporaryDirectory(dir=marks.parent) as folder:
        found = classify_long(model, recording, Path(folder), Reading(), told=told)
        ends_s["write"] = time.monotonic() - began_at
        lines_mib = sum(file.stat().st_size for file in Path(folder).iterdir()) / _MEBIBYTE
    ends = list(ends_s.values())
    seconds = {f"{name}_s": round(end - before, 2) for name, end, before in zip(ends_s, ends, [0, *ends], strict=False)}
    figures = {"samples": found.input.samples, "windows": found.windows, "lines_mib": round(lines_mib, 1)}
    marks.write_text(json.dumps({**figures, **seconds, "whole_s": round(ends[-1], 2)}), encoding="utf-8")


def main() -> None:
    """Print the table, and write it and all figures down."""
    parser = parser_of("long", __doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--label", nargs=3, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.label:
        label(*options.label)
        return
    with tempfile.TemporaryDirectory(prefix="pskd-long-") as folder:
        found = measure(options.hours, Path(folder))
    name = f"a recording of {options.hours:g} h as CSV, memory of its process, MiB"
    publish(options.out, "long", [row(name, [found["own_mib_most"]], at_most=286)], found)


if __name__ == "__main__":
    main()
