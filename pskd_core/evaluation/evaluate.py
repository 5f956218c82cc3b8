"""Logits and embeddings of a network over prepared clips, and the averaged weights made ready to be judged."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pskd_core.data.batches import Clips
from pskd_core.shapes import FloatArray, Logits

# Fixed, so that the arithmetic of a figure never depends on a job's batch size.
EVALUATION_BATCH = 64


@torch.inference_mode()
def predict(network: nn.Module, clips: Clips, *, device: torch.device) -> Logits:
    """Logits (N, K) of every clip, in order, without augmentation."""
    network.eval()
    return np.concatenate([network(inputs).logits.float().cpu().numpy() for inputs in _inputs(clips, device)])


@torch.inference_mode()
def embed(network: nn.Module, clips: Clips, *, device: torch.device) -> FloatArray:
    """Embeddings (N, D) of every clip, in order, without augmentation."""
    network.eval()
    return np.concatenate([network(inputs).embedding.float().cpu().numpy() for inputs in _inputs(clips, device)])


@torch.no_grad()
def refresh_batch_norm(network: nn.Module, clips: Clips, *, device: torch.device) -> None:
    """Estimate batch-norm statistics again over the training clips, as averaged weights need.

    Every batch counts alike: their moments are averaged without momentum.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for inputs in _inputs(clips, device):
        network(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def _inputs(clips: Clips, device: torch.device) -> Iterator[dict[str, torch.Tensor]]:
    # Parts of nearly equal size: a last one of a single clip would give batch-norm no variance to estimate.
    for rows in np.array_split(np.arange(len(clips)), max(1, round(len(clips) / EVALUATION_BATCH))):
        part = clips.take(rows)
        yield {stream: torch.from_numpy(values).to(device) for stream, values in part.streams.items()}
