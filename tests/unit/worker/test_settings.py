"""Settings of a worker, from the environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from worker.settings import WorkerSettings


def test_queues_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`PSKD_QUEUES` is written by people; a GPU worker is one that listens to `gpu`."""
    monkeypatch.setenv("PSKD_HOME", str(tmp_path))
    monkeypatch.setenv("PSKD_QUEUES", "gpu, io")
    settings = WorkerSettings()
    assert settings.queues == ("gpu", "io")
    assert settings.device == "cuda"
    assert settings.scratch_dir == tmp_path / "scratch"


@pytest.mark.parametrize("queues", ["", "cpu,tpu"])
def test_unknown_queues_are_refused(monkeypatch: pytest.MonkeyPatch, queues: str) -> None:
    """A worker that listens to nothing that anybody nudges is a mistake."""
    monkeypatch.setenv("PSKD_QUEUES", queues)
    with pytest.raises(ValidationError, match="queues are cpu, gpu and io"):
        WorkerSettings()
