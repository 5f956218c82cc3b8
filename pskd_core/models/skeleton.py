"""Adaptive graph convolutional network over skeleton clips (2s-AGCN, Shi et al., CVPR 2019).

Inside, tensors are (N, C, V, T) and lie channels-last in memory: one joint's whole clip is then a row of T·C numbers,
so that graph products, 1×1 and temporal convolutions all run without rearranging anything.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pskd_core.models.layers import conv_norm, shortcut

SUBSETS = 3


class AdaptiveGcn(nn.Module):
    """Data batch-norm, then blocks of a spatial and a temporal unit.

    (N, C, T, V) → feature map (N, 4·width, ⌈T/4⌉, V). Of several persons (N, C, T, V, M) each passes the network alone,
    and the map is their mean; a person who is not there counts as zeros, as published. The data batch-norm is shared by
    the persons (published: one for each place), so that nothing depends on their order or number.
    """

    def __init__(self, adjacency: Tensor, *, channels_in: int, width: int, depth: int, temporal_kernel: int) -> None:
        super().__init__()
        self.data_norm = nn.BatchNorm1d(adjacency.shape[-1] * channels_in)
        outputs = stage_channels(width, depth)
        self.channels_out = outputs[-1]
        inputs = (channels_in, *outputs)
        self.blocks = nn.Sequential(
            *(
                Block(
                    adjacency,
                    inputs[index],
                    outputs[index],
                    stride=2 if index and inputs[index] != outputs[index] else 1,
                    kernel=temporal_kernel,
                    residual=index > 0,
                )
                for index in range(depth)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, V) or (N, C, T, V, M) → (N, C_out, T_out, V)."""
        if x.ndim == 4:
            return self._features(x)
        N, M = x.shape[0], x.shape[4]
        persons = x.movedim(4, 1).flatten(0, 1)  # (N·M, C, T, V)
        return torch.unflatten(self._features(persons), 0, (N, M)).mean(dim=1)

    def _features(self, x: Tensor) -> Tensor:
        N, C, T, V = x.shape
        features = x.permute(0, 3, 1, 2).reshape(N, V * C, T)
        x = self.data_norm(features).view(N, V, C, T).transpose(1, 2)  # (N, C, V, T)
        x = self.blocks(x.contiguous(memory_format=torch.channels_last))
        return x.transpose(2, 3)


def stage_channels(width: int, depth: int) -> tuple[int, ...]:
    """Output channels of each block: three stages of width, 2·width, 4·width; the first takes what 3 leaves over."""
    later = depth // 3
    return (width,) * (depth - 2 * later) + (2 * width,) * later + (4 * width,) * later


class Block(nn.Module):
    """ReLU(temporal(spatial(x)) + residual(x)); the first block of a network has no residual."""

    def __init__(
        self, adjacency: Tensor, channels_in: int, channels_out: int, *, stride: int, kernel: int, residual: bool
    ) -> None:
        super().__init__()
        self.spatial = SpatialUnit(adjacency, channels_in, channels_out)
        self.temporal = conv_norm(channels_out, channels_out, kernel=(1, kernel), stride=(1, stride))
        self.residual = shortcut(channels_in, channels_out, stride=(1, stride)) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, V, T) → (N, C_out, V, T_out)."""
        y: Tensor = self.temporal(self.spatial(x))
        if self.residual is not None:
            y = y.add_(self.residual(x))
        return F.relu_(y)


class SpatialUnit(nn.Module):
    """y = ReLU(BN(Σ_k W_k (x · (A_k + B_k + C_k(x)))) + residual(x)).

    A_k is the skeleton, B_k is learned and alike for all samples, C_k(x) = softmax over the source joint of
    θ_k(x)ᵀ φ_k(x) / (C_e · T) is the sample's own, with 1×1 convolutions θ_k, φ_k to C_e = C_out / 4 channels.
    """

    def __init__(self, adjacency: Tensor, channels_in: int, channels_out: int) -> None:
        super().__init__()
        joints = adjacency.shape[-1]
        embedding = channels_out // 4
        self.register_buffer("adjacency", adjacency, persistent=False)  # belongs to the dataset, not to the weights
        self.adjacency: Tensor
        self.learned = nn.Parameter(torch.full_like(adjacency, 1e-6))  # B_k
        # θ_1 θ_2 θ_3 φ_1 φ_2 φ_3 in one: six products with a few channels each would leave a core half idle.
        self.embed = nn.Conv2d(channels_in, 2 * SUBSETS * embedding, 1)
        # The subsets' W_k: gathered joints lie in three runs of V, and a kernel of 3 dilated by V adds those up.
        self.transform = nn.Conv2d(channels_in, channels_out, (SUBSETS, 1), dilation=(joints, 1), bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.residual = shortcut(channels_in, channels_out, stride=(1, 1))
        nn.init.normal_(self.embed.weight, std=math.sqrt(2 / embedding))  # kaiming fan-out of each single θ_k, φ_k
        nn.init.zeros_(self.embed.get_parameter("bias"))
        nn.init.normal_(self.transform.weight, std=math.sqrt(2 / (channels_out * channels_in * SUBSETS)))
        nn.init.constant_(self.norm.weight, 1e-6)  # the unit starts as its residual

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, V, T) → (N, C_out, V, T)."""
        N, C, V, T = x.shape
        clips = x.permute(0, 2, 3, 1).reshape(N, V, T * C)  # a view: x lies channels-last
        gathered = torch.bmm(self._mixing(x), clips).view(N, SUBSETS * V, T, C)
        y: Tensor = self.norm(self.transform(gathered.permute(0, 3, 1, 2)))
        return F.relu_(y.add_(self.residual(x)))

    def _mixing(self, x: Tensor) -> Tensor:
        """Transposed A_k + B_k + C_k(x): (N, 3·V, V), rows are the targets of each subset, columns the sources."""
        theta, phi = (_rows_by_subset(half) for half in self.embed(x).chunk(2, dim=1))  # each (N, 3, V, C_e·T)
        own: Tensor = torch.softmax(phi @ theta.mT / theta.shape[-1], dim=-1)
        return (own + (self.adjacency + self.learned).mT).flatten(1, 2)


def _rows_by_subset(embedded: Tensor) -> Tensor:
    """(N, 3·C_e, V, T) → (N, 3, V, C_e·T)."""
    return torch.unflatten(embedded, 1, (SUBSETS, -1)).transpose(2, 3).flatten(3)
