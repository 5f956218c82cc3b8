"""Habits of the code that no linter knows."""

import ast
import re
from pathlib import Path

from tests.meta.project import ROOMS, ROOT, sources

LEFT_OVER = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")
# Paths of one machine and hosts of package indexes do not belong into a project that others install.
LOCAL = re.compile(r"(?<![\w.])/(?:work|opt|root|home)/(?!pskd\b)|\bpypi\.org|pythonhosted|download\.pytorch")

CACHES = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}


def relative(files: list[Path]) -> list[str]:
    """Their names as a reader of the failure wants them."""
    return [str(file.relative_to(ROOT)) for file in files]


def test_init_files_are_empty() -> None:
    """Importing a package runs nothing and re-exports nothing."""
    assert (
        relative([file for file in sources(*ROOMS, "tests") if file.name == "__init__.py" and file.stat().st_size])
        == []
    )


def test_nothing_is_left_over() -> None:
    """What is unfinished is finished or removed, not marked."""
    found = [file for file in sources(*ROOMS) if LEFT_OVER.search(file.read_text(encoding="utf-8"))]
    assert relative(found) == []


def test_core_keeps_annotations_as_objects() -> None:
    """Postponed annotations would hide shapes from whoever checks them at run time."""
    found = [file for file in sources("pskd_core") if "from __future__" in file.read_text(encoding="utf-8")]
    assert relative(found) == []


def test_files_stay_readable() -> None:
    """A file is read top to bottom in one sitting."""
    found = [file for file in sources(*ROOMS) if len(file.read_text(encoding="utf-8").splitlines()) > 450]
    assert relative(found) == []


def test_no_mocks() -> None:
    """A test runs the real thing, or a second implementation of its interface."""
    found = [file for file in sources("tests") if "mock" in _imports(file)]
    assert relative(found) == []


def test_nothing_names_one_machine() -> None:
    """No file that others get holds a path of the machine it was written on, or a package index."""
    folders = [ROOT / name for name in (*ROOMS, ".ci", "docs", "tests")]
    files = [file for file in ROOT.iterdir() if file.is_file()]
    found = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    files += [file for file in found if not CACHES & set(file.relative_to(ROOT).parts)]
    texts = {file: file.read_text(encoding="utf-8", errors="replace") for file in files if file != Path(__file__)}
    assert len(texts) > 100
    assert relative([file for file, text in texts.items() if LOCAL.search(text)]) == []


def _imports(file: Path) -> set[str]:
    """The last names of everything imported, so that `unittest.mock` counts however it is imported."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.rpartition(".")[2] for name in names}
