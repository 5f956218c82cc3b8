"""`pskd sweep` and `pskd sweeps`."""

from pathlib import Path
from typing import Annotated

import typer

from client import output
from client.answers import Sweep
from client.api import Client
from client.options import AsJson, Force, plots, service_of
from client.specfile import BadSpecFile, read_mapping
from client.sweep_output import SWEEPS, SweepNotSucceeded, print_estimate, print_sweep, watch_sweep, write_best

SWEEP_ID = "swp_"


def sweep(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="SWEEP.yaml|ID", help="A sweep to start, or one that was started.")],
    best: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the best trial's spec there.")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="STEM", help="Draw the heat map into STEM.png and STEM.svg.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and count only.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until it has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a sweep, or look at one: its trials by validation score, a heat map, the best spec."""
    with service_of(ctx) as service:
        if what.startswith(SWEEP_ID):
            found = service.sweep(what)
        else:
            try:
                body = read_mapping(Path(what), such_as="`base:` and `space:`")
            except BadSpecFile as error:
                raise typer.BadParameter(str(error)) from error
            if dry_run:
                print_estimate(service.estimate_sweep(body), as_json=as_json)
                return
            found = service.submit_sweep(body)
        if wait:
            found = _watch_sweep(service, found, as_json=as_json)
        print_sweep(found, as_json=as_json)
    if plot is not None:
        plots().plot_sweep(found, plot)
    if best is not None:
        write_best(found, best)
    if wait and found.state != "succeeded":
        raise SweepNotSucceeded(found)


def _watch_sweep(service: Client, found: Sweep, *, as_json: bool) -> Sweep:
    if as_json:
        *_, found = service.follow_sweep(found.id)
        return found
    try:
        return watch_sweep(service, found)
    except KeyboardInterrupt:
        output.stderr().print(
            f"the sweep goes on; `pskd sweep {found.id} --wait` shows it again, `pskd cancel` ends it"
        )
        raise


sweeps = typer.Typer(help="Sweeps; without a command, all of them, newest first.")


@sweeps.callback(invoke_without_command=True)
def list_sweeps(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Sweeps; without a command, all of them, newest first."""
    if ctx.invoked_subcommand is None:
        with service_of(ctx) as service:
            output.print_many(service.sweeps(), SWEEPS, as_json=as_json, empty="no sweeps; `pskd sweep`")


@sweeps.command("delete")
def delete_sweep(
    ctx: typer.Context,
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="Its id, as `pskd sweeps` shows it.")],
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Delete an ended sweep; with --force the jobs of its trials and their results go along."""
    with service_of(ctx) as service:
        output.print_deletion(service.delete_sweep(sweep, force=force), as_json=as_json)
