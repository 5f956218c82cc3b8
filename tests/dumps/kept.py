"""Databases as released versions left them, to be loaded by tests."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url

from tests import services

DUMPS = Path(__file__).parent
VERSIONS = sorted({file.name.removesuffix(".sqlite.sql") for file in DUMPS.glob("*.sqlite.sql")})


def load(version: str, url: str) -> None:
    """Fills an empty database with what that version left in one of its kind."""
    target = make_url(url)
    script = DUMPS / f"{version}.{target.get_backend_name()}.sql"
    if target.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(target.database or "")) as connection:
            connection.executescript(script.read_text(encoding="utf-8"))
        return
    psql: list[str | Path] = [services.postgres_binaries() / "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    address = target.set(drivername="postgresql").render_as_string(hide_password=False)
    subprocess.run([*psql, f"--file={script}", address], check=True, stdout=subprocess.DEVNULL)
