"""What is served is what was trained: one preparation of samples, from training to HTTP."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from pskd_core.config import parse_spec
from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import plan_folds
from pskd_core.evaluation.calibration import softmax
from pskd_core.evaluation.evaluate import predict
from pskd_core.run import Run
from store.settings import Settings
from tests.integration.api.conftest import HERE
from tests.integration.api.stored import Stored, Trees
from tests.small import SMALL_SPEC, small_dataset

URL = "/v1/models/tiny/classify"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A student in training, and its dataset."""
    dataset = small_dataset(tmp_path_factory.mktemp("data") / "dataset")
    fields = {"method": {"kind": "none"}, "validation": {"kind": "trials", "trials": ["2"]}}
    spec = parse_spec({**SMALL_SPEC, **fields, "training": {"epochs": 2, "batch_size": 16}})
    run = Run(dataset, spec, plan_folds(spec, dataset.info, dataset.recordings)[0], seed=0)
    list(run.epochs())
    return run


def as_csv(values: np.ndarray, rate_hz: float) -> bytes:
    """A table with times, every number to its last bit."""
    rows = [f"{place / rate_hz!r},{','.join(map(repr, row))}" for place, row in enumerate(values.tolist())]
    return "\n".join(["time (s),x (g),y (g),z (g)", *rows]).encode()


def as_npy(values: np.ndarray, _rate_hz: float) -> bytes:
    """One array."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


@pytest.mark.parametrize("written", [as_csv, as_npy])
def test_training_recordings_over_http_give_the_offline_probabilities(
    settings: Settings, stored: Stored, trees: Trees, run: Run, tmp_path: Path, written: Any
) -> None:
    """Every training recording, sent as a file, gets the offline probabilities to 1e-5, and their confidence."""
    info = run.export(tmp_path / "bundle")
    assert info is not None
    assert info.calibration is not None
    stored._trees = replace(trees, bundle_digest=stored.objects.put_tree(tmp_path / "bundle"))
    stored.dataset()
    stored.finished_job(seeds=[0])
    logits = predict(run.evaluated, run.train_clips, device=run.device)
    offline, calibrated = (softmax(logits, temperature=each) for each in (1.0, info.calibration.temperature))
    with TestClient(create_app(settings), base_url=HERE) as service:
        for row, index in enumerate(run.fold.train):
            answer = classified(service, run.dataset, index, written)
            assert [answer["probabilities"][name] for name in info.classes] == pytest.approx(offline[row], abs=1e-5)
            assert answer["confidence"] == pytest.approx(calibrated[row].max(), abs=1e-5)
            assert len(answer["windows"]) == 1


def classified(service: TestClient, dataset: Dataset, index: int, written: Any) -> dict[str, Any]:
    """What the service says of a recording of the dataset."""
    rate_hz = dataset.recordings[index].rate_hz("accelerometer")
    content = written(dataset.stream("accelerometer", index), rate_hz)
    sent = {"file": ("training", content)}
    stated: dict[str, Any] = {"rate_hz": rate_hz, "unit": "g"} if written is as_npy else {}
    answer = service.post(URL, params={"top_k": 100, **stated}, files=sent)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
