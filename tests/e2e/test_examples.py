"""What the documents show is done as they show it: the tutorial in a shell, Python as it stands, the notebook."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from client.home import owner_of
from tests.e2e.processes import eventually
from tests.meta.project import BIN, ROOT
from tests.services import short_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
DOCS = ROOT / "docs"


def blocks(document: str, language: str) -> list[str]:
    """The code that a document shows in a language."""
    text = (DOCS / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of somebody who has installed it, with a home of its own and the service up."""
    with short_folder("pskd-tour-") as home:
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PSKD_HOME": str(home), "PSKD_PORT": "0", "PSKD_MLFLOW_PORT": "0"}
        up = blocks("tutorial.md", "console")[0].removeprefix("$ ").split()
        with subprocess.Popen(
            up, env=environment, cwd=tmp_path_factory.mktemp("up"), start_new_session=True
        ) as process:
            try:
                assert eventually(lambda: "url" in owner_of(home), within_s=120)
                yield {**environment, "PSKD_URL": str(owner_of(home)["url"])}
            finally:
                process.send_signal(signal.SIGTERM)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed; on Debian: apt-get install curl")
def test_the_tutorial_leads_to_a_classified_recording(shell: dict[str, str], tmp_path: Path) -> None:
    """Every command after `pskd up`, in order, in one folder; each says what the text promises."""
    lines = [line.removeprefix("$ ") for block in blocks("tutorial.md", "console")[1:] for line in block.splitlines()]
    assert len(lines) >= 10
    said = {}
    for line in lines:
        command = line.replace("http://127.0.0.1:8750", shell["PSKD_URL"])
        done = subprocess.run(
            ["bash", "-c", command], env=shell, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said[line] = done.stdout
    board = next(text for line, text in said.items() if line.startswith("pskd leaderboard"))
    assert "pskd" in board
    assert "none" in board
    labelled = next(text for line, text in said.items() if line.startswith("pskd classify"))
    assert "most likely" in labelled
    assert '"probabilities"' in said[lines[-1]]


def test_the_python_of_the_how_to_runs(shell: dict[str, str], tmp_path: Path) -> None:
    """Each block as a program of its own, against the service that the environment names."""
    shown = blocks("sdk.md", "python")
    assert len(shown) == 2
    for number, block in enumerate(shown):
        file = tmp_path / f"block{number}.py"
        file.write_text(block, encoding="utf-8")
        done = subprocess.run(
            [BIN / "python", file], env=shell, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_the_notebook_runs(shell: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From top to bottom, with a plot where it says so; what is kept of it in the repository is its input alone."""
    monkeypatch.setenv("PSKD_URL", shell["PSKD_URL"])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(DOCS / "examples" / "quickstart.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in code for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert "succeeded" in str(outputs)
