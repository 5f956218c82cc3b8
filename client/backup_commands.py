"""`pskd backup` and `pskd restore`: a whole home in one file, and back."""

import subprocess  # nosec B404 # our own programs, through no shell
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from client import output
from client.errors import NotInstalled
from client.home import HomeInUse, default_home, inherited, owned
from client.parts import CODE

Home = Annotated[Path | None, typer.Option(envvar="PSKD_HOME", help="Folder of all state.  [default: ~/.pskd]")]

_FAILED = 1


def backup(
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Not there yet.  [default: pskd-TIME.zip in this folder]")
    ] = None,
    home: Home = None,
) -> None:
    """Write all that the stack of this machine keeps to one file, also while it runs. The file holds secrets."""
    target = to or Path(f"pskd-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip")
    _run("store.backup", target, home=_resolved(home))


def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="As `pskd backup` wrote it.")
    ],
    home: Home = None,
) -> None:
    """Bring a backup back into a home that is empty; `pskd up` then goes on where it was made."""
    into = _resolved(home)
    try:
        with owned(into) as lock:
            _run("store.restore", file, home=into, lock=lock)
    except HomeInUse as error:
        output.report_error(error)
        raise typer.Exit(_FAILED) from error


def _resolved(home: Path | None) -> Path:
    return (home or default_home()).expanduser().resolve()


def _run(module: str, file: Path, *, home: Path, lock: int | None = None) -> None:
    """In a process of its own, which holds the lock for as long as it lives; what it says is for the user."""
    if find_spec("sqlalchemy") is None:  # a client of a service elsewhere is installed without it
        raise NotInstalled("sqlalchemy", what="the parts of the stack", extra="embedded")
    child = subprocess.Popen(
        (sys.executable, "-m", module, str(file.expanduser().absolute()), "--mlflow", str(home / "mlflow")),
        cwd=CODE,
        env=inherited(home),
        pass_fds=() if lock is None else (lock,),
    )
    code = None
    while code is None:
        try:
            code = child.wait()
        except KeyboardInterrupt:  # it was told as well, and removes what is unfinished
            continue
    if code:
        raise typer.Exit(_FAILED)
