"""`pskd jobs`."""

from typing import Annotated

import typer

from client import output
from client.options import AsJson, Force, service_of

JobId = Annotated[str, typer.Argument(metavar="JOB", help="Its id, as `pskd jobs` shows it.")]

jobs = typer.Typer(help="Jobs; without a command, all of them, newest first.")


@jobs.callback(invoke_without_command=True)
def list_jobs(
    ctx: typer.Context,
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    as_json: AsJson = False,
) -> None:
    """Jobs; without a command, all of them, newest first."""
    if ctx.invoked_subcommand is None:
        with service_of(ctx) as service:
            output.print_many(service.jobs(state=state), output.JOBS, as_json=as_json, empty="no jobs; `pskd submit`")


@jobs.command("delete")
def delete_job(ctx: typer.Context, job: JobId, force: Force = False, as_json: AsJson = False) -> None:
    """Delete an ended job; with --force its results leave the leaderboard, unless a model of it is served."""
    with service_of(ctx) as service:
        output.print_deletion(service.delete_job(job, force=force), as_json=as_json)
