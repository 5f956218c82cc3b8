"""What a recording was understood to be, as answers and `pskd inspect` tell it."""

from pskd_core.data.recordings import RateFound, SensorRecording
from pskd_core.data.series import Format
from pskd_core.fields import Frozen


class Understood(Frozen):
    """How the recording was read; unit and columns are the file's, gaps are (start, end) in seconds."""

    format: Format
    samples: int
    duration_s: float
    rate_hz: float
    rate_found: RateFound
    unit: str
    columns: tuple[str, ...]
    time_column: str | None
    gravity: bool | None
    gaps: tuple[tuple[float, float], ...]
    repairs: tuple[str, ...]


class Inspection(Understood):
    """The same, without a model: with what is doubtful in the recording itself."""

    file: str
    warnings: tuple[str, ...]


def understood(recording: SensorRecording) -> Understood:
    """All of a recording but its samples."""
    return Understood(**_fields(recording))


def inspected(recording: SensorRecording, *, file: str) -> Inspection:
    """All of a recording but its samples, and its doubts."""
    return Inspection(file=file, warnings=recording.warnings, **_fields(recording))


def _fields(recording: SensorRecording) -> dict[str, object]:
    found = {name: getattr(recording, name) for name in Understood.model_fields if name != "samples"}
    return {**found, "samples": len(recording.values_g)}
