"""Text formats of single loggers that need more than the names of their columns: what is before, around and in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from pskd_core.data.headers import squeezed
from pskd_core.data.problems import listed
from pskd_core.data.series import Format, Unit
from pskd_core.errors import DataError

_ACTIGRAPH = re.compile(r'"?-+ Data File Created By ActiGraph')
_ACTIGRAPH_LINES = 30  # of its header there are 10
_ACTIGRAPH_RATE = re.compile(r"\bat (\d{1,4}) Hz")
_EPOCH = re.compile(r"Epoch Period \(hh:mm:ss\) (\d\d:\d\d:\d\d)")
_WISDM = re.compile(r"\d+,[A-Za-z]+,\d+(?:,-?[\d.]+(?:[eE]-?\d+)?){3};?")
_WISDM_NAMES = ("user", "activity", "timestamp", "x", "y", "z")
_EARLIEST_S = 1e8  # a start time, in Unix seconds: no sensor's count is as large


@dataclass(frozen=True, slots=True)
class Layout:
    """A text whose table begins after `skip` lines; what its format says of it."""

    text: str
    skip: int = 0
    format: Format = "table"
    names: tuple[str, ...] | None = None  # of columns, where the format has them and the file does not
    unit: Unit | None = None
    rate_hz: float | None = None  # as its header says


def recognised(text: str, file: str | None) -> Layout:
    """The layout of a text that its first lines tell.

    Raises:
        DataError: it holds counts, or the recordings of several persons.
    """
    lines = [line.strip() for line in islice(filter(str.strip, _lines(text)), 2)]
    if lines and _ACTIGRAPH.match(lines[0]):
        return _actigraph(text, file)
    if lines and _WISDM.fullmatch(lines[0]):
        return _wisdm(text, file)
    if len(lines) == 2 and (rate_hz := _empatica_rate(lines)):
        return Layout(text, skip=2, format="empatica_e4", unit="g/64", rate_hz=rate_hz)
    return Layout(text)


def format_of(header: Sequence[str]) -> Format:
    """The logger that names its columns so."""
    names = [name.strip().lower() for name in header]
    plain = set(map(squeezed, names))
    if names[:2] == ["time", "seconds_elapsed"]:
        return "sensor_logger"
    if names[0].startswith("loggingtime(") or "accelerometeraccelerationx(g)" in names:
        return "sensorlog"
    if "time since start in ms" in names and {"accelerometerx", "linearaccelerationx"} & plain:
        return "androsensor"
    if {"gfx", "gfy", "gfz"} <= plain or names == ["time", "ax", "ay", "az", "at"]:
        return "physics_toolbox"
    if "time (s)" in names and {"acceleration x (m/s^2)", "linear acceleration x (m/s^2)"} & set(names):
        return "phyphox"
    if any(name.startswith("shimmer") and "_cal" in name for name in names):
        return "shimmer_consensys"
    return "table"


def unit_of_format(found: Format, columns: Sequence[str]) -> Unit | None:
    """The unit of a logger that does not write it into its names."""
    plain_axes = all(re.fullmatch(r"a[xyz]", squeezed(name)) for name in columns)
    return "m/s^2" if found == "sensor_logger" or (found == "physics_toolbox" and plain_axes) else None


def doubts_of_format(found: Format, *, unit_stated: bool) -> tuple[str, ...]:
    """What is particular to a logger and makes what it wrote doubtful."""
    if found == "sensorlog":
        return ("iOS counts acceleration the other way round than most sensors do: at rest, up is negative",)
    if found == "sensor_logger" and not unit_stated:
        return ("Sensor Logger names neither sensor nor unit; acceleration in m/s^2 was taken: state the unit if not",)
    return ()


def _lines(text: str) -> list[str]:
    """The first lines, each cut to a length that a pattern may look at."""
    return [line[:1000] for line in text[:100_000].split("\n", _ACTIGRAPH_LINES + 1)[: _ACTIGRAPH_LINES + 1]]


def _actigraph(text: str, file: str | None) -> Layout:
    lines = _lines(text)
    first = next(index for index, line in enumerate(lines) if line.strip())
    last = next(
        (index for index, line in enumerate(lines) if index > first and line.strip('"').startswith("---")), None
    )
    if last is None:
        detail = "an ActiLife header that does not end; export it again"
        raise DataError(detail, file=file, row=first + 1)
    header = "\n".join(lines[first:last])
    if (epoch := _EPOCH.search(header)) and epoch[1] != "00:00:00":
        detail = f"activity counts an epoch of {epoch[1]}, no raw acceleration; export raw data from ActiLife"
        raise DataError(detail, file=file, row=header[: epoch.start()].count("\n") + first + 1)
    rate = _ACTIGRAPH_RATE.search(header)
    rate_hz = float(rate[1]) if rate else None
    return Layout(text, skip=last + 1, format="actigraph_csv", unit="g", rate_hz=rate_hz)


def _wisdm(text: str, file: str | None) -> Layout:
    users = sorted(set(re.findall(r"^\s*(\d+),", text, flags=re.MULTILINE)))
    if len(users) > 1:
        raise DataError(f"recordings of {len(users)} users ({listed(users)}); send those of one", file=file)
    ended = re.sub(r"[;,\t ]+$", "", text, flags=re.MULTILINE)
    return Layout(ended, format="wisdm", names=_WISDM_NAMES, unit="m/s^2")


def _empatica_rate(lines: Sequence[str]) -> float | None:
    """The rate in a file that begins with a start time and a rate, each once an axis."""
    try:
        starts, rates = (set(map(float, line.split(","))) for line in lines)
    except ValueError:
        return None
    if len(starts) != 1 or len(rates) != 1 or lines[0].count(",") != 2 or lines[1].count(",") != 2:
        return None
    start_s, rate_hz = starts.pop(), rates.pop()
    return rate_hz if start_s > _EARLIEST_S and 1 <= rate_hz <= 1000 else None
