"""A short run of the contract campaign, always the same, and what tells a good run from a bad one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.contract import run, sound
from tests.fuzz.service import serving

_SEED, _MOST_S = 20, 150.0
_UNTIL = ("--phases", "fuzzing", "--max-examples", "1")  # by number, so that a busy machine asks no less
_GOOD: dict[str, Any] = {
    "status": 0, "operations": {"total": 2, "tested": 2}, "failures": [], "errors": [], "service_lives": True,
    "traces_in_the_log": 0,
}  # fmt: skip


def test_every_operation_keeps_to_its_contract(tmp_path: Path) -> None:
    """Asked what openapi.json allows and forbids, no operation fails or answers what the contract does not say."""
    with serving(tmp_path / "service") as service:
        found = run(service, tmp_path, seed=_SEED, until=_UNTIL, most_s=_MOST_S)
    assert sound(found), json.dumps(found, indent=1) + (tmp_path / "schemathesis.log").read_text(errors="replace")
    assert found["operations"]["total"] > 40
    assert found["cases"] >= found["operations"]["total"]


@pytest.mark.parametrize(
    "bad",
    [{"status": 1}, {"failures": [{"title": "Server error"}]}, {"errors": ["no route"]}, {"service_lives": False},
     {"traces_in_the_log": 1}, {"operations": {"total": 2, "tested": 1}}],
)  # fmt: skip
def test_a_bad_run_is_told_from_a_good_one(bad: dict[str, Any]) -> None:
    """A failure, an error, a trace, a dead process or an operation that was left out each spoil a run."""
    assert sound(_GOOD)
    assert not sound(_GOOD | bad)
