"""`pskd classify --long` and `pskd classifications`: recordings of any length, labelled by a worker."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from client import output
from client.api import Client
from client.classifications import LongClassification, LongSummary
from client.errors import ClientError, Refused, Unreachable
from client.options import AsCsv, AsJson, service_of
from client.reading import Reading
from client.timeline import SegmentTable, print_overview
from client.uploads import with_bar

CLASSIFICATION_ID = "cls_"

CLASSIFICATIONS: output.Columns[LongSummary] = {
    "id": lambda each: each.id,
    "file": lambda each: each.filename,
    "model": lambda each: f"{each.model}/{each.version}",
    "state": lambda each: each.state,
    "progress": lambda each: f"{100 * each.progress:.0f} %",
    "created": lambda each: output.when(each.created_at),
}

ClassificationId = Annotated[
    str, typer.Argument(metavar="CLASSIFICATION", help="Its id, as `pskd classifications` shows it.")
]


class NotLabelled(ClientError):
    """A recording that was waited for has not been labelled."""

    remedy = "docs/recordings.md says what is read; hand it in again once it is mended"

    def __init__(self, found: LongSummary) -> None:
        super().__init__(f"{found.filename} ({found.id}) {found.state}" + (f": {found.detail}" if found.detail else ""))


class Printer:
    """Prints one labelled recording after another."""

    def __init__(self, service: Client, *, as_json: bool, as_csv: bool) -> None:
        self._service, self._as_json = service, as_json
        self._table = SegmentTable(sys.stdout) if as_csv else None

    def show(self, found: LongClassification, file: str) -> None:
        """The whole as it was asked for. Raises NotLabelled."""
        if self._as_json:
            output.print_json_line(found, file=file)
        if found.overview is None:
            raise NotLabelled(found)
        if self._table is not None:
            self._table.add(Path(file), self._service.segments(found.id))
        elif not self._as_json:
            print_overview(output.stdout(), f"{file} ({found.id})", found.overview)


def classify_long(
    service: Client, model: str, files: Sequence[Path], asked: Reading, *, as_json: bool, as_csv: bool
) -> None:
    """Hand in and wait, one file after the other; exits with 1 unless all were labelled."""
    printer = Printer(service, as_json=as_json, as_csv=as_csv)
    failures = [file for file in files if not _is_labelled(service, model, file, asked, printer)]
    if failures:
        raise typer.Exit(1)


def _is_labelled(service: Client, model: str, file: Path, asked: Reading, printer: Printer) -> bool:
    try:
        with file.open("rb") as opened, with_bar(opened, output.stderr()) as shown:
            found = service.classify_long(model, shown, filename=file.name, **asked)
        printer.show(_watched(service, found), str(file))
    except (NotLabelled, Refused) as error:
        output.report_error(error)
        return False
    return True


def _watched(service: Client, found: LongClassification) -> LongClassification:
    """It, once it has ended, with a bar on a terminal meanwhile."""
    console = output.stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task(escape(found.filename), total=1.0)
            for now in service.follow_classification(found.id):
                found = now
                progress.update(bar, completed=now.progress)
    except (KeyboardInterrupt, Unreachable):
        console.print(f"it goes on; `pskd classifications show {found.id}` shows it, `pskd cancel {found.id}` ends it")
        raise
    return found


classifications = typer.Typer(help="Long recordings that were handed in; without a command, all, newest first.")


@classifications.callback(invoke_without_command=True)
def list_classifications(
    ctx: typer.Context,
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    as_json: AsJson = False,
) -> None:
    """Long recordings that were handed in; without a command, all, newest first."""
    if ctx.invoked_subcommand is None:
        with service_of(ctx) as service:
            found = service.classifications(state=state)
            output.print_many(found, CLASSIFICATIONS, as_json=as_json, empty="none; `pskd classify --long FILE`")


@classifications.command("show")
def show_classification(
    ctx: typer.Context, classification: ClassificationId, as_json: AsJson = False, as_csv: AsCsv = False
) -> None:
    """Wait for one and show what was found."""
    with service_of(ctx) as service:
        found = _watched(service, service.classification(classification))
        Printer(service, as_json=as_json, as_csv=as_csv).show(found, found.filename)


@classifications.command("delete")
def delete_classification(ctx: typer.Context, classification: ClassificationId, as_json: AsJson = False) -> None:
    """Delete one that has ended, with its timeline."""
    with service_of(ctx) as service:
        output.print_deletion(service.delete_classification(classification), as_json=as_json)


def print_cancelled(found: LongClassification, *, as_json: bool) -> None:
    """One that is to end."""
    if as_json:
        output.print_json(found)
    else:
        output.stdout().print(f"{found.id}  {found.filename}  {found.state}", markup=False)
