"""How a recording or a stream is read, and which version of a model labels it; docs/recordings.md says more."""

from typing import TypedDict


class Choice(TypedDict, total=False):
    """What every way of labelling may be told; what is left out or null is as the service has it."""

    version: int | None
    alias: str | None  # the service's own default: champion
    overlap: float | None  # part of a window that the next shares, in [0, 0.95]
    smooth_s: float | None  # findings are averaged over so many seconds


class Reading(Choice, total=False):
    """What may be said of a recording that does not say it itself."""

    rate_hz: float | None  # samples a second
    unit: str | None  # g, m/s^2, mg or g/64
    columns: str | None  # names or numbers of x, y and z with commas between, or of the time and these
