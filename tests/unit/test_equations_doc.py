"""docs/equations.md names functions and tests that exist, for every equation."""

import ast
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from pskd_core import losses, rivals
from pskd_core.distillation import Loss, Weighting

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| (")]
FUNCTIONS = sorted(set(re.findall(r"`(pskd_core\.[\w.]+)`", TEXT)))
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


def test_every_equation_has_a_row() -> None:
    """(1) to (7) are there, each with a reading, a function and a test."""
    assert sorted({int(row[0][1]) for row in ROWS}) == [1, 2, 3, 4, 5, 6, 7]
    for equation, reading, functions, tests in ROWS:
        assert reading, equation
        assert "`pskd_core." in functions, equation
        assert "`tests/" in tests, equation


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_named_function_exists(name: str) -> None:
    """It can be imported and called."""
    module, _, function = name.rpartition(".")

    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_a_named_test_exists(file: str, name: str) -> None:
    """Its file defines a test of that name."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))

    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("module", [losses, rivals])
def test_every_loss_is_named(module: ModuleType) -> None:
    """No public function of the losses is missing from the tables."""
    source = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    public = [node.name for node in source.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]

    assert {f"{module.__name__}.{name}" for name in public} <= set(FUNCTIONS)


@pytest.mark.parametrize("union", [Loss, Weighting])
def test_every_choice_has_a_row(union: object) -> None:
    """Each loss and weighting of the configuration stands in a table under its name; the paper's own is the first."""
    kinds = {variant.model_fields["kind"].default for variant in get_args(get_args(union)[0])}
    named = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))

    assert kinds - {"pskd"} <= named
