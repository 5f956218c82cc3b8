"""Options that every command has, and the service that they name."""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Annotated

import typer

from client.api import Client
from client.errors import NotInstalled

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print a row a segment.")]
Columns = Annotated[
    str | None, typer.Option(metavar="X,Y,Z", help="Names or numbers (from 1) of x, y and z, or of the time and these.")
]
Force = Annotated[bool, typer.Option("--force", help="Remove along what refers to it.")]


@dataclass(frozen=True)
class Target:
    """Which service commands speak to, and the key that they bear."""

    url: str
    api_key: str | None = field(repr=False)


def service_of(ctx: typer.Context) -> Client:
    """The SDK on the service that the command line names."""
    target: Target = ctx.obj
    return Client(target.url, api_key=target.api_key)


def plots() -> ModuleType:
    """What draws into files. Raises NotInstalled."""
    try:
        from client import plot_files  # noqa: PLC0415 - an extra, and a second to import
    except ModuleNotFoundError as missing:
        raise NotInstalled(missing.name, what="plots", extra="plots") from missing
    return plot_files
