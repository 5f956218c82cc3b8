"""What the API process holds in memory."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
REPORT = """
import sys
from pathlib import Path
from api.main import create_app
from store.settings import Settings
create_app(Settings()).openapi()
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
print(*[int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")] or [0])
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def report() -> list[str]:
    """Resident MiB, and loaded modules, of a fresh process that has made an app."""
    command = [sys.executable, "-W", "error", "-c", REPORT]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    ).stdout.splitlines()


def test_no_training_library_is_loaded(report: list[str]) -> None:
    """The API must not load torch or MLflow, nor what else only workers need, even indirectly."""
    assert not {"torch", "mlflow", "onnx", "celery", "pandas", "matplotlib", "sklearn"} & set(report[1].split())


def test_no_tracer_is_loaded(report: list[str]) -> None:
    """Without a collector nobody pays for traces, not even their import."""
    assert not {"store.spans", "opentelemetry.exporter", "google.protobuf"} & set(report[1].split())


def test_the_process_is_small(report: list[str]) -> None:
    """An app that is ready to answer stays well below 150 MiB."""
    assert int(report[0]) < 150
