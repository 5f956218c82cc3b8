"""Options that every command has."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Columns = Annotated[
    str | None, typer.Option(metavar="X,Y,Z", help="Names or numbers (from 1) of x, y and z, or of the time and these.")
]
