"""The lock installs with plain pip anywhere, with a GPU or without."""

import re
from importlib.metadata import distribution

import pytest
from packaging.specifiers import SpecifierSet

from tests.meta.project import ROOT, pyproject, requirements

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LINES = [line for line in (line.partition("#")[0].rstrip() for line in LOCK.splitlines()) if line]
PINS = dict(line.split("==") for line in LINES if "==" in line)


@pytest.mark.parametrize("refused", ["+cpu", "nvidia-", "--find-links", "index-url", "://", "--hash", " @ "])
def test_holds_nothing_that_ties_it_to_one_machine(refused: str) -> None:
    """A local version, a CUDA pin, an index or a hash would break the install on some other machine."""
    assert refused not in LOCK


def test_every_line_is_an_exact_pin() -> None:
    """Whoever installs it, today or later, gets the same versions."""
    assert [line for line in LINES if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[0-9][0-9a-z.]*", line)] == []


def test_pins_what_pyproject_asks_for() -> None:
    """A requirement changed without `make lock` is found here and not on a user's machine."""
    wanted = requirements(*pyproject()["project"]["optional-dependencies"])
    unmet = [str(need) for name, need in wanted.items() if not need.specifier.contains(PINS.get(name, "0"))]
    assert unmet == []


def test_installs_on_the_oldest_python_that_the_product_promises() -> None:
    """The lock is made with a later one of its patches; Debian 12 has 3.11.2."""
    needs = {name: distribution(name).metadata.json.get("requires_python") for name in PINS}
    assert [name for name, need in needs.items() if need and not SpecifierSet(str(need)).contains("3.11.0")] == []
