"""Samples in as a sensor measures them, a label a window out: the timeline of `inference.classify`, as it comes."""

from collections.abc import Iterator

import numpy as np

from pskd_core.data.incremental import Resampler, Windower
from pskd_core.data.preprocess import window_steps
from pskd_core.data.recordings import MOST_G, holds_gravity
from pskd_core.data.series import PER_G, Array, Unit
from pskd_core.errors import DataError
from pskd_core.fields import Frozen
from pskd_core.inference import Bundle, Findings, Window, check_inputs, find, joined, labelled, smoothed


class Gap(Frozen):
    """A time without samples: nothing before it is in a window with anything after it."""

    start_s: float
    end_s: float


class LiveClassifier:
    """Labels one sensor's samples while they arrive, in memory that does not grow with them; not for several threads.

    Windows are those that `classify` cuts from a recording of the same samples longer than a training clip: all but
    its last, which ends with the recording. Gravity, which a calibrated confidence depends on, is looked for in each.

    Args:
        bundle: the model.
        rate_hz: samples a second; those that come with times are resampled to it.
        unit: of the samples.
        top_k: how many classes are named.
        overlap: part of a window that the next one shares, in [0, 1).
        smooth_s: as in `classify`; labels come half of this later.

    Raises:
        DataError: the model needs other sensors than one accelerometer.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        rate_hz: float,
        unit: Unit,
        top_k: int = 5,
        overlap: float = 0.5,
        smooth_s: float = 0.0,
    ) -> None:
        check_inputs(bundle.info)
        self.bundle, self.rate_hz = bundle, rate_hz
        self.length, self.hop = window_steps(rate_hz, bundle.clip_rule, overlap=overlap)
        self._unit, self._top_k, self._smooth_s = unit, top_k, smooth_s
        self._resampler = Resampler(rate_hz)
        self._first_s: float | None = None  # of the stream, on the sensor's clock
        self._samples = 0
        self.windows = 0  # labelled so far, those included that smoothing still holds back
        self._begin(0.0)

    def push(self, values: Array, time_s: Array | None = None) -> Iterator[Window | Gap]:
        """What samples (n, 3) in the stated unit complete; `time_s` (n,) on the sensor's own clock, always or never.

        Raises:
            DataError: a sample is no finite acceleration, or has a time where others have none; or the model finds no
                finite probability for it.
        """
        self._check(values, time_s)
        if self._samples and (time_s is None) != (self._first_s is None):
            raise DataError("samples with times and samples without come in one stream; send one kind")
        self._samples += len(values)
        if time_s is None:
            yield from self._windows(values)
            return
        if self._first_s is None and len(time_s):
            self._first_s = float(time_s[0])
        for stretch in self._resampler.push(values, time_s):
            if stretch.gap_s is not None:
                yield from self.finish()
                start_s, end_s = (each - (self._first_s or 0.0) for each in stretch.gap_s)
                yield Gap(start_s=start_s, end_s=end_s)
                self._begin(end_s)
            yield from self._windows(stretch.values)

    def finish(self) -> Iterator[Window]:
        """The windows that smoothing still holds back; nothing follows them."""
        return self._ready(float("inf"))

    def _begin(self, at_s: float) -> None:
        self._at_s = at_s
        self._windower = Windower(self.length, self.hop)
        self._times: list[tuple[float, float]] = []  # of the windows that smoothing may still need
        self._found: list[Findings] = []
        self._told = 0  # of these

    def _check(self, values: Array, time_s: Array | None) -> None:
        bad = ~(np.abs(values) <= MOST_G * PER_G[self._unit]).all(axis=1)
        if time_s is not None:
            bad |= ~np.isfinite(time_s)
        if bad.any():
            row = int(bad.argmax())
            sample = f"sample {self._samples + row + 1} of the stream, {values[row].tolist()} {self._unit},"
            raise DataError(
                f"{sample} is no acceleration of at most {MOST_G:.0f} g at a finite time; correct it, or state the unit"
            )

    def _windows(self, values: Array) -> Iterator[Window]:
        for start, window in self._windower.push((values / PER_G[self._unit]).astype(np.float32)):
            self._found.append(find(self.bundle, window, [0], self.length, gravity=holds_gravity(window)))
            self._times.append(self._time(start))
            self.windows += 1
            yield from self._ready(_middle(self._time(start + self.hop)))

    def _time(self, start: int) -> tuple[float, float]:
        return self._at_s + start / self.rate_hz, self._at_s + (start + self.length) / self.rate_hz

    def _ready(self, next_s: float) -> Iterator[Window]:
        """The windows that no other window is near whose middle lies at `next_s` or later."""
        reach_s = self._smooth_s / 2 + 1e-9
        until = self._told
        while until < len(self._times) and _middle(self._times[until]) + reach_s < next_s:
            until += 1
        if until == self._told:
            return
        findings = smoothed(joined(self._found), times=self._times, smooth_s=self._smooth_s)
        ready = slice(self._told, until)
        yield from labelled(
            self.bundle.info, findings.mapped(lambda found: found[ready]), self._times[ready], top_k=self._top_k
        )
        oldest_s = min(next_s, _middle(self._times[until]) if until < len(self._times) else next_s) - reach_s
        done = sum(_middle(time) < oldest_s for time in self._times[:until])
        self._times, self._found, self._told = self._times[done:], self._found[done:], until - done


def _middle(time: tuple[float, float]) -> float:
    return sum(time) / 2
