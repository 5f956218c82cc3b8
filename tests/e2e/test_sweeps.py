"""`pskd sweep` against a running stack: from a file to the best spec, and every refusal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from client.api import Client
from client.cli import app
from pskd_core.config import parse_spec
from tests.small import SMALL_SPEC

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

Pskd = Callable[..., Result]
BASE: dict[str, Any] = {
    **SMALL_SPEC,
    "dataset": "small",
    "protocol": {"kind": "subjects", "train": ["1", "2", "3"], "test": ["4"]},
    "validation": {"kind": "subjects", "subjects": ["3"]},
    "training": {"epochs": 1, "batch_size": 16},
}
SWEEP: dict[str, Any] = {
    "name": "both",
    "base": BASE,
    "space": {"feature_dim": {"choices": [8, 16]}, "method.loss.alpha": {"choices": [0.5]}},
}


@pytest.fixture
def pskd(stack_url: str) -> Pskd:
    """Runs `pskd` in this process, on the stack."""
    return lambda *arguments: CliRunner().invoke(app, ["--url", stack_url, *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path, dataset_id: str) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(SWEEP))
    return path


def test_a_sweep_is_started_watched_and_won(pskd: Pskd, service: Client, file: Path, tmp_path: Path) -> None:
    """Progress, results and heat map are shown, the winner's spec is written, and the sweep is found again."""
    counted = pskd("sweep", file, "--dry-run")
    assert counted.exit_code == 0
    assert "2 trials (at most 256), 2 runs" in counted.stdout
    assert SWEEP["name"] not in {sweep.name for sweep in service.sweeps()}
    best = tmp_path / "best.yaml"
    waited = pskd("sweep", file, "--wait", "--best", best, "--plot", tmp_path / "plots" / "map")
    assert waited.exit_code == 0, waited.output
    assert "trial 2 succeeded" in waited.stdout
    assert "best: trial" in waited.stdout
    assert "alpha \\ feature_dim" in waited.stdout
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["map.png", "map.svg"]
    spec = parse_spec(yaml.safe_load(best.read_text()))
    assert (spec.name, spec.test) == ("both best", "report")
    (listed,) = [sweep for sweep in json.loads(pskd("sweeps", "--json").stdout) if sweep["name"] == SWEEP["name"]]
    (line,) = [line for line in pskd("sweeps").stdout.splitlines() if SWEEP["name"] in line.split()]
    assert "2/2" in line
    shown = json.loads(pskd("sweep", listed["id"], "--json").stdout)
    assert shown["best"]["spec"] == spec.model_dump(mode="json")
    assert service.estimate(spec).runs == 1


def test_a_tpe_sweep_is_cancelled(pskd: Pskd, service: Client, dataset_id: str) -> None:
    """`pskd cancel` takes a sweep as well, and waiting for a cancelled one exits with 1."""
    base = {**BASE, "training": {"epochs": 5000, "batch_size": 16}}
    sweep = service.submit_sweep({**SWEEP, "base": base, "search": {"kind": "tpe", "trials": 3}})
    next(each for each in service.follow_sweep(sweep.id) if each.counts.states.get("running"))
    assert pskd("cancel", sweep.id).exit_code == 0
    ended = pskd("sweep", sweep.id, "--wait")
    assert ended.exit_code == 1
    assert "cancelled" in ended.stderr
    refused = pskd("sweep", sweep.id, "--best", "never.yaml")
    assert refused.exit_code == 1
    assert "no trial" in refused.stderr
    kept = pskd("sweeps", "delete", sweep.id)
    assert (kept.exit_code, "force" in kept.stderr) == (1, True)
    assert pskd("sweeps", "delete", sweep.id, "--force").exit_code == 0
    assert pskd("sweep", sweep.id).exit_code == 1


def test_refusals_name_the_place(pskd: Pskd, tmp_path: Path, dataset_id: str) -> None:
    """What the service refuses has exit code 1 and its pointer, a file that is none exit code 2."""
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump({**SWEEP, "base": {**BASE, "validation": {"kind": "none"}}}))
    refused = pskd("sweep", wrong)
    assert refused.exit_code == 1
    assert "/base/validation" in refused.stderr
    assert pskd("sweep", "swp_absent").exit_code == 1
    wrong.write_text("- no mapping")
    for unusable in (wrong, tmp_path / "absent.yaml"):
        assert pskd("sweep", unusable).exit_code == 2
