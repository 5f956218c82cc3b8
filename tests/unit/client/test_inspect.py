"""`pskd inspect`: what a file was understood to be, without a service."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from client.cli import app
from tests.unit.data import loggers


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["inspect", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_json_holds_what_was_understood(tmp_path: Path) -> None:
    """Scripts get every field, and a name of the wrong kind misleads nobody."""
    file = tmp_path / "night.csv"
    file.write_bytes(loggers.axivity())
    code, out, _ = run(str(file), "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["format"], found["unit"], found["rate_found"], found["gravity"]) == (
        "axivity_cwa", "g", "timestamps", True,
    )  # fmt: skip
    assert found["rate_hz"] == pytest.approx(50)
    assert found["duration_s"] == pytest.approx(10)
    assert {"columns", "gaps", "repairs", "warnings"} <= found.keys()


def test_text_says_it_in_words(tmp_path: Path) -> None:
    """A reader sees format, unit, rate and doubts."""
    file = tmp_path / "walk.csv"
    file.write_bytes(loggers.sensorlog())
    code, out, _ = run(str(file))
    assert code == 0
    assert "sensorlog" in out
    assert "50.00 Hz (timestamps)" in out
    assert "warning" in out


def test_what_is_stated_is_taken(tmp_path: Path) -> None:
    """Unit, rate and columns reach the reader."""
    file = tmp_path / "walk.csv"
    file.write_bytes(b"a,b,c\n" + b"0,1000,0\n" * 100)
    options = ["--unit", "mg", "--rate-hz", "25", "--columns", "c,a,b", "--json"]
    _, out, _ = run(str(file), *options)
    found = json.loads(out)
    assert (found["unit"], found["rate_hz"], found["columns"]) == ("mg", 25, ["c", "a", "b"])
    assert run(str(file), "--unit", "stone")[0] == 2


def test_no_recording_is_an_exit_code_and_a_reason(tmp_path: Path) -> None:
    """Counts are refused with 1, the row and the remedy."""
    file = tmp_path / "counts.csv"
    file.write_bytes(loggers.actigraph(epoch="00:01:00"))
    code, out, err = run(str(file))
    assert (code, out) == (1, "")
    assert "row 5" in err
    assert "remedy" in err
