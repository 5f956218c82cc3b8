"""Small one-dimensional convolutional networks over worn sensors."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pskd_core.models.layers import conv_norm, convolution, residual_stages, shortcut

_BLOCKS_A_SHORTCUT = 3


class ResNet1d(nn.Module):
    """Convolution stem, then residual stages; each later stage doubles the channels and halves the samples.

    (N, C, T) → feature map (N, width · 2^(stages − 1), ⌈T / 2^(stages − 1)⌉).
    """

    def __init__(self, *, channels_in: int, width: int, blocks: Sequence[int], kernel: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_norm(channels_in, width, kernel=(kernel,)), nn.ReLU())
        self.stages = residual_stages(width, blocks, kernel=(kernel,))
        self.channels_out = width * 2 ** (len(blocks) - 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) → (N, C_out, T_out)."""
        features: Tensor = self.stages(self.stem(x))
        return features


class Inception1d(nn.Module):
    """Blocks of parallel kernels of several lengths (InceptionTime, Ismail Fawaz et al., DMKD 2020).

    Time keeps its length: (N, C, T) → feature map (N, width · (kernels + 1), T).
    """

    def __init__(self, *, channels_in: int, width: int, depth: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.channels_out = width * (len(kernels) + 1)
        inputs = (channels_in, *[self.channels_out] * (depth - 1))
        self.blocks = nn.ModuleList(InceptionBlock(channels, width, kernels) for channels in inputs)
        self.shortcuts = nn.ModuleList(
            shortcut(channels, self.channels_out, stride=(1,))
            for channels in inputs[: depth - depth % _BLOCKS_A_SHORTCUT : _BLOCKS_A_SHORTCUT]
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) → (N, C_out, T)."""
        start = x
        for index, block in enumerate(self.blocks, 1):
            x = block(x)
            if index % _BLOCKS_A_SHORTCUT == 0:
                start = x = F.relu(x + self.shortcuts[index // _BLOCKS_A_SHORTCUT - 1](start))
        return x


class InceptionBlock(nn.Module):
    """ReLU(BN(kernels of each length over a 1×1 bottleneck, and a 1×1 over the running maximum))."""

    def __init__(self, channels_in: int, width: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.bottleneck = convolution(channels_in, width, kernel=(1,))
        self.branches = nn.ModuleList(convolution(width, width, kernel=(kernel,)) for kernel in kernels)
        self.maximum = nn.Sequential(nn.MaxPool1d(3, stride=1, padding=1), convolution(channels_in, width, kernel=(1,)))
        self.norm = nn.BatchNorm1d(width * (len(kernels) + 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) → (N, width · (kernels + 1), T)."""
        narrow = self.bottleneck(x)
        joined = torch.cat([*(branch(narrow) for branch in self.branches), self.maximum(x)], dim=1)
        return F.relu(self.norm(joined))


class Tiny(nn.Module):
    """Stem and three depthwise separable blocks (MobileNet's, Howard et al., 2017).

    (N, C, T) → feature map (N, 4 · width, ⌈T / 8⌉).
    """

    def __init__(self, *, channels_in: int, width: int, kernel: int) -> None:
        super().__init__()
        self.channels_out = 4 * width
        self.layers = nn.Sequential(
            *conv_norm(channels_in, width, kernel=(kernel,)),
            nn.ReLU(),
            *_separable(width, 2 * width, kernel=kernel),
            *_separable(2 * width, 4 * width, kernel=kernel),
            *_separable(4 * width, 4 * width, kernel=kernel),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) → (N, C_out, T_out)."""
        features: Tensor = self.layers(x)
        return features


def _separable(channels_in: int, channels_out: int, *, kernel: int) -> list[nn.Module]:
    """Halves the samples with one kernel a channel, then mixes the channels."""
    return [
        *conv_norm(channels_in, channels_in, kernel=(kernel,), stride=(2,), groups=channels_in),
        nn.ReLU(),
        *conv_norm(channels_in, channels_out, kernel=(1,)),
        nn.ReLU(),
    ]
