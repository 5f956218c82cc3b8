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


def test_an_import_does_not_outlast_the_grace_of_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an import has stored is nobody's until it ends; the refusal names both settings."""
    monkeypatch.setenv("PSKD_COLLECT_GRACE_S", "600")
    with pytest.raises(ValidationError, match=r"PSKD_COLLECT_GRACE_S \(600\).*PSKD_IMPORT_TIMEOUT_S \(3600\)"):
        WorkerSettings()
    monkeypatch.setenv("PSKD_IMPORT_TIMEOUT_S", "600")
    assert WorkerSettings().collect_grace_s == 600
