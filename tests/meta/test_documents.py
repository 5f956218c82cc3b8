"""What the documents promise is there."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from benchmarks.__main__ import PARTS
from client.cli import app
from pskd_core.config import parse_spec
from pskd_core.sweep import MOST_TRIALS, parse_sweep
from store.settings import Settings
from tests.meta.project import ROOT, pyproject
from worker.settings import WorkerSettings

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", MAKEFILE, flags=re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_resolve(document: Path) -> None:
    """A reader who follows a link arrives."""
    links = re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_nothing_is_a_placeholder(document: Path) -> None:
    """Every document says what is, not what will be."""
    assert re.findall(r"(?i)\b(?:todo|tbd|fixme|coming soon|lorem ipsum)\b", document.read_text(encoding="utf-8")) == []


def test_readme_opens_with_sentence_picture_and_commands() -> None:
    """A newcomer sees what it is, how it hangs together and the two commands, in this order, before anything else."""
    marks = ["A job spec comes in over HTTP", "docs/architecture.svg", "$ make demo", "$ make test", "\n## "]
    places = [README.index(mark) for mark in marks]
    assert places == sorted(places)


def test_make_targets_in_documents_exist() -> None:
    """A command that is written down can be run, and `make` alone lists them all."""
    named = {
        target
        for document in DOCUMENTS
        for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", document.read_text("utf-8"))
    }
    parts = {f"bench-{part}" for part in PARTS}  # each a module, which the pattern `bench-%` of the Makefile runs
    assert named <= TARGETS | parts
    assert set(re.findall(r'"make ([a-z-]+)', MAKEFILE)) == TARGETS - {"help", "lint", "unit"}


@pytest.mark.parametrize(
    "document",
    [ROOT / "README.md", ROOT / "docs" / "own-data.md", ROOT / "docs" / "sweeps.md"],
    ids=lambda path: path.name,
)
def test_pskd_commands_in_documents_exist(document: Path) -> None:
    """The command line knows what is shown of it."""
    shown = re.findall(r"^\$ pskd (.+)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(shown) >= 5
    for line in shown:
        command: Any = get_command(app)
        for word in line.partition("#")[0].split():  # a comment may follow
            if not hasattr(command, "commands"):
                break  # the rest are its arguments
            assert word in command.commands, f"pskd {line}"
            command = command.commands[word]


def test_readme_spec_is_valid() -> None:
    """The spec that README shows can be submitted as it stands."""
    shown = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    assert [parse_spec(yaml.safe_load(text)).dataset for text in shown] == ["utd"]


def test_tutorial_spec_is_valid() -> None:
    """So can the one with which the tutorial trains on one's own data."""
    text = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
    shown = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert [parse_spec(yaml.safe_load(each)).dataset for each in shown] == ["mine"]


def test_sweeps_of_the_how_to_are_valid() -> None:
    """Both sweeps of the how-to can be started as they stand; the first is as large as its tables of choices."""
    text = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    shown = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert [parse_sweep(yaml.safe_load(each)).trials for each in shown] == [6, 4]
    assert f"at most {MOST_TRIALS}" in text


def test_operators_find_every_setting_described() -> None:
    """docs/operations.md lists each setting of api, worker and keeper once, and none that nobody reads."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| `PSKD_([A-Z_]+)` \|", text, flags=re.MULTILINE)
    assert sorted(described) == sorted(name.upper() for name in Settings.model_fields | WorkerSettings.model_fields)


def test_changelog_describes_this_version() -> None:
    """The newest released entry is the version that is installed; what is not released yet may stand above it."""
    entries = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    newest = entries[1] if entries[0] == "Unreleased" else entries[0]
    assert newest == pyproject()["project"]["version"] == version("pskd")


def test_decisions_are_numbered_upwards() -> None:
    """A decision can be cited by its number for ever: no number stands twice."""
    numbers = re.findall(r"^(\d+)\. ", (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [int(number) for number in numbers] == sorted({int(number) for number in numbers})


def test_contributing_is_one_page() -> None:
    """A newcomer reads it before the first change, because it is short."""
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 60
