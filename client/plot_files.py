"""What commands draw into files; imported where they do, since plots are an extra."""

from pathlib import Path

from client.answers import Classification, Sweep
from client.errors import ClientError
from client.sweep_output import METRIC_TITLES, short_names, value_text
from pskd_core.data.recordings import read_recording
from pskd_core.data.series import Unit
from pskd_core.plots import heat_map, save, timeline

UNKNOWN = "unknown"


class NothingToPlot(ClientError):
    """A sweep has no two parameters with choices."""

    remedy = "a heat map needs two parameters with `choices`"


def plot_timeline(file: Path, answer: Classification, folder: Path, *, unit: Unit | None, columns: str | None) -> None:
    """Write the recording with its segments as PNG and SVG, named as the recording is."""
    understood = answer.input
    recording = read_recording(
        file, rate_hz=understood.rate_hz if understood.rate_found == "stated" else None, unit=unit,
        columns=columns.split(",") if columns else (),
    )  # fmt: skip
    segments = [(segment.start_s, segment.end_s, segment.label) for segment in answer.segments]
    folder.mkdir(parents=True, exist_ok=True)
    figure = timeline(
        recording.values_g, recording.rate_hz, segments, title=f"{file.name}: {answer.label}", muted=UNKNOWN
    )
    save(figure, folder / file.stem)


def plot_sweep(sweep: Sweep, stem: Path) -> None:
    """Write the heat map as PNG and SVG. Raises NothingToPlot."""
    found = sweep.heat_map
    if found is None:
        raise NothingToPlot(f"sweep {sweep.id} has no heat map")
    names = short_names(list(sweep.spec["space"]))
    values = [[None if value is None else 100 * value for value in row] for row in found.mean]
    figure = heat_map(
        values,
        across=(names[found.x], [value_text(value) for value in found.x_values]),
        up=(names[found.y], [value_text(value) for value in found.y_values]),
        title=f"{sweep.name or sweep.id}: {METRIC_TITLES[sweep.metric]}, mean over the other parameters",
    )
    stem.parent.mkdir(parents=True, exist_ok=True)
    save(figure, stem)
