"""Windows a second of a long recording beside the bare model on the same windows: `make bench-batches`.

Both in one process and on one thread: ours parses nothing, but cuts, stretches, judges, labels and joins to segments.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import RATE_HZ, train
from benchmarks.table import in_turn, publish, ratios, row
from pskd_core.data.preprocess import clip_windows, stretch_windows
from pskd_core.data.recordings import read_floats
from pskd_core.inference import Bundle, classify

_STUDENTS = ("tiny", "resnet1d", "inception1d")
_AT_ONCE = 256  # windows


def rows(folder: Path, *, minutes: float, rounds: int) -> list[dict[str, Any]]:
    """A row for each kind of student, on a recording of this length."""
    return [_row(folder / kind, kind, minutes=minutes, rounds=rounds) for kind in _STUDENTS]


def _row(folder: Path, kind: str, *, minutes: float, rounds: int) -> dict[str, Any]:
    folder.mkdir()
    bundle = Bundle.load(train(folder, kind))
    samples = round(60 * minutes * RATE_HZ)
    noise = np.random.default_rng(0).normal(0, 0.2, (samples, 3)) + np.array([0, 0, 1])
    recording = read_floats(noise.astype("<f4").tobytes(), rate_hz=RATE_HZ, unit="g", filename=None)
    ranges = clip_windows(samples, RATE_HZ, bundle.clip_rule)
    length = ranges[0][1] - ranges[0][0]
    windows = stretch_windows(recording.values_g, [start for start, _ in ranges], length, bundle.info.frames)
    windows = np.ascontiguousarray(windows.transpose(0, 2, 1))

    def bare() -> None:
        for first in range(0, len(windows), _AT_ONCE):
            some = {"windows": windows[first : first + _AT_ONCE]}
            bundle.session.run(["probabilities", "logits", "distance"], some)

    calls = {"ours": lambda: classify(bundle, recording), "bare": bare}
    took_s = in_turn(calls, rounds=rounds, repeats=1, warm=1)
    name = f"windows a second of {len(windows)} in one recording, {kind} ÷ bare ONNX Runtime"
    return row(name, ratios(took_s, "bare", "ours"), at_least=0.8)


def main() -> None:
    """Print the table, and write it down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batches", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for the result")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pskd-batches-") as folder:
        found = rows(Path(folder), minutes=20, rounds=options.rounds)
    publish(options.out, "batches", found, {"rounds": options.rounds})


if __name__ == "__main__":
    main()
