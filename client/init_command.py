"""`pskd init`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from client import output
from client.commented import commented
from pskd_core.config import parse_spec
from pskd_core.errors import SpecError


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("job.yaml"),
    preset: Annotated[
        str | None, typer.Option(help="The recipe to begin with; default: the paper's, with defaults.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Id or name.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
) -> None:
    """Write a job spec with every field, and what it means, for `pskd submit`."""
    fields: dict[str, Any] = {"dataset": dataset} if dataset is not None else {}
    try:
        spec = parse_spec(fields | ({"preset": preset} if preset is not None else {}))
    except SpecError as unknown:
        raise typer.BadParameter(str(unknown)) from unknown
    try:
        with file.open("w" if force else "x", encoding="utf-8") as target:
            target.write(commented(spec))
    except FileExistsError as taken:
        raise typer.BadParameter(f"{file} is there already; name another file, or --force writes over it") from taken
    except OSError as refused:
        raise typer.BadParameter(f"{file} cannot be written: {refused.strerror}") from refused
    then = f"pskd submit {file}" if dataset is not None else f"name a dataset in it, then `pskd submit {file}`"
    output.stdout().print(f"{file} written; {then}", markup=False)
