"""What `pskd doctor` prints."""

from pathlib import Path
from typing import Annotated

import typer

from client import output
from client.doctor import Examination, Finding, examine
from client.options import AsJson

_FAILED = 1
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    home: Annotated[
        Path | None,
        typer.Option(help="Its stack is looked at, running or not. Default: PSKD_HOME, else ~/.pskd."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine and what the service needs: a home, or the cluster that PSKD_DATABASE_URL belongs to."""
    with output.stderr().status("looking"):
        found = examine(home)
    if as_json:
        output.print_json(found)
    else:
        _print(found)
    if found.status == "fail":
        raise typer.Exit(_FAILED)


def _print(found: Examination) -> None:
    console = output.stdout()
    wide = max(len(finding.check) for finding in found.checks)
    for finding in found.checks:
        console.print(f"{finding.status:<4}", style=_STYLES.get(finding.status, ""), end="  ")
        console.print(f"{finding.check:<{wide}}  {_said(finding)}", markup=False, soft_wrap=True)
        if finding.remedy is not None:
            console.print(f"{'':{wide + 8}}{finding.remedy}", markup=False, soft_wrap=True)
    counts = {bad: sum(finding.status == bad for finding in found.checks) for bad in ("fail", "warn")}
    console.print(f"{len(found.checks)} checks, {counts['fail']} failed, {counts['warn']} to know of", markup=False)


def _said(finding: Finding) -> str:
    return f"{finding.where}: {finding.detail}"
