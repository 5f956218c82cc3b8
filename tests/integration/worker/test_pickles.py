"""What workers, API and core read back from the object store is data: a pickle in its place never runs."""

from pathlib import Path

import pytest
import torch

from pskd_core.data.columnar import Dataset
from pskd_core.data.splits import plan_folds
from pskd_core.errors import CheckpointError, DataError, PskdError
from pskd_core.evaluation.comparison import read_predictions
from pskd_core.inference import Bundle
from pskd_core.run import Run
from pskd_core.training.checkpoint import load_checkpoint
from tests.fuzz.corpus import Payload, pickles
from tests.integration.api.stored import write_tiny_bundle
from tests.integration.worker.stack import small_spec
from tests.small import small_dataset


def forms(canary: Path, folder: Path) -> dict[str, bytes]:
    """The payload in every form, also as torch itself saves it."""
    torch.save({"weights": Payload(canary)}, folder / "saved.pt")
    return pickles(canary) | {"saved.pt": (folder / "saved.pt").read_bytes()}


def test_no_file_of_a_bundle_is_unpickled(tmp_path: Path) -> None:
    """In the place of the model and of its description, each form is refused and none runs."""
    canary = tmp_path / "canary"
    for data in forms(canary, tmp_path).values():
        for name in ("model.onnx", "bundle.json"):
            (bundle := tmp_path / "bundle").mkdir(exist_ok=True)
            write_tiny_bundle(bundle)
            (bundle / name).write_bytes(data)
            with pytest.raises(DataError):
                Bundle.load(bundle)
    assert not canary.exists()


def test_no_file_of_a_checkpoint_is_unpickled(tmp_path: Path) -> None:
    """A run that is to go on from such a checkpoint says that it cannot be read, and begins nothing."""
    canary, data = tmp_path / "canary", small_dataset(tmp_path / "data")
    spec = small_spec()
    fold = plan_folds(spec, data.info, data.recordings)[0]
    run, checkpoint = Run(data, spec, fold, 0), tmp_path / "checkpoint"
    run.checkpoint(checkpoint)
    sound = {name: (checkpoint / name).read_bytes() for name in ("tensors.safetensors", "state.json")}
    for content in forms(canary, tmp_path).values():
        for name, data_before in sound.items():
            (checkpoint / name).write_bytes(content)
            with pytest.raises(CheckpointError):
                load_checkpoint(checkpoint, run.state, run.identity)
            (checkpoint / name).write_bytes(data_before)
    load_checkpoint(checkpoint, run.state, run.identity)
    assert not canary.exists()


def test_no_stored_predictions_and_no_stored_dataset_are_unpickled(tmp_path: Path) -> None:
    """Predictions in each form are refused as damaged, and so is a dataset's description."""
    canary = tmp_path / "canary"
    data = small_dataset(tmp_path / "data")
    for content in forms(canary, tmp_path).values():
        with pytest.raises(PskdError):
            read_predictions(content, file="predictions.npz")
        (data.path / "dataset.json").write_bytes(content)
        with pytest.raises(DataError):
            Dataset.open(data.path)
    assert not canary.exists()
