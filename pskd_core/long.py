"""A recording of any length in, its timeline out as files: in memory that does not grow with it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from pydantic import Field

from pskd_core.data.series import Unit
from pskd_core.data.streaming import read_long_recording
from pskd_core.fields import Frozen
from pskd_core.inference import Bundle, Overview, Timeline, mark_of, segments

WINDOWS_FILE, SEGMENTS_FILE = "windows.ndjson", "segments.ndjson"


class LongOverview(Overview):
    """A long recording as a whole."""

    windows: int
    segments: int
    shares: dict[str, float] = Field(description="of the recording's time, by label, largest first")


class Reading(Frozen):
    """How a recording is to be read and labelled; as the arguments of `read_recording` and `classify`."""

    rate_hz: float | None = None
    unit: Unit | None = None
    columns: tuple[str, ...] = ()
    top_k: int = 5
    overlap: float = 0.5
    smooth_s: float = 0.0


def classify_long(
    bundle: Bundle,
    path: Path,
    folder: Path,
    reading: Reading,
    *,
    filename: str | None = None,
    told: Callable[[float], None] = lambda _: None,
) -> LongOverview:
    """Label a recording that may not fit into memory, as `classify` does.

    Args:
        bundle: the model.
        path: the recording.
        folder: an empty one, which takes `windows.ndjson` and `segments.ndjson`, and meanwhile the samples.
        reading: how it is read and labelled.
        filename: for messages only.
        told: called with the share of the work that is done, again and again; what it raises ends it.

    Raises:
        DataError: as of `read_long_recording` and `classify`.
    """
    recording = read_long_recording(
        path,
        scratch=folder,
        filename=filename,
        rate_hz=reading.rate_hz,
        unit=reading.unit,
        columns=reading.columns,
        told=lambda share: told(share / 2),
    )
    timeline = Timeline(
        bundle,
        recording,
        top_k=reading.top_k,
        overlap=reading.overlap,
        smooth_s=reading.smooth_s,
        told=lambda share: told((1 + share) / 2),
    )
    marks = []
    with (folder / WINDOWS_FILE).open("w", encoding="utf-8") as file:
        for window in timeline.windows():
            file.write(window.model_dump_json() + "\n")
            marks.append(mark_of(window))
    count = _write_lines(folder / SEGMENTS_FILE, segments(marks, timeline.bounds))
    return LongOverview(
        **dict(timeline.overview(marks)),
        windows=len(marks),
        segments=count,
        shares=_shares([mark.label for mark in marks], timeline.bounds),
    )


def _write_lines(path: Path, records: Iterable[Frozen]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for count, record in enumerate(records, start=1):  # noqa: B007 - it is the answer
            file.write(record.model_dump_json() + "\n")
    return count


def _shares(labels: Sequence[str], bounds: Sequence[float]) -> dict[str, float]:
    took_s: dict[str, float] = defaultdict(float)
    for label, (start_s, end_s) in zip(labels, pairwise(bounds), strict=True):
        took_s[label] += end_s - start_s
    whole_s = bounds[-1] - bounds[0]
    return {label: took_s[label] / whole_s for label in sorted(took_s, key=took_s.__getitem__, reverse=True)}
