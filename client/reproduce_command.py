"""`pskd reproduce`: an experiment of the paper on the service, and its report on this machine."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from client import output
from client.errors import NotInstalled
from client.options import service_of
from pskd_core.experiments import ExperimentName, parse_seeds

_NAMES = ", ".join(get_args(ExperimentName))


def reproduce(
    ctx: typer.Context,
    experiment: Annotated[ExperimentName, typer.Argument(metavar="EXPERIMENT", help=f"{_NAMES}.")],
    dataset: Annotated[str, typer.Option(help="Id or name.")],
    seeds: Annotated[str, typer.Option(metavar="N|0,1,…", help="How many, or which.")] = "3",
    protocol: Annotated[str, typer.Option(help="cross_subject, loso, inner_loso, …; default: cross_subject.")] = "",
    subjects: Annotated[str, typer.Option(metavar="1,3,…", help="For loso and inner_loso.")] = "",
    preset: Annotated[str, typer.Option(help="The recipe; default: the dataset's own headline, else demo.")] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="[ROW:]PATH=VALUE", help="Such as sp:method.loss.weight=30; repeatable."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where reports go.")] = Path("reports"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Run an experiment of the paper as jobs and write a report; a repeated command finds its jobs."""
    try:
        from client.reproduce import Request, reproduce_on  # noqa: PLC0415  # plots are an extra
        from pskd_core.report.markdown import sentences  # noqa: PLC0415
        from pskd_core.report.write import write_report  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise NotInstalled(missing.name, what="reports", extra="plots") from missing
    asked = Request(
        experiment,
        seeds=_seeds(seeds),
        protocol=protocol or None,
        subjects=subjects.split(",") if subjects else (),
        preset=preset or None,
        settings=settings or (),
    )
    with service_of(ctx) as service:
        ready = service.wait_for_dataset(service.find_dataset(dataset).id)
        report = reproduce_on(service, ready, asked, output.stderr())
    written = write_report(report, out / experiment)
    if as_json:
        output.print_json(report)
    else:
        for sentence in sentences(report):
            output.stdout().print(f"- {sentence}", markup=False)
    output.stderr().print(f"written to {written}", markup=False)


def _seeds(text: str) -> list[int]:
    try:
        return parse_seeds(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither a number nor a list of them", param_hint="--seeds") from error
