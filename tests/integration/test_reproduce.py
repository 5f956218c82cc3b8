"""Experiments on this machine, through real processes: run, shared, resumed after a kill, refused."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from pskd_core.__main__ import main
from pskd_core.experiments import ExperimentName
from pskd_core.folder import write_json
from pskd_core.report.document import Report
from tests.e2e.processes import alive, descendants, eventually

pytestmark = pytest.mark.timeout(600)

# One epoch of slim networks on few frames; what an experiment compares stays.
BRIEF = (
    "training.epochs=1",
    "training.batch_size=16",
    "feature_dim=16",
    "preprocess.skeleton_frames=16",
    "preprocess.sensor_frames=32",
)


def command(experiment: str, out: Path, *more: str, seeds: str = "1") -> list[str]:
    settings = [part for setting in BRIEF for part in ("--set", setting)]
    return ["reproduce", experiment, "--seeds", seeds, "--jobs", "2", "--out", str(out), *settings, *more]


def read(out: Path, experiment: str) -> Report:
    return Report.model_validate_json((out / experiment / "report.json").read_bytes())


def figures(report: Report) -> dict[str, Any]:
    """Everything but what time it took."""
    return report.model_dump(exclude={"took_s"})


def outcomes(out: Path) -> dict[str, int]:
    """Each finished run, and when it finished."""
    return {str(file.parent): file.stat().st_mtime_ns for file in out.glob("runs/*/*/outcome.json")}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all experiments."""
    return tmp_path_factory.mktemp("experiments")


@pytest.mark.parametrize("experiment", get_args(ExperimentName))
def test_an_experiment_runs(shared: Path, experiment: ExperimentName, capsys: pytest.CaptureFixture[str]) -> None:
    """Every row that runs has figures, plots and sentences are there, and runs of other experiments stay."""
    before = outcomes(shared)
    assert main(command(experiment, shared)) == 0
    report = read(shared, experiment)
    assert [row.key for row in report.rows if row.summary is None] == []
    assert all(row.summary is not None and row.summary.complete for row in report.rows)
    assert {row.key for row in report.rows if row.against is None} == {report.reference}
    assert (shared / experiment / "accuracy.png").exists()
    assert "nothing follows: one seed gives no interval" in capsys.readouterr().out.replace("\n", " ")
    assert outcomes(shared).items() >= before.items()


def test_a_finished_experiment_is_not_repeated(shared: Path) -> None:
    """The same command again trains nothing and reports the same."""
    ended, report = outcomes(shared), read(shared, "table4")
    assert main(command("table4", shared)) == 0
    assert outcomes(shared) == ended
    assert read(shared, "table4") == report


def test_experiments_share_runs_and_teachers(shared: Path) -> None:
    """ACS of Table 4, of the ablation and the headline's student are one run; one set of teachers serves them all."""
    hashes = {
        name: {row.key: row.configuration_hash for row in read(shared, name).rows} for name in ("table4", "headline")
    }
    assert hashes["table4"]["acs"] == hashes["headline"]["distilled"]
    assert hashes["table4"]["none"] == hashes["headline"]["none"]
    # The slim pair on progressive(1), (2), (3) and frozen; a teacher of its own for the row of Ni; either alone.
    assert len(list((shared / "teachers").iterdir())) == 7


def begun(out: Path) -> tuple[subprocess.Popen[bytes], set[int]]:
    """A command that has finished its first run and trains on, and the processes it has started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pskd_core", *command("headline", out, seeds="4")], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not outcomes(out):
        assert process.poll() is None, "it has ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process, descendants(process.pid)


def test_a_killed_command_goes_on(tmp_path: Path) -> None:
    """After `kill -9` no process is left, what has ended stays, and the report is that of an unbroken command."""
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    process, trainers = begun(broken)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert eventually(lambda: not any(map(alive, trainers)))
    ended = outcomes(broken)
    assert len(ended) < 12
    assert main(command("headline", broken, seeds="2")) == 0
    assert outcomes(broken).items() >= ended.items()
    assert main(command("headline", unbroken, seeds="2")) == 0
    assert figures(read(broken, "headline")) == figures(read(unbroken, "headline"))


def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    """The terminal signals all processes at once; the command ends with 130 and takes what it has started with it."""
    process, trainers = begun(tmp_path)
    for pid in {process.pid, *trainers}:
        os.kill(pid, signal.SIGINT)
    assert process.wait(timeout=120) == 130
    assert eventually(lambda: not any(map(alive, trainers)))
    assert len(outcomes(tmp_path)) < 12


def test_a_row_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    """A weight that makes a loss infinite is told in the report, and every other row stands as it would."""
    out = tmp_path / "out"
    assert main(command("figure5", out, "--set", "frozen:method.loss.alpha=1.0e+300")) == 0
    rows = {row.key: row for row in read(out, "figure5").rows}
    assert "loss term" in rows["frozen"].problem
    assert [row.key for row in rows.values() if row.summary is None] == ["frozen"]
    assert [row.key for row in rows.values() if row.against] == ["progressive_2", "progressive_3", "none"]


def test_versions_do_not_mix_unseen(tmp_path: Path) -> None:
    """A failure is final under its own version and begins anew under another; the report lists each run's version."""
    assert main(command("headline", tmp_path)) == 0
    hashes = {row.key: (row.configuration_hash or "")[:16] for row in read(tmp_path, "headline").rows}
    (reference,), (none,) = ((tmp_path / "runs" / hashes[key]).iterdir() for key in ("distilled", "none"))
    outcome = json.loads((reference / "outcome.json").read_text(encoding="utf-8"))
    here = outcome["environment"]
    write_json(reference / "outcome.json", {**outcome, "environment": {**here, "pskd": "0.0.1"}})
    (none / "outcome.json").unlink()
    write_json(none / "failure.json", {"detail": "is nan", "environment": here})
    assert main(command("headline", tmp_path)) == 0
    assert read(tmp_path, "headline").rows[1].problem == "is nan"
    (none / "epochs.jsonl").write_text("another version's", encoding="utf-8")
    write_json(none / "failure.json", {"detail": "is nan", "environment": {**here, "pskd": "0.0.1"}})
    assert main(command("headline", tmp_path)) == 0
    report = read(tmp_path, "headline")
    assert report.rows[1].problem == ""
    assert report.rows[1].summary is not None
    found = [(each.versions, each.rows) for each in report.environments]
    assert found == [({**here, "pskd": "0.0.1"}, ("PSKD",)), (here, ("none", "Random forest"))]


def test_subjects_are_left_out_one_by_one(tmp_path: Path) -> None:
    """`--subjects` runs on these alone, pools their folds, and the report says what its figures are."""
    assert main(command("headline", tmp_path, "--subjects", "1,3", "--set", "training.batch_size=8")) == 0
    report = read(tmp_path, "headline")
    assert (report.protocol, report.development) == ("leave-one-subject-out over 1, 3", True)
    assert [row.summary.n for row in report.rows if row.summary] == [48, 48, 48]
    assert report.rows[0].subjects.keys() == {"1", "3"}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--set", "nobody:training.epochs=3"), "has no row 'nobody'"),
        (("--protocol", "cross_view"), "no protocol 'cross_view'"),
        (("--protocol", "cross_trial", "--subjects", "1"), "has subjects of its own"),
        (("--preset", "nobody"), "no preset is called 'nobody'"),
        (("--set", "validation.kind=inner_loso"), "validation cannot be set"),
        (("--set", "test=none"), "test cannot be set"),
    ],
)
def test_what_cannot_be_run_is_refused(
    tmp_path: Path, more: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, and a message that names the fault; no process is started."""
    assert main(command("table4", tmp_path, *more)) == 1
    assert told in capsys.readouterr().err
    assert not outcomes(tmp_path)


def test_a_folder_of_another_dataset_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures of two datasets never meet in one report."""
    (tmp_path / "identity.json").write_text('{"dataset": "another"}', encoding="utf-8")
    assert main(command("headline", tmp_path)) == 1
    assert "holds runs on another dataset" in capsys.readouterr().err


def test_two_commands_do_not_share_a_folder_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second one is told so."""
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(command("headline", tmp_path)) == 1
    assert "another command is at work" in capsys.readouterr().err
