"""Nothing in the product turns bytes into code."""

import ast
from collections.abc import Iterator

import pytest

from tests.meta.project import ROOMS, ROOT, sources

_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
_CALLS = {"compile", "eval", "exec"}
_LOADERS = {"yaml": {"load", "load_all", "unsafe_load", "full_load"}, "torch": {"load"}}


def dangers(code: str) -> Iterator[str]:
    """What of a module could run what a file says."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.partition(".")[0] in _MODULES)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in _MODULES:
                yield module
            case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)) if name in _LOADERS.get(module, ()):
                yield f"{module}.{name}"
            case ast.keyword(arg="allow_pickle", value=value) if not _is_false(value):
                yield "allow_pickle"


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def test_the_product_unpickles_and_evaluates_nothing() -> None:
    """Weights are safetensors, documents JSON or safe YAML, arrays plain: no source file reaches for anything else."""
    found = {str(file.relative_to(ROOT)): list(dangers(file.read_text(encoding="utf-8"))) for file in sources(*ROOMS)}
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.parametrize(
    "code",
    ["import pickle", "from joblib import load", "eval(x)", "exec(x)", "yaml.load(x)", "torch.load(x)",
     "np.load(x, allow_pickle=True)", "np.load(x, allow_pickle=y)", "import shelve", "import marshal", "import dill"],
)  # fmt: skip
def test_each_danger_is_found(code: str) -> None:
    """The search above is no empty one."""
    assert list(dangers(code))
