"""`pskd models` and `pskd promote`."""

from typing import Annotated

import typer

from client import output
from client.options import AsJson, service_of

Name = Annotated[str, typer.Argument(metavar="MODEL", help="Its name, as `pskd models` shows it.")]

models = typer.Typer(help="Registered models; without a command, all of them.")


@models.callback(invoke_without_command=True)
def list_models(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Registered models; without a command, all of them."""
    if ctx.invoked_subcommand is None:
        with service_of(ctx) as service:
            output.print_many(service.models(), output.MODELS, as_json=as_json, empty="no models yet; `pskd submit`")


@models.command("show")
def show_model(ctx: typer.Context, model: Name, as_json: AsJson = False) -> None:
    """Which versions a model's aliases have named, when, by whom and why."""
    with service_of(ctx) as service:
        output.print_many(service.history(model), output.HISTORY, as_json=as_json, empty="no alias was ever moved")


@models.command("delete")
def delete_model(
    ctx: typer.Context,
    model: Name,
    version: Annotated[int | None, typer.Option(min=1, help="Only this one.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if an alias names it, which goes too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a model, or one version of it; the jobs that it comes from stay."""
    with service_of(ctx) as service:
        output.print_deletion(service.delete_model(model, version=version, force=force), as_json=as_json)


def promote(
    ctx: typer.Context,
    model: Name,
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1)],
    alias: Annotated[str, typer.Option(help="What is to name this version.")] = "champion",
    force: Annotated[bool, typer.Option("--force", help="Even if it is worse than what it replaces.")] = False,
    reason: Annotated[str | None, typer.Option(help="Kept in the history; --force needs it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let an alias name another version; to roll back is to promote the former one."""
    if force and reason is None:
        raise typer.BadParameter("say why with --reason", param_hint="--force")
    with service_of(ctx) as service:
        moved = service.promote(model, version, alias=alias, force=force, reason=reason)
        if as_json:
            output.print_json(moved)
        else:
            output.stdout().print(f"{model}: {moved.alias} is version {moved.version}", markup=False)
