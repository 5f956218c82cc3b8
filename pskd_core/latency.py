"""How long an exported student takes for one window on the machine that it is asked on."""

import statistics
import time

import numpy as np

from pskd_core.inference import Bundle

_WARM, _MOST = 5, 100  # windows
_LONG_ENOUGH_S = 0.3


def latency_ms(bundle: Bundle) -> float:
    """Median of up to 100 windows, one at a time on one thread; of slow students fewer."""
    window = np.zeros((1, 3 * len(bundle.info.inputs), bundle.info.frames), np.float32)
    for _ in range(_WARM):
        bundle.predict(window)
    took_s: list[float] = []
    began_at = time.perf_counter()
    while len(took_s) < _MOST and (not took_s or time.perf_counter() - began_at < _LONG_ENOUGH_S):
        before = time.perf_counter()
        bundle.predict(window)
        took_s.append(time.perf_counter() - before)
    return 1000 * statistics.median(took_s)
