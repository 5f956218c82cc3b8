"""What the names of a table's columns say: which are x, y, z and time, in which units, with gravity or without."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pskd_core.data.problems import listed, shortened
from pskd_core.data.series import Array, Unit
from pskd_core.errors import DataError

LONGEST_HEADER = 200  # characters of one column's name that are looked at

TimeUnit = Literal["s", "ms", "us", "ns"]
_SECONDS: Mapping[TimeUnit, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

# What a column's name may be once its unit, blanks and signs are gone; the first kind that is there counts. `ax` comes
# after `x`, since loggers that write both mean gravity-free acceleration by it.
_SENSOR = r"(?:accelerometer|acceleration|accel|acc|gf)+"
_AXIS_NAMES = (
    rf"{_SENSOR}(?P<after>[xyz])|(?P<before>[xyz]){_SENSOR}",
    rf"[a-z]*{_SENSOR}(?:ln|lownoise)(?P<after>[xyz])(?:cal)?|lownoise{_SENSOR}(?P<before>[xyz])",
    rf"[a-z]*{_SENSOR}(?:wr|widerange)(?P<after>[xyz])(?:cal)?|widerange{_SENSOR}(?P<before>[xyz])",
    r"(?P<after>[xyz])(?:axis|value)?|axis(?P<before>[xyz])",
    r"a(?P<after>[xyz])",
)
_FREE_NAMES = rf"(?:motion)?(?:linear|user){_SENSOR}(?P<after>[xyz])|(?P<before>[xyz])linear{_SENSOR}"
_TIME_NAME = re.compile(
    r"t|ts|time\w*|\w*time|\w*timestamp\w*|\w*elapsed\w*|epoch\w*|unix\w*|secs?|seconds?|ms|us|ns|(?:milli|micro|nano)\w*"
)
_UNIT_IN_NAME = re.compile(r"[(\[][^)\]]*(?:[)\]]|$)|_(?:g|mg|ms2|mps2|s|ms|us|ns)$")
_UNITS: Mapping[Unit, re.Pattern[str]] = {
    "m/s^2": re.compile(r"m\s*/\s*\(?\s*s\s*(?:\^|\*\*)?\s*[2²]|m/s/s|ms\^?-2|_ms2$|_mps2$"),
    "g": re.compile(r"[(\[]\s*g\s*[)\]]|_g$|^gf[xyz]$"),
    "mg": re.compile(r"[(\[]\s*mg\s*[)\]]|_mg$"),
}
# Units of gyroscopes and compasses, whose axes may be called x, y and z as well.
_OTHER_QUANTITY = re.compile(r"rad\s*/\s*s|deg\s*/\s*s|°\s*/\s*s|\bdps\b|[uµμ]t\b|gauss")
_TIME_UNITS: Mapping[TimeUnit, re.Pattern[str]] = {
    "ms": re.compile(r"[(\[_ ](?:ms|msec)(?:[)\]]|\s*$)|^ms$|milli"),
    "us": re.compile(r"[(\[_ ](?:us|µs|μs)(?:[)\]]|\s*$)|^us$|micro"),
    "ns": re.compile(r"[(\[_ ]ns(?:[)\]]|\s*$)|^ns$|nano"),
    "s": re.compile(r"[(\[_ ](?:s|secs?|seconds?)(?:[)\]]|\s*$)|^secs?$|seconds"),
}
_COUNTS = re.compile(r"(?:axis|activity|vector)\s*(?:[123]|counts?|magnitude)|counts?|steps|enmo|epoch|vm")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Columns of a table, by their places."""

    axes: tuple[int, int, int]
    time: int | None = None
    warnings: tuple[str, ...] = ()


def named_axes(header: Sequence[str], file: str | None) -> Chosen:
    """The columns that their names make x, y and z of an accelerometer.

    Raises:
        DataError: none are called so, or two could be the same axis.
    """
    names = [squeezed(name) if not _OTHER_QUANTITY.search(name.lower()) else "" for name in header]
    kinds = [(pattern, axes) for pattern in (*_AXIS_NAMES, _FREE_NAMES) if (axes := _axes(pattern, names))]
    if not kinds:
        raise DataError(_not_there(header), file=file)
    if twice := next((columns for columns in kinds[0][1].values() if len(columns) > 1), None):
        both = " and ".join(repr(shortened(header[column].strip())) for column in twice[:2])
        detail = f"{both} could both be the same axis; keep one of them, or state the columns"
        raise DataError(detail, file=file)
    axes = kinds[0][1]
    ranges = [pattern for pattern, _ in kinds if pattern in _AXIS_NAMES[1:3]]
    both_ranges = ("low-noise and wide-range accelerometer: the low-noise one was taken",) if len(ranges) == 2 else ()
    return Chosen((axes["x"][0], axes["y"][0], axes["z"][0]), warnings=both_ranges)


def stated_columns(header: Sequence[str], width: int, stated: Sequence[str], file: str | None) -> Chosen:
    """The columns that the caller names: x, y, z, or the time before them; a name, or a number from 1.

    Raises:
        DataError: there are not three or four, or one of them is not there.
    """
    if len(stated) not in (3, 4):
        detail = f"{len(stated)} columns are stated; name three, for x, y and z, or four, the time before them"
        raise DataError(detail, file=file)
    places = [_place(header, width, name.strip(), file) for name in stated]
    time = places[0] if len(places) == 4 else None
    return Chosen((places[-3], places[-2], places[-1]), time)


def time_columns(header: Sequence[str]) -> list[int]:
    """The columns whose names are those of a time, such as name their unit first: they leave nothing to guess."""
    named = [column for column, name in enumerate(header) if _TIME_NAME.fullmatch(squeezed(name))]
    return sorted(named, key=lambda column: time_unit(header[column]) is None)


def unit_of(names: Sequence[str]) -> Unit | None:
    """The unit that all three names carry."""
    lowered = [re.sub(r"\s+", " ", name.lower()) for name in names]
    return next((unit for unit, pattern in _UNITS.items() if all(map(pattern.search, lowered))), None)


def gravity_of(names: Sequence[str]) -> bool | None:
    """Whether the three names say that gravity is in (a ratio of forces, `gF`, is by its definition) or taken out."""
    said = [squeezed(name) for name in names]
    if all(re.fullmatch(r"gf[xyz]", name) for name in said):
        return True
    return False if all(re.fullmatch(_FREE_NAMES, name) for name in said) else None


def time_unit(name: str) -> TimeUnit | None:
    """The unit that a time's name carries."""
    return next((unit for unit, pattern in _TIME_UNITS.items() if pattern.search(name.strip().lower())), None)


def in_seconds(times: Array, name: str) -> Array:
    """Seconds from the first sample; a unit that the name does not say follows from the usual step."""
    elapsed: Array = times - times[0]

    def usual_step() -> float:
        steps = np.diff(elapsed)
        return float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0

    return np.multiply(elapsed, second_in(name, usual_step))


def second_in(name: str, usual_step: Callable[[], float]) -> float:
    """What one of a time column's unit is in seconds, by its name or else by its usual step."""
    if (named := time_unit(name)) is not None:
        return _SECONDS[named]
    step = usual_step()
    # Sampling lies between 2 and 1,000 Hz, so the four ranges of steps do not overlap.
    return _SECONDS["s" if step <= 0.5 else "ms" if step <= 500 else "us" if step <= 500_000 else "ns"]


def squeezed(name: str) -> str:
    """A name without its unit, in small letters and nothing else."""
    return re.sub(r"[^a-z]", "", _UNIT_IN_NAME.sub("", name.strip().lower()))


def _axes(pattern: str, names: Sequence[str]) -> dict[str, list[int]] | None:
    found: dict[str, list[int]] = {"x": [], "y": [], "z": []}
    for column, name in enumerate(names):
        if match := re.fullmatch(pattern, name):
            found[next(filter(None, match.groupdict().values()))].append(column)
    return found if all(found.values()) else None


def _place(header: Sequence[str], width: int, stated: str, file: str | None) -> int:
    same = [column for column, name in enumerate(header) if name.strip().lower() == stated.lower()]
    if len(same) == 1:
        return same[0]
    if stated.isascii() and stated.isdecimal() and 1 <= int(stated[:9]) <= width:
        return int(stated) - 1
    said = (
        "is there twice; state its number" if same else f"is not there; it has {listed(header) or f'{width} columns'}"
    )
    raise DataError(f"the stated column {shortened(stated)!r} {said}", file=file, column=shortened(stated))


def _not_there(header: Sequence[str]) -> str:
    if any(_COUNTS.fullmatch(name.strip().lower()) for name in header):
        return f"counts or summaries an epoch ({listed(header)}), no raw acceleration; export the raw samples"
    return f"no accelerometer x, y and z among the columns {listed(header)}; name them x, y, z, or state the columns"
