"""Windows of one recording are one group, however they are listed and named."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pskd_core.data.overlaps import Groups, Overlaps

LONG = {name: np.random.default_rng(seed).normal(size=(350, 3)) for seed, name in enumerate(("walk", "jump"))}
# Six windows of each, of which only neighbours share samples, and a recording of its own.
WINDOWS = {f"{name}{place}": long[50 * place : 50 * place + 100] for name, long in LONG.items() for place in range(6)}
WINDOWS["lone"] = np.random.default_rng(2).normal(size=(100, 3))


@given(order=st.permutations(sorted(WINDOWS)), stated=st.dictionaries(st.sampled_from(sorted(WINDOWS)), st.booleans()))
def test_no_order_parts_windows_of_one_recording(order: list[str], stated: dict[str, bool]) -> None:
    """Any order of rows, any of which state one of two names, gives one group a recording, and never a larger one."""
    overlaps, groups = Overlaps(), Groups()
    names = {window: f"{window[:4]}, {'whole' if stated[window] else 'all'}" for window in stated}
    for window in order:
        name = names.get(window, window)
        groups.join(name, overlaps.sharers(window, WINDOWS[window], name=name))
    heads = {window: groups.head(names.get(window, window)) for window in WINDOWS}
    for window, head in heads.items():
        assert {other for other in heads if heads[other] == head} == {
            other for other in heads if other[:4] == window[:4]
        }
