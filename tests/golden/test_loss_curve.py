"""The first epochs of a small run against a kept curve: a change of the method shows here, a refactoring does not.

`python -m tests.golden.test_loss_curve` writes the curve anew after a deliberate change.
"""

import json
import tempfile
from pathlib import Path

import pytest

from pskd_core.config import parse_spec
from pskd_core.data.splits import plan_folds
from pskd_core.run import Run
from tests.small import SMALL_SPEC, small_dataset

KEPT = Path(__file__).with_name("loss_curve.json")
SPEC = parse_spec({**SMALL_SPEC, "training": {"epochs": 5, "batch_size": 12}})


def measured_curve(folder: Path) -> list[dict[str, float]]:
    """Every metric of every epoch: 10 student steps and 20 teacher steps."""
    dataset = small_dataset(folder / "dataset")
    (fold,) = plan_folds(SPEC, dataset.info, dataset.recordings)
    return [report.metrics for report in Run(dataset, SPEC, fold, 0).epochs()]


def test_the_loss_curve_is_the_kept_one(tmp_path: Path) -> None:
    """Other processors round differently, which 30 steps amplify to less than the tolerance."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    measured = measured_curve(tmp_path)
    assert len(measured) == len(kept) == 10
    for found, expected in zip(measured, kept, strict=True):
        assert found == pytest.approx(expected, rel=2e-3, abs=1e-4)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        KEPT.write_text(json.dumps(measured_curve(Path(scratch)), indent=1) + "\n", encoding="utf-8")
