"""`make demo`, with fewer epochs than it has."""

from pathlib import Path
from typing import Any

import pytest

from client import demo
from client.answers import Dataset
from tests.e2e.processes import naming
from tests.small import SMALL_SPEC


def dataset(subjects: list[str], missing: list[str]) -> Dataset:
    sizes = {"train": 1, "test": 1, "missing": missing}
    report = {
        "layout": "utd_mhad", "recordings": 1, "classes": {}, "subjects": dict.fromkeys(subjects, 1),
        "protocols": {"cross_subject": sizes}, "streams": {}, "problems": [],
        "duration_s": {"min": 1, "median": 1, "max": 1},
    }  # fmt: skip
    fields = {"id": "ds_x", "name": "x", "state": "ready", "cause": None, "detail": None, "recordings": 1}
    return Dataset.model_validate({**fields, "created_at": "2026-01-01T00:00:00Z", "report": report})


def test_whole_copy_is_judged_by_its_own_split() -> None:
    """A dataset with all its subjects is split as its authors do."""
    assert demo.protocol_for(dataset(["1", "2"], [])) == {"kind": "named", "name": "cross_subject"}


def test_partial_copy_keeps_its_last_subject_for_the_test() -> None:
    """Of four subjects the last is tested, since the authors' test subjects are not there."""
    protocol = demo.protocol_for(dataset(["1", "3", "5", "7"], ["subject 2"]))
    assert protocol == {"kind": "subjects", "train": ["1", "3", "5"], "test": ["7"]}


def test_baseline_differs_in_its_method_alone() -> None:
    """What the leaderboard compares has the same data, student and training."""
    distilled, baseline = demo.specs(dataset(["1", "2"], []), {"kind": "loso"})
    assert {key for key in baseline if baseline[key] != distilled.get(key)} == {"name", "method"}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_demo_ends_with_a_classified_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """From nothing it imports, trains both jobs, ranks them with N and seeds, labels a recording, and stops all."""
    whole = demo.specs

    def small(*arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        distilled, baseline = whole(*arguments)
        return {**distilled, **SMALL_SPEC}, {**baseline, **SMALL_SPEC, "method": {"kind": "none"}}

    monkeypatch.setattr(demo, "specs", small)
    monkeypatch.chdir(tmp_path)
    assert demo.main([]) == 0
    shown = capfd.readouterr().out
    assert "demo-pskd · seed 1  epoch 6/6" in shown
    assert "demo-none succeeded" in shown
    rows = [line.split() for line in shown.splitlines() if " cross_subject " in line and "±" in line]
    assert sorted(row[1] for row in rows) == ["none", "pskd"]
    assert all(row[-3:-1] == ["2", "96"] for row in rows)
    assert "by demo-pskd version 1, trained on synthetic" in shown
    assert "truth: " in shown
    assert not naming((tmp_path / "build" / "demo").resolve())
