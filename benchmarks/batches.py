"""Windows a second of a long recording beside the bare model on the same windows: `make bench-batches`.

In three ways, on one thread: in one process, where ours parses nothing, but cuts, stretches, judges, labels and joins
to segments; by the API, which is sent the recording as float32 and answers with every window; and by the API, which is
sent the windows ready as JSON of the Open Inference Protocol.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import RATE_HZ, Connection, asking, float32, serving, train, v2
from benchmarks.table import in_turn, parser_of, publish, ratios, row
from pskd_core.data.preprocess import clip_windows, stretch_windows
from pskd_core.data.recordings import read_floats
from pskd_core.inference import Bundle, classify

_STUDENTS = ("tiny", "resnet1d", "inception1d")
_AT_ONCE = 256  # windows


_WAYS = {"ours": "", "float32": ", by the API as float32", "v2": ", by the API as V2 in JSON"}


def rows(folder: Path, *, minutes: float, rounds: int) -> list[dict[str, Any]]:
    """Rows for each kind of student, on a recording of this length."""
    return [each for kind in _STUDENTS for each in _rows(folder / kind, kind, minutes=minutes, rounds=rounds)]


def _rows(folder: Path, kind: str, *, minutes: float, rounds: int) -> Iterator[dict[str, Any]]:
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

    with serving(folder, folder / "bundle") as (_, port), Connection(port) as connection:
        calls: dict[str, Callable[[], object]] = {
            "bare": bare,
            "ours": lambda: classify(bundle, recording),
            "float32": asking(connection, float32(noise)),
            "v2": asking(connection, v2(windows)),
        }
        took_s = in_turn(calls, rounds=rounds, repeats=1, warm=1)
    for way, said in _WAYS.items():
        name = f"windows a second of {len(windows)} in one recording, {kind}{said} ÷ bare ONNX Runtime"
        yield row(name, ratios(took_s, "bare", way), at_least=0.8)


def main() -> None:
    """Print the table, and write it down."""
    options = parser_of("batches", __doc__, rounds=20).parse_args()
    with tempfile.TemporaryDirectory(prefix="pskd-batches-") as folder:
        found = rows(Path(folder), minutes=20, rounds=options.rounds)
    publish(options.out, "batches", found, {"rounds": options.rounds})


if __name__ == "__main__":
    main()
