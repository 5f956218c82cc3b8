"""Which recordings share samples, as windows do that somebody cut from one recording before there was a split."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from pskd_core.data.series import Array

_RUN = 24  # samples; half a second of a watch
_CHANGES = 20  # samples of a run that differ from the one before: a sensor at rest repeats itself by chance
# The runs remembered of a recording are those with the smallest hashes, so that two recordings remember the same ones
# of what they share: windows that half overlap are found in 998 of 1,000 cases, and 36,000 recordings take 70 MB.
_REMEMBERED = 16
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no bit of a sample is lost


class Overlaps:
    """The runs of samples that were seen, and whose they were."""

    def __init__(self) -> None:
        self._owners: dict[int, str] = {}
        self._files: set[str] = set()

    def sharers(self, file: str, values: Array, *, name: str) -> tuple[str, ...]:
        """Who held some of these samples first; `name` is from now on who held the others.

        A file that comes again, as a sensor's does for a second camera, shares nothing.

        Args:
            file: in which they stand.
            values: (n, 3), before any resampling.
            name: of the recording, or of that which it was cut from.
        """
        if file in self._files:
            return ()
        self._files.add(file)
        owners = dict.fromkeys(self._owners.setdefault(run, name) for run in _smallest_runs(values))
        return tuple(owner for owner in owners if owner != name)


class Groups:
    """Names that belong together, through others if need be, in whatever order that was learned."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def join(self, name: str, others: Iterable[str]) -> None:
        """From now on `name`, the others, and all that belong to any of them are one group."""
        for other in others:
            head, found = self.head(name), self.head(other)
            if head != found:
                self._above[head] = found

    def head(self, name: str) -> str:
        """The one name by which the group of `name` goes."""
        head = name
        while head in self._above:
            head = self._above[head]
        while name != head:  # so that the way is short next time
            self._above[name], name = head, self._above[name]
        return head


def _smallest_runs(values: Array) -> list[int]:
    """Hashes of the runs of a recording that are remembered."""
    if len(values) < _RUN:
        return []
    words = np.ascontiguousarray(values, np.float64).view(np.uint64)  # (n, 3)
    with np.errstate(over="ignore"):
        samples = _mixed(words @ (_MULTIPLIER ** np.arange(1, 4, dtype=np.uint64)))  # (n,)
        runs = _mixed(sliding_window_view(samples, _RUN) @ (_MULTIPLIER ** np.arange(_RUN, dtype=np.uint64)))
    changed = np.diff(samples, prepend=samples[:1]) != 0
    lively = sliding_window_view(changed, _RUN).sum(axis=1) >= _CHANGES
    smallest: list[int] = np.unique(runs[lively])[:_REMEMBERED].tolist()
    return smallest


def _mixed(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """High bits into the low ones: a product's low bits know nothing of them."""
    folded: npt.NDArray[np.uint64] = (hashes ^ (hashes >> np.uint64(29))) * _MULTIPLIER
    return folded ^ (folded >> np.uint64(32))
