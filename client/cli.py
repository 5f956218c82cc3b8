"""`pskd`: the service from a shell. Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 no service answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from client import output
from client.answers import Dataset, Estimate, Job
from client.api import Client
from client.asking import DEFAULT_URL
from client.backup_commands import backup, restore
from client.classify_command import classify
from client.comparison import print_comparison
from client.doctor_command import doctor
from client.errors import ClientError, NotInstalled, Unreachable
from client.home import default_home, owner_of
from client.init_command import init
from client.inspect_command import inspect
from client.job_commands import JobId, jobs
from client.key_commands import keys
from client.long_command import CLASSIFICATION_ID, classifications, print_cancelled
from client.model_commands import models, promote
from client.options import AsJson, Force, Target, service_of
from client.ports import MLFLOW_PORT, PORT
from client.reproduce_command import reproduce
from client.specfile import BadSpecFile, read_spec
from client.sweep_commands import SWEEP_ID, sweep, sweeps
from client.sweep_output import print_sweep
from client.template import write_template
from client.uploads import as_zip, with_bar
from client.usage_command import usage
from client.watch import watch as watch_jobs
from client.webhook_commands import webhooks

FAILED, UNREACHABLE, INTERRUPTED = 1, 3, 130


class Commands(TyperGroup):
    """Turns what goes wrong into a message with a remedy, and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except ClientError as error:
            output.report_error(error)
            raise typer.Exit(UNREACHABLE if isinstance(error, Unreachable) else FAILED) from error
        except KeyboardInterrupt as interrupted:
            raise typer.Exit(INTERRUPTED) from interrupted


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Distils skeleton knowledge into a wearable's network, ranks the results and classifies recordings.",
)
datasets = typer.Typer(no_args_is_help=True, help="Import datasets and look at them.")
app.add_typer(datasets, name="dataset")

RowId = Annotated[str, typer.Argument(metavar="ROW", help="Its id, as `pskd leaderboard` shows it.")]


@app.callback()
def options(
    ctx: typer.Context,
    url: Annotated[
        str | None, typer.Option(envvar="PSKD_URL", help=f"Default: where `pskd up` runs, else {DEFAULT_URL}.")
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="PSKD_API_KEY", show_default=False, help="Others see it here; the variable hides it."),
    ] = None,
) -> None:
    """What holds for every command."""
    ctx.obj = Target(url or owner_of(default_home()).get("url") or DEFAULT_URL, api_key)


# --- The embedded stack -------------------------------------------------------------------------------------------


@app.command()
def up(
    home: Annotated[
        Path | None, typer.Option(envvar="PSKD_HOME", help="Folder of all state.  [default: ~/.pskd]")
    ] = None,
    host: Annotated[str, typer.Option(envvar="PSKD_HOST", help="Address the service listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PSKD_PORT", min=0, max=65535, help="0: any free port.")] = PORT,
    mlflow_port: Annotated[
        int, typer.Option(envvar="PSKD_MLFLOW_PORT", min=0, max=65535, help="Another free port if it is taken.")
    ] = MLFLOW_PORT,
    runs_at_once: Annotated[
        int | None, typer.Option(min=1, envvar="PSKD_RUNS_AT_ONCE", help="Default: processor cores.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start everything on this machine, until Ctrl-C."""
    try:
        from client.up import run_stack  # noqa: PLC0415  # a client of a service elsewhere is installed without a broker
    except ModuleNotFoundError as missing:
        raise NotInstalled(missing.name, what="the parts of the stack", extra="embedded") from missing
    run_stack(
        home or default_home(),
        host=host,
        port=port,
        mlflow_port=mlflow_port,
        runs_at_once=runs_at_once,
        as_json=as_json,
    )


app.command()(backup)
app.command()(restore)
app.command()(doctor)


# --- Datasets -----------------------------------------------------------------------------------------------------


@datasets.command("add")
def add_dataset(
    ctx: typer.Context,
    source: Annotated[
        Path | None, typer.Argument(metavar="PATH", exists=True, help="A folder or zip, such as UTD-MHAD.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Default: the file's name.")] = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Generate one instead.")] = False,
    seed: Annotated[int, typer.Option(help="Of the generated one.")] = 0,
    by_path: Annotated[bool, typer.Option("--by-path", help="Let the service read PATH itself.")] = False,
    wait: Annotated[bool, typer.Option(help="Until it has been read and checked.")] = True,
    as_json: AsJson = False,
) -> None:
    """Import a dataset."""
    if synthetic == (source is not None):
        raise typer.BadParameter("give either a PATH or --synthetic")
    with service_of(ctx) as service:
        if source is None:
            dataset = service.import_synthetic(name or "synthetic", seed=seed)
        elif by_path:
            dataset = service.import_path(source, name=name or source.resolve().stem)
        else:
            dataset = _upload(service, source.resolve(), name)
        if wait:
            with output.stderr().status(f"importing {dataset.name}"):
                dataset = service.wait_for_dataset(dataset.id)
        _print_dataset(dataset, as_json=as_json)


def _upload(service: Client, source: Path, name: str | None) -> Dataset:
    with as_zip(source) as file, with_bar(file, output.stderr()) as shown:
        return service.upload_dataset(shown, name=name or source.stem, filename=f"{source.stem}.zip")


@datasets.command("template")
def template_dataset(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is not there yet, or is empty.")],
) -> None:
    """Write an example of one's own data, which can be imported as it is; docs/own-data.md explains it."""
    try:
        write_template(folder)
    except OSError as error:
        raise typer.BadParameter(f"{folder} cannot be written: {error.strerror}", param_hint="DIR") from error
    output.stderr().print(
        f"put your recordings in the place of these, then `pskd dataset add {folder}`", soft_wrap=True
    )


@datasets.command("list")
def list_datasets(ctx: typer.Context, as_json: AsJson = False) -> None:
    """All datasets, newest first."""
    with service_of(ctx) as service:
        output.print_many(service.datasets(), output.DATASETS, as_json=as_json, empty="no datasets; `pskd dataset add`")


@datasets.command("show")
def show_dataset(
    ctx: typer.Context,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Id or name.")],
    as_json: AsJson = False,
) -> None:
    """What an import found: classes, subjects, protocols, problems."""
    with service_of(ctx) as service:
        _print_dataset(service.find_dataset(dataset), as_json=as_json)


@datasets.command("delete")
def delete_dataset(
    ctx: typer.Context,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Id or name.")],
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Delete a dataset; with --force its sweeps and jobs with their results go along."""
    with service_of(ctx) as service:
        found = service.find_dataset(dataset)
        output.print_deletion(service.delete_dataset(found.id, force=force), as_json=as_json)


def _print_dataset(dataset: Dataset, *, as_json: bool) -> None:
    if as_json:
        output.print_json(dataset)
    else:
        output.print_dataset(dataset)


# --- Jobs ---------------------------------------------------------------------------------------------------------


app.command()(init)


@app.command()
def submit(
    ctx: typer.Context,
    spec: Annotated[Path | None, typer.Argument(metavar="SPEC.yaml", help="A job spec.")] = None,
    preset: Annotated[str | None, typer.Option(help="A recipe that comes with the service.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Id or name.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Such as 0,1,2.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Such as training.epochs=10; repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and estimate only.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until it has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a job: a spec file, or a preset, with single fields laid over it."""
    if spec is None and preset is None:
        raise typer.BadParameter("give a SPEC.yaml or --preset NAME")
    named = [f"seeds=[{seeds}]"] if seeds is not None else []
    try:
        body = read_spec(spec, preset=preset, settings=[*named, *(settings or [])])
    except BadSpecFile as error:
        raise typer.BadParameter(str(error)) from error
    if dataset is not None:  # a name, never a value to be parsed
        body["dataset"] = dataset
    with service_of(ctx) as service:
        if dry_run:
            _print_estimate(service.estimate(body), as_json=as_json)
            return
        job = service.submit(body)
        if wait:
            _watch(service, job, as_json=as_json)
        else:
            _print_job(job, as_json=as_json, hint=f"`pskd watch {job.id}` shows its progress")


app.add_typer(jobs, name="jobs")


@app.command()
def watch(ctx: typer.Context, job: JobId, as_json: AsJson = False) -> None:
    """Show a job's progress until it has ended; with --json every event, one a line."""
    with service_of(ctx) as service:
        _watch(service, service.job(job), as_json=as_json)


def _watch(service: Client, job: Job, *, as_json: bool) -> None:
    """Exits with 1 unless the job succeeded."""
    if as_json:
        for event in service.follow(job.id):
            output.print_json_line(event)
        ended = service.job(job.id)
    else:
        try:
            (ended,) = watch_jobs(service, [job])
        except KeyboardInterrupt:
            output.stderr().print(f"the job goes on; `pskd watch {job.id}` shows it again, `pskd cancel` ends it")
            raise
        output.print_many(service.runs(job.id), output.RUNS, as_json=False, empty="no runs")
    if ended.state != "succeeded":
        raise JobNotSucceeded(ended)


class JobNotSucceeded(ClientError):
    """A job that was waited for ended otherwise."""

    remedy = "`pskd retry` runs its failed runs again from their checkpoints"

    def __init__(self, job: Job) -> None:
        super().__init__(f"job {job.id} {job.state}" + (f" ({job.cause}): {job.detail}" if job.cause else ""))


@app.command()
def cancel(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(metavar="ID", help="Of a job, a sweep or a long recording.")],
    as_json: AsJson = False,
) -> None:
    """End a job, a sweep with the jobs of its trials, or the labelling of a recording; finished runs stay."""
    if job.startswith(SWEEP_ID):
        with service_of(ctx) as service:
            print_sweep(service.cancel_sweep(job), as_json=as_json)
    elif job.startswith(CLASSIFICATION_ID):
        with service_of(ctx) as service:
            print_cancelled(service.cancel_classification(job), as_json=as_json)
    else:
        _ask(ctx, Client.cancel, job, as_json=as_json)


@app.command()
def pause(ctx: typer.Context, job: JobId, as_json: AsJson = False) -> None:
    """Stop a job at a checkpoint."""
    _ask(ctx, Client.pause, job, as_json=as_json)


@app.command()
def resume(ctx: typer.Context, job: JobId, as_json: AsJson = False) -> None:
    """Let a paused job go on from its checkpoints."""
    _ask(ctx, Client.resume, job, as_json=as_json)


@app.command()
def retry(ctx: typer.Context, job: JobId, as_json: AsJson = False) -> None:
    """Run a failed job's failed runs again, from their checkpoints."""
    _ask(ctx, Client.retry, job, as_json=as_json)


def _ask(ctx: typer.Context, what: Callable[[Client, str], Job], job: str, *, as_json: bool) -> None:
    with service_of(ctx) as service:
        _print_job(what(service, job), as_json=as_json)


def _print_job(job: Job, *, as_json: bool, hint: str = "") -> None:
    if as_json:
        output.print_json(job)
    else:
        output.stdout().print(f"{job.id}  {job.name or '(no name)'}  {job.state}", markup=False)
        if hint:
            output.stderr().print(hint, style="dim")


def _print_estimate(estimate: Estimate, *, as_json: bool) -> None:
    if as_json:
        output.print_json(estimate)
    else:
        runs = "once the dataset is ready" if estimate.runs is None else f"{estimate.runs} runs, {estimate.steps} steps"
        output.stdout().print(f"the spec is right: {estimate.epochs} epochs a run, {runs}", markup=False)


# --- Sweeps -------------------------------------------------------------------------------------------------------

app.command()(sweep)
app.add_typer(sweeps, name="sweeps")


# --- Results ------------------------------------------------------------------------------------------------------


@app.command()
def leaderboard(
    ctx: typer.Context,
    dataset: Annotated[str | None, typer.Option(help="Id, name or content digest.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Such as cross_subject.")] = None,
    method: Annotated[str | None, typer.Option(help="Such as pskd or none.")] = None,
    sort: Annotated[str | None, typer.Option(help="Such as parameters; a leading minus: highest first.")] = None,
    against: Annotated[str | None, typer.Option(metavar="ROW", help="Show how much each row differs from it.")] = None,
    published: Annotated[bool, typer.Option("--published", help="Show what the paper prints, apart.")] = False,
    as_json: AsJson = False,
) -> None:
    """Configurations over their seeds, best accuracy first."""
    with service_of(ctx) as service:
        rows = service.leaderboard(dataset=dataset, protocol=protocol, method=method, sort=sort, against=against)
        if published and as_json:
            output.print_json_lists({"measured": rows, "published": service.published(dataset=dataset)})
        else:
            columns = output.LEADERBOARD if against is None else output.AGAINST
            output.print_many(rows, columns, as_json=as_json, empty="nothing has been tested yet")
            if published:
                output.print_published(service.published(dataset=dataset))


@app.command()
def compare(ctx: typer.Context, a: RowId, b: RowId, as_json: AsJson = False) -> None:
    """Two rows of the leaderboard, seed by seed and recording by recording."""
    with service_of(ctx) as service:
        found = service.compare(a, b)
        if as_json:
            output.print_json(found)
        else:
            print_comparison(found)


app.command()(reproduce)


app.add_typer(models, name="models")
app.add_typer(webhooks, name="webhooks")
app.command()(promote)
app.add_typer(keys, name="keys")
app.command()(usage)


app.command()(inspect)
app.command()(classify)
app.add_typer(classifications, name="classifications")
