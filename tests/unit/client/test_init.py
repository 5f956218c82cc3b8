"""`pskd init`: a spec for people that reads back as what it was written from."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from client.cli import app
from client.commented import commented
from pskd_core.config import parse_spec, preset_names


@pytest.mark.parametrize("preset", [None, *preset_names()])
def test_it_reads_back_as_it_was(preset: str | None) -> None:
    """Every recipe, with comments that say what each field means and may be."""
    spec = parse_spec({} if preset is None else {"preset": preset})
    text = commented(spec)
    assert parse_spec(yaml.safe_load(text)) == spec


def test_every_field_is_there_and_explained() -> None:
    """Alternatives, bounds and descriptions stand above the field; nothing is left out."""
    text = commented(parse_spec({}))
    lines = [line.strip() for line in text.splitlines()]
    for field, said in [
        ("method:", "# kind: distill | none"),
        ("epochs: 60", "# of each network; from 1 to 10000"),
        ("precision: fp32", "# fp32 | bf16"),
        ("- inputs: [skeleton]", "# streams of the dataset"),
    ]:
        assert lines[lines.index(field) - 1] == said
    assert {line.partition(":")[0] for line in text.splitlines() if line[:1].isalpha()} == set(
        parse_spec({}).model_dump()
    )


def test_a_file_is_written_once(tmp_path: Path) -> None:
    """What is there is not written over unless asked; a preset that is none, and a place that cannot be, are named."""
    file = tmp_path / "job.yaml"
    run = CliRunner()
    made = run.invoke(app, ["init", str(file), "--preset", "demo", "--dataset", "utd"])
    assert (made.exit_code, "pskd submit" in made.stdout) == (0, True)
    written = file.read_text(encoding="utf-8")
    assert parse_spec(yaml.safe_load(written)) == parse_spec({"preset": "demo", "dataset": "utd"})
    again = run.invoke(app, ["init", str(file)])
    assert (again.exit_code, "--force" in again.stderr, file.read_text(encoding="utf-8")) == (2, True, written)
    assert run.invoke(app, ["init", str(file), "--force"]).exit_code == 0
    assert parse_spec(yaml.safe_load(file.read_text(encoding="utf-8"))) == parse_spec({})
    unknown = run.invoke(app, ["init", str(tmp_path / "other.yaml"), "--preset", "nobody"])
    assert (unknown.exit_code, "nobody" in unknown.stderr, (tmp_path / "other.yaml").exists()) == (2, True, False)
    assert run.invoke(app, ["init", str(tmp_path / "absent" / "job.yaml")]).exit_code == 2
