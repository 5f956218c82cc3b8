"""Small one-dimensional networks over worn sensors."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class ResNet1d(nn.Module):
    """Convolution stem, then residual stages; each later stage doubles the channels and halves the samples.

    (N, C, T) → feature map (N, width · 2^(stages − 1), ⌈T / 2^(stages − 1)⌉).
    """

    def __init__(self, *, channels_in: int, width: int, blocks: Sequence[int], kernel: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(channels_in, width, kernel=kernel), nn.BatchNorm1d(width), nn.ReLU())
        stages: list[nn.Module] = []
        channels = width
        for stage, count in enumerate(blocks):
            for index in range(count):
                first_of_later = stage > 0 and index == 0
                channels_out = width * 2**stage
                stages.append(ResidualBlock(channels, channels_out, kernel=kernel, stride=2 if first_of_later else 1))
                channels = channels_out
        self.stages = nn.Sequential(*stages)
        self.channels_out = channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) → (N, C_out, T_out)."""
        features: Tensor = self.stages(self.stem(x))
        return features


class ResidualBlock(nn.Module):
    """ReLU(BN(conv(ReLU(BN(conv(x))))) + shortcut(x))."""

    def __init__(self, channels_in: int, channels_out: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels_in, channels_out, kernel=kernel, stride=stride),
            nn.BatchNorm1d(channels_out),
            nn.ReLU(),
            _conv(channels_out, channels_out, kernel=kernel),
            nn.BatchNorm1d(channels_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                _conv(channels_in, channels_out, kernel=1, stride=stride), nn.BatchNorm1d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) → (N, C_out, ⌈T / stride⌉)."""
        return F.relu(self.body(x) + self.shortcut(x))


def _conv(channels_in: int, channels_out: int, *, kernel: int, stride: int = 1) -> nn.Conv1d:
    # No bias: a batch-norm follows every convolution.
    conv = nn.Conv1d(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv
