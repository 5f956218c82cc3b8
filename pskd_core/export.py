"""The trained student as a bundle: `model.onnx`, `weights.safetensors`, `bundle.json`; checked against its source."""

import logging
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from safetensors.torch import save_file
from torch import nn

from pskd_core.bundle import MODEL_FILE, BundleInfo, Durations
from pskd_core.data.batches import Clips
from pskd_core.errors import ParityError
from pskd_core.evaluation.calibration import Space
from pskd_core.files import atomic_directory
from pskd_core.models.output import Output
from pskd_core.shapes import FloatArray

OPSET = 20
PARITY_TOLERANCE = 1e-5
WEIGHTS_FILE = "weights.safetensors"


class Served(nn.Module):
    """The student as it is served: (N, 3·S, T) samples in the streams' units → logits and probabilities (N, K).

    Besides, the distance (N,) of each window from the nearest class of its training.
    """

    whitening: torch.Tensor
    centres: torch.Tensor

    def __init__(self, network: nn.Module, inputs: tuple[str, ...], space: Space) -> None:
        super().__init__()
        self.network = network
        self.inputs = inputs
        self.register_buffer("whitening", torch.from_numpy(space.whitening))
        self.register_buffer("centres", torch.from_numpy(space.centres))

    def forward(self, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Split the channels into the network's streams, three each."""
        output: Output = self.network(dict(zip(self.inputs, torch.split(windows, 3, dim=1), strict=True)))
        apart = (output.embedding @ self.whitening.T).unsqueeze(1) - self.centres  # (N, classes, D)
        return output.logits, output.logits.softmax(dim=1), apart.square().sum(dim=2).amin(dim=1).sqrt()


def export_bundle(directory: Path, network: nn.Module, info: BundleInfo, *, space: Space, examples: FloatArray) -> None:
    """Write a bundle folder, whole or not at all.

    Args:
        directory: must not exist.
        network: the student, on the CPU.
        info: what the bundle says about itself.
        space: where its training recordings lie.
        examples: (N, 3·S, T) real windows, N ≥ 2, on which export and source are compared.

    Raises:
        ParityError: the exported network's probabilities differ from its source's by more than 1e-5.
    """
    served = Served(network, info.inputs, space).eval()
    with atomic_directory(directory) as partial:
        _export_onnx(served, torch.from_numpy(examples[:2]), partial / MODEL_FILE)
        _check_parity(served, examples, partial / MODEL_FILE)
        save_file({key: value.contiguous() for key, value in network.state_dict().items()}, partial / WEIGHTS_FILE)
        info.write(partial)


def durations(clips: Clips) -> Durations:
    """The range of the training clips' durations."""
    seconds = clips.durations_s
    return Durations(min=float(seconds.min()), median=float(np.median(seconds)), max=float(seconds.max()))


def holds_gravity(accelerations_g: FloatArray) -> bool:
    """Whether clips (N, 3, T) in g hold gravity: their mean vectors are then about 1 g long, else near 0."""
    return bool(np.median(np.linalg.norm(accelerations_g.mean(axis=2), axis=1)) > 0.5)


def created_by() -> str:
    """Name and version of this software."""
    return f"pskd {version('pskd')}"


def _export_onnx(served: Served, example: torch.Tensor, file: Path) -> None:
    # The exporter tells of every step, and warns of its own dependencies' deprecations; what matters raises.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            served,
            (example,),
            file,
            input_names=["windows"],
            output_names=["logits", "probabilities", "distance"],
            dynamic_shapes=({0: torch.export.Dim.AUTO},),
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )


@torch.inference_mode()
def _check_parity(served: Served, examples: FloatArray, file: Path) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    # Two batch sizes: an exporter that fixes the batch axis shows here.
    for windows in (examples[:1], examples):
        expected = served(torch.from_numpy(windows))[1].numpy()
        found = session.run(["probabilities"], {"windows": windows})[0]
        difference = float(np.abs(found - expected).max())
        if not difference <= PARITY_TOLERANCE:
            raise ParityError(difference, PARITY_TOLERANCE)
