"""`pskd inspect`: what a recording is understood to be, without a service."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from client import output
from client.errors import ClientError
from client.options import AsJson, Columns
from pskd_core.data.recordings import read_recording
from pskd_core.data.series import Unit
from pskd_core.data.understood import Inspection, inspected
from pskd_core.errors import DataError


class NoRecording(ClientError):
    """A file that holds no acceleration that can be used."""

    remedy = "mend what is named above; --unit, --rate-hz and --columns say what the file does not"


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False)],
    rate_hz: Annotated[float | None, typer.Option(help="Samples a second, if the file does not say.")] = None,
    unit: Annotated[str | None, typer.Option(help="g, m/s^2, mg or g/64, if the file does not say.")] = None,
    columns: Columns = None,
    as_json: AsJson = False,
) -> None:
    """Say what a recording is understood to be; needs neither a model nor a service."""
    known: dict[str, Unit] = {each: each for each in get_args(Unit)}
    if unit is not None and unit not in known:
        raise typer.BadParameter(f"{unit!r} is none of {', '.join(known)}", param_hint="--unit")
    stated = known[unit] if unit is not None else None
    try:
        recording = read_recording(file, rate_hz=rate_hz, unit=stated, columns=columns.split(",") if columns else ())
    except DataError as refused:
        raise NoRecording(str(refused)) from refused
    except OSError as unreadable:
        raise NoRecording(f"{file} cannot be read: {unreadable.strerror}") from unreadable
    found = inspected(recording, file=str(file))
    if as_json:
        output.print_json(found)
    else:
        _print(found)


def _print(found: Inspection) -> None:
    gravity = {True: "there", False: "taken out", None: "cannot be told"}[found.gravity]
    rows = [
        ("format", found.format),
        ("columns", ", ".join(found.columns)),
        ("unit", found.unit),
        ("rate", f"{found.rate_hz:.2f} Hz ({found.rate_found})"),
        ("duration", f"{found.duration_s:.2f} s, {found.samples} samples"),
        ("gravity", gravity),
        ("gaps", f"{len(found.gaps)}"),
        *(("repair", repair) for repair in found.repairs),
        *(("warning", warning) for warning in found.warnings),
    ]
    output.stdout().print(found.file, style="bold", markup=False)
    for line in output.aligned([("", *row) for row in rows]):
        output.stdout().print(line, markup=False, soft_wrap=True)
