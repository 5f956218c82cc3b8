"""Databases kept from released versions upgrade to this one with everything in them."""

import shutil
import sqlite3
import subprocess
import uuid
from pathlib import Path

import pytest

from store import jobs, leaderboard, registry, runs
from store.engine import Database
from store.lifecycle import JobState
from store.migrate import upgrade
from tests import services
from tests.conftest import execute, with_database
from tests.stored import claim

DUMPS = Path(__file__).parents[2] / "dumps"
VERSIONS = sorted({file.name.removesuffix(".sqlite.sql") for file in DUMPS.glob("*.sqlite.sql")})


def load_sqlite(script: Path, folder: Path) -> str:
    path = folder / "old.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(script.read_text(encoding="utf-8"))
    connection.close()
    return f"sqlite:///{path}"


def load_postgresql(script: Path, server: str) -> str:
    name = f"old_{uuid.uuid4().hex}"
    execute(server, f"CREATE DATABASE {name}")
    url = with_database(server, name)
    psql = services.postgres_binaries() / "psql"
    target = url.replace("postgresql+psycopg", "postgresql")
    command = [str(psql), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={script}", target]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return url


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_installation_goes_on(version: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """After the upgrade, old results rank, old models resolve, and what was queued is claimed and can be finished."""
    script = Path(shutil.copy(DUMPS / f"{version}.{kind}.sql", tmp_path))
    server = request.getfixturevalue("postgres_url") if kind == "postgresql" else ""
    url = load_sqlite(script, tmp_path) if kind == "sqlite" else load_postgresql(script, server)
    upgrade(url)
    database = Database(url)
    with database.write() as session:
        states = {job.name: job.state for job in jobs.page(session).items}
        assert states["succeeded"] is JobState.SUCCEEDED
        assert states["validating"] is JobState.VALIDATING
        assert sorted(row.n_seeds for row in leaderboard.rows(session).items) == [1, 2]
        assert registry.resolve(session, "succeeded", version=2).bundle_bytes > 0
        claimed = claim(session)
        runs.hand_back(session, claimed.claim)
    database.dispose()


def test_a_dump_of_this_release_is_kept() -> None:
    """Each kind of database has a dump of the same versions."""
    assert "0.1.0" in VERSIONS
    assert sorted(file.name.removesuffix(".postgresql.sql") for file in DUMPS.glob("*.postgresql.sql")) == VERSIONS
