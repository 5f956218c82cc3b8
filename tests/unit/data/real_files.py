"""The table of real files in docs/recordings.md: `python -m tests.unit.data.real_files` writes it anew."""

from pathlib import Path

from pskd_core.data.recordings import SensorRecording, read_recording
from pskd_core.errors import DataError
from tests.data_paths import real_data
from tests.meta.project import ROOT

DOCUMENT = ROOT / "docs" / "recordings.md"
_HEAD = (
    "| file | format | columns | unit | rate | lasts | gravity | gaps | repairs and warnings |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)
_GRAVITY = {True: "yes", False: "no", None: "unclear"}


def table() -> str:
    """What each file is understood to be, read without anything stated."""
    files = sorted(real_data("recordings").iterdir())
    return _HEAD + "".join(f"| `{file.name}` | {' | '.join(_row(file))} |\n" for file in files)


def without_table(text: str) -> tuple[str, str]:
    """What stands before the table, and the table."""
    before, head, rows = text.partition(_HEAD)
    return before, head + rows


def _row(file: Path) -> list[str]:
    try:
        found = read_recording(file)
    except DataError as refused:
        return ["refused", *[""] * 6, str(refused).removeprefix(f"{file.name}, ")]
    return [
        f"`{found.format}`",
        ", ".join(found.columns),
        found.unit,
        f"{found.rate_hz:.1f} Hz, {found.rate_found}",
        f"{found.duration_s:.1f} s",
        _GRAVITY[found.gravity],
        f"{len(found.gaps)}",
        _said(found),
    ]


def _said(found: SensorRecording) -> str:
    return "; ".join((*found.repairs, *found.warnings)) or "–"


def main() -> None:
    """Write it."""
    before, _ = without_table(DOCUMENT.read_text(encoding="utf-8"))
    DOCUMENT.write_text(before + table(), encoding="utf-8")


if __name__ == "__main__":
    main()
