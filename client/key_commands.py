"""`pskd keys`."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from client import output
from client.options import AsJson, service_of
from client.output import Columns, when
from client.upkeep import Key

keys = typer.Typer(no_args_is_help=True, help="API keys of one's own tenant; needs a key with scope `admin`.")


class Scope(StrEnum):
    """What a key may let its bearer do; none includes another."""

    READ = "read"
    SUBMIT = "submit"
    CLASSIFY = "classify"
    PROMOTE = "promote"
    ADMIN = "admin"


def _end(key: Key) -> str:
    if key.revoked_at is not None:
        return f"revoked {when(key.revoked_at)}"
    return f"until {when(key.expires_at)}" if key.expires_at is not None else ""


KEYS: Columns[Key] = {
    "id": lambda key: key.id,
    "begins": lambda key: key.prefix,
    "name": lambda key: key.name,
    "scopes": lambda key: ", ".join(key.scopes),
    "last used": lambda key: when(key.last_used_at) if key.last_used_at is not None else "never",
    "end": _end,
}


@keys.command("create")
def create_key(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is, or what for.")],
    scope: Annotated[list[Scope], typer.Option(help="What its bearer may do; repeatable.")],
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="It expires after so many.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once."""
    until = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with service_of(ctx) as service:
        made = service.create_key(name, scope, expires_at=until)
    if as_json:
        output.print_json(made)
        return
    if made.key is None:
        output.stderr().print(f"{made.id} was made, but its key was lost on the way; revoke it and make another")
        raise typer.Exit(1)
    output.stderr().print(f"{made.id}; the key is not shown again:", markup=False)
    output.stdout().print(made.key, markup=False)


@keys.command("list")
def list_keys(ctx: typer.Context, as_json: AsJson = False) -> None:
    """All keys, newest first; revoked and expired ones too."""
    with service_of(ctx) as service:
        output.print_many(service.keys(), KEYS, as_json=as_json, empty="no keys; `pskd keys create`")


@keys.command("revoke")
def revoke_key(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id, as `pskd keys list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Let a key's bearer in no more."""
    with service_of(ctx) as service:
        revoked = service.revoke_key(key)
    if as_json:
        output.print_json(revoked)
    else:
        output.stdout().print(f"{revoked.id}  {revoked.name}  {_end(revoked)}", markup=False)
