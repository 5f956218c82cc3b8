"""Databases kept from released versions upgrade to this one with everything in them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from pskd_core.config import JobSpec
from store import jobs, leaderboard, registry, runs, usage
from store.engine import Database
from store.lifecycle import JobState
from store.migrate import upgrade
from store.models import Configuration, ConfigurationResult, Dataset
from tests.dumps.kept import DUMPS, VERSIONS, load
from tests.stored import claim


def loaded(version: str, kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """A database as that version left it."""
    url = f"sqlite:///{folder / 'old.db'}" if kind == "sqlite" else request.getfixturevalue("empty_here")
    load(version, url)
    return str(url)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_installation_goes_on(version: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """After the upgrade, old results rank, old models resolve, what was queued is claimed and can be finished, and what
    old objects take is said to be unknown.
    """
    url = loaded(version, kind, tmp_path, request)
    upgrade(url)
    database = Database(url)
    with database.write() as session:
        states = {job.name: job.state for job in jobs.page(session).items}
        assert states["succeeded"] is JobState.SUCCEEDED
        assert states["validating"] is JobState.VALIDATING
        assert sorted(row.n_seeds for row in leaderboard.rows(session).items) == [1, 2]
        assert registry.resolve(session, "succeeded", version=2).bundle_bytes > 0
        used = usage.look(session)
        assert (used.kinds["model_versions"].size_bytes, used.unmeasured > 0) == (used.size_bytes, True)
        claimed = claim(session)
        runs.hand_back(session, claimed.claim)
    database.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_processes_upgrade_old_data_at_once(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Both end well, one after the other; every job and model is there, and the leaderboard says what it said."""
    url = loaded("0.1.0", kind, tmp_path, request)
    before = kept(url)
    environment = {**os.environ, "PSKD_DATABASE_URL": url, "PSKD_HOME": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-m", "store.migrate"]
    upgrading = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120)[1] for process in upgrading]
    assert [process.returncode for process in upgrading] == [0, 0], told
    assert kept(url) == before
    assert min(map(len, before)) > 0


def kept(url: str) -> list[list[tuple[Any, ...]]]:
    """What users would miss, by plain SQL that both versions of the schema answer."""
    database = Database(url)
    with database.read() as session:
        found = [[tuple(row) for row in session.execute(text(query))] for query in KEPT]
    database.dispose()
    return found


KEPT = (
    "SELECT id, name, state, cause, detail FROM job ORDER BY id",
    "SELECT id, job_id, state, epoch, checkpoint_digest FROM run ORDER BY id",
    "SELECT run_id, name, step, value FROM metric ORDER BY run_id, name, step",
    "SELECT job_id, seq, kind FROM event ORDER BY job_id, seq",
    "SELECT id, n_seeds, n_test, accuracy_mean, accuracy_sd, macro_f1_mean FROM configuration ORDER BY id",
    "SELECT model_id, version, run_id, bundle_digest FROM model_version ORDER BY model_id, version",
    "SELECT model_id, alias, version FROM model_alias ORDER BY model_id, alias",
)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize(("reported", "known"), [("TRUE", [2, 2]), ("seed = 0 AND fold <> 'loso:2'", [None, None])])
def test_old_results_get_what_later_versions_keep(
    reported: str, known: list[int | None], kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The upgrade takes subjects and further figures from old reports; a row then equals its recomputation, and a gap
    leaves it open.
    """
    url = loaded("0.1.0", kind, tmp_path, request)
    per_subject = {"2": {"accuracy": 0.9, "n": 10}, "4": {"accuracy": 0.7, "n": 10}}
    report = json.dumps({"test": {"per_subject": per_subject, "top5_accuracy": 0.9, "ece": 0.1, "paper_f": 0.7}})
    database = Database(url)
    with database.write() as session:
        session.execute(text(f"UPDATE run SET report = :report WHERE {reported}"), {"report": report})  # noqa: S608
    upgrade(url)
    with database.write() as session:
        result = session.scalars(select(ConfigurationResult).filter_by(seed=0, fold="loso:1")).one()
        assert result.subjects == {"2": [9, 10], "4": [7, 10]}
        assert (result.top5_accuracy, result.ece, result.paper_f) == (0.9, 0.1, 0.7)
        rows = leaderboard.rows(session).items
        upgraded = [figures(row) for row in rows]
        for row in rows:
            leaderboard.refresh(session, row)
        assert [figures(row) for row in rows] == upgraded
        assert [n for n, *_ in upgraded] == known
        assert all(("ece" in row.figures) == (known != [None, None]) for row in rows)
    database.dispose()


def figures(row: Configuration) -> tuple[int | None, float | None, float | None, dict[str, Any]]:
    return row.n_subjects, row.accuracy_subjects_low, row.accuracy_subjects_high, row.figures


def test_a_dump_of_this_release_is_kept() -> None:
    """Each kind of database has a dump of the same versions."""
    assert "0.1.0" in VERSIONS
    assert sorted(file.name.removesuffix(".postgresql.sql") for file in DUMPS.glob("*.postgresql.sql")) == VERSIONS


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_old_rows_say_that_their_skeleton_is_a_substitute(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The upgrade marks what an old import called a substitute, in dataset and rows, unless no network has read it."""
    url = loaded("0.1.0", kind, tmp_path, request)
    problems = [{"severity": "warning", "detail": "SUBSTITUTE SKELETON: the 2-D poses were estimated"}]
    database = Database(url)
    with database.write() as session:
        reports = session.execute(text("SELECT id, report FROM dataset WHERE report IS NOT NULL")).all()
        for id_, report in reports:
            held = (json.loads(report) if isinstance(report, str) else report) | {"problems": problems}
            values = {"id": id_, "report": json.dumps(held)}
            session.execute(text("UPDATE dataset SET report = :report WHERE id = :id"), values)
    upgrade(url)
    with database.write() as session:
        rows = leaderboard.rows(session).items
        reading = {row.id for row in rows if "skeleton" in JobSpec.model_validate(row.spec).streams}
        assert {row.id for row in rows if row.skeleton_substitute} == reading
        for row in rows:
            assert row.skeleton_substitute == leaderboard.skeleton_substitute(
                JobSpec.model_validate(row.spec), session.get_one(Dataset, row.dataset_id)
            )
    assert reading
    database.dispose()
