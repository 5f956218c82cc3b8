"""Who may import whom: the contracts hold, they can fail, and what is really loaded agrees."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.project import BIN, ROOMS, ROOT, pyproject

HEAVY = {"torch", "mlflow", "onnx", "onnxscript", "optuna"}

IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), name + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
print(*sys.modules)
"""

LEAKS = {
    "api/leak.py": "import worker.app",
    "store/leak.py": "import pskd_core.losses",
    "client/leak.py": "import store.models",
    "pskd_core/objective.py": "import sqlalchemy",
    "pskd_core/losses.py": "import pskd_core.training.loop",
    "pskd_core/data/leak.py": "def later():\n    import torch",
}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Checks the contracts on the packages of `folder`."""
    return subprocess.run(
        [BIN / "lint-imports", "--no-cache"],
        cwd=folder,
        env=os.environ | {"COLUMNS": "200"},  # or it wraps the names
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_contracts_hold() -> None:
    """The rooms and layers of the architecture are the ones in the code."""
    checked = lint_imports(ROOT)
    assert checked.returncode == 0, checked.stdout


def test_each_contract_can_fail(tmp_path: Path) -> None:
    """A contract that cannot be broken would prove nothing: one forbidden import for each, and each is found."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file, leak in LEAKS.items():
        (tmp_path / file).write_text(f"{leak}\n")
    verdicts = [line for line in lint_imports(tmp_path).stdout.splitlines() if line.endswith(("KEPT", "BROKEN"))]
    names = [contract["name"] for contract in pyproject()["tool"]["importlinter"]["contracts"]]
    assert sorted(verdicts) == sorted(f"{name} BROKEN" for name in names)


@pytest.mark.parametrize(
    "packages",
    [
        pytest.param(("api", "store", "client"), id="services"),
        pytest.param(
            ("pskd_core.config", "pskd_core.data", "pskd_core.evaluation.comparison", "pskd_core.inference"), id="core"
        ),
    ],
)
def test_light_parts_load_nothing_heavy(packages: tuple[str, ...]) -> None:
    """A fresh interpreter that imports every module of these packages loads neither torch, MLflow nor Optuna."""
    command = [sys.executable, "-c", IMPORT_ALL, *packages]
    imported = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert imported.returncode == 0, imported.stderr
    loaded = set(imported.stdout.split())
    assert loaded & HEAVY == set()
    assert set(packages) <= loaded
