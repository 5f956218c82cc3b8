"""The example that one's own data start from."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from client.cli import app
from pskd_core.data.importing import import_dataset


def test_the_example_imports_without_a_finding(tmp_path: Path) -> None:
    """18 recordings of three people with a sensor and a skeleton, split by the protocol it names."""
    result = CliRunner().invoke(app, ["dataset", "template", str(tmp_path / "mine")])
    assert result.exit_code == 0, result.output
    report = import_dataset(tmp_path / "mine", tmp_path / "data")
    assert report.problems == ()
    assert (report.recordings, report.classes) == (18, {"wave": 9, "lift": 9})
    assert (report.protocols["cross_subject"].train, report.protocols["cross_subject"].test) == (12, 6)
    assert sorted(report.streams) == ["accelerometer", "skeleton"]


def test_a_folder_that_holds_something_is_kept(tmp_path: Path) -> None:
    """Nothing is ever written over."""
    (tmp_path / "dataset.yaml").write_text("mine")
    result = CliRunner().invoke(app, ["dataset", "template", str(tmp_path)])
    assert result.exit_code == 2
    assert "not empty" in result.output
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("dataset.yaml", "mine")]


@pytest.mark.parametrize("word", ["unit:", "rate_hz:", "time_unit:", "columns:", "scale", "same span", "protocols:"])
def test_the_example_explains_what_there_is(tmp_path: Path, word: str) -> None:
    CliRunner().invoke(app, ["dataset", "template", str(tmp_path / "mine")])
    assert word in (tmp_path / "mine" / "dataset.yaml").read_text()
