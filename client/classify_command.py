"""`pskd classify`: what recordings or live samples show, on paper, as JSON or as a table."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from client import output
from client.answers import Classification
from client.api import Client
from client.errors import Refused
from client.live import Asked
from client.live_command import classify_live
from client.long_command import classify_long
from client.options import AsCsv, AsJson, Columns, plots, service_of
from client.reading import Reading
from client.timeline import SegmentTable, print_timeline

Show = Callable[[Path, Classification], None]


def classify(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE…", exists=True, dir_okay=False, help="Table, array, or a logger's file."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Its name; default: the only one there is.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Default: the champion.")] = None,
    alias: Annotated[str | None, typer.Option(help="Such as champion.")] = None,
    rate_hz: Annotated[float | None, typer.Option(help="Samples a second, if the file does not say.")] = None,
    unit: Annotated[str | None, typer.Option(help="g, m/s^2, mg or g/64, if the file does not say.")] = None,
    columns: Columns = None,
    overlap: Annotated[float | None, typer.Option(help="Part of a window that the next shares; default: 0.5.")] = None,
    smooth_s: Annotated[float | None, typer.Option(help="Average findings over so many seconds; default: 0.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw each recording and its labels into files there.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Label lines x,y,z or t,x,y,z (t in seconds) as they come on standard input.")
    ] = False,
    long: Annotated[
        bool,
        typer.Option("--long", help="FILEs of any length, labelled by a worker; `pskd classifications` lists them."),
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="With --live: little-endian float32 x, y, z, no lines.")] = False,
) -> None:
    """Label recordings of an accelerometer, or its samples as they come; with --json one object a line."""
    if as_json and as_csv:
        raise typer.BadParameter("choose --json or --csv")
    if long and plot:
        raise typer.BadParameter("--long draws no plot")
    _check_input(live, raw, bool(files), others=bool(files or columns or as_csv or plot or long))
    with service_of(ctx) as service:
        name = model or _only_model(service)
        if live:
            if rate_hz is None or unit is None:
                raise typer.BadParameter("--live needs --rate-hz and --unit, which samples do not say")
            asked = Asked(rate_hz=rate_hz, unit=unit, version=version, alias=alias, overlap=overlap, smooth_s=smooth_s)
            classify_live(service, name, asked, raw=raw, as_json=as_json)
            return

        options: Reading = {
            "version": version,
            "alias": alias,
            "rate_hz": rate_hz,
            "unit": unit,
            "columns": columns,
            "overlap": overlap,
            "smooth_s": smooth_s,
        }
        if long:
            classify_long(service, name, files or (), options, as_json=as_json, as_csv=as_csv)
            return

        def ask(file: Path) -> Classification:
            return service.classify(name, file, **options)

        show: Show = _shown_as_json if as_json else SegmentTable(sys.stdout) if as_csv else _shown
        if plot is not None:
            show = _drawn(show, partial(plots().plot_timeline, folder=plot, unit=unit, columns=columns))
        failures = [file for file in files or () if not _classified(ask, file, show)]
    if failures:
        raise typer.Exit(1)


def _check_input(live: bool, raw: bool, files: bool, *, others: bool) -> None:
    """Files or standard input, and of the options only those that go with it."""
    if live and others:
        raise typer.BadParameter("--live reads standard input: leave out FILE, --columns, --csv, --plot and --long")
    if not live and (raw or not files):
        raise typer.BadParameter("--raw goes with --live" if raw else "name a FILE, or let --live read standard input")


def _only_model(service: Client) -> str:
    names = [model.name for model in service.models()]
    if len(names) != 1:
        known = f"there are {', '.join(names)}" if names else "there is none yet; `pskd submit` trains one"
        raise typer.BadParameter(f"name the model with --model: {known}")
    return names[0]


def _shown_as_json(file: Path, answer: Classification) -> None:
    output.print_json_line(answer, file=str(file))


def _shown(file: Path, answer: Classification) -> None:
    print_timeline(output.stdout(), str(file), answer)


def _drawn(show: Show, draw: Show) -> Show:
    def both(file: Path, answer: Classification) -> None:
        show(file, answer)
        draw(file, answer)

    return both


def _classified(ask: Callable[[Path], Classification], file: Path, show: Show) -> bool:
    """Prints the answer, or what is wrong with the file; says which it was."""
    try:
        answer = ask(file)
    except Refused as error:
        output.report_error(error)
        return False
    show(file, answer)
    return True
