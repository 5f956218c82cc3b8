"""What docs/on-device.md tells firmware engineers is what the service does."""

import ctypes
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pskd_core.bundle import INFO_FILE, Calibration, Reliability
from pskd_core.data.preprocess import prepare_sensor
from pskd_core.evaluation.calibration import softmax
from pskd_core.inference import Bundle, classify
from tests.bundles import made_bundle, noise, recording

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "on-device.md").read_text(encoding="utf-8")
CALIBRATION = Calibration(
    temperature=2.0, gravity_free_temperature=None, min_confidence=0.6, max_distance=0.05, rule="made",
    validation=Reliability(n=10, ece_before=0.2, ece_after=0.1), test=None,
)  # fmt: skip


def shown(language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)
    return str(block)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return made_bundle(tmp_path, calibration=CALIBRATION)


@pytest.mark.parametrize(("samples", "rate_hz"), [(2, 50.0), (60, 50.0), (327, 50.0), (328, 50.0), (1001, 31.25)])
def test_the_documented_steps_give_the_served_answer(
    bundle: Bundle, tmp_path: Path, samples: int, rate_hz: float
) -> None:
    """The document's own NumPy code, the model and the steps give the service's windows to 1e-5, and labels."""
    code: dict[str, Any] = {}
    exec(shown("python"), code)  # noqa: S102
    described = json.loads((tmp_path / INFO_FILE).read_text())
    values = noise(samples)
    windows = code["windows_of"](values, rate_hz, described)
    probabilities, logits, distance = bundle.session.run(["probabilities", "logits", "distance"], {"windows": windows})
    served = classify(bundle, recording(values, rate_hz=rate_hz), top_k=3).windows
    rule = described["calibration"]
    confidences = softmax(logits, temperature=rule["temperature"])
    for row, window in enumerate(served):
        named = dict(zip(described["classes"], probabilities[row].tolist(), strict=True))
        assert named == pytest.approx(window.probabilities, abs=1e-5)
        best = int(probabilities[row].argmax())
        confidence, novelty = confidences[row, best], distance[row] / rule["max_distance"]
        assert (confidence, novelty) == pytest.approx((window.confidence, window.novelty), abs=1e-4)
        unknown = confidence < rule["min_confidence"] or novelty > 1
        assert window.label == ("unknown" if unknown else described["classes"][best])
    assert len(windows) == len(served)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
@pytest.mark.parametrize("length", [1, 2, 3, 127, 128, 129, 500])
def test_the_documented_c_stretches_as_the_service_does(tmp_path: Path, length: int) -> None:
    """The document's C compiles without a warning and gives the network's input as the service prepares it."""
    source, library = tmp_path / "stretch.c", tmp_path / "stretch.so"
    source.write_text(shown("c"), encoding="utf-8")
    options = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["cc", *options, "-o", library, source], check=True)
    values, found = np.ascontiguousarray(noise(length), np.float32), np.empty((3, 128), np.float32)
    pointer = ctypes.POINTER(ctypes.c_float)
    ctypes.CDLL(str(library)).stretch(
        values.ctypes.data_as(pointer), ctypes.c_size_t(length), found.ctypes.data_as(pointer), ctypes.c_size_t(128)
    )
    np.testing.assert_allclose(found, prepare_sensor(values, 128), atol=1e-6)
