"""What several networks are made of: convolution with batch-norm, residual blocks and stages, over series or images.

Kernels and strides are given axis by axis, so that their number says what is convolved: (7,) series, (3, 3) images.
"""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

_CONVOLUTIONS: dict[int, type[nn.Conv1d] | type[nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
_NORMS: dict[int, type[nn.BatchNorm1d] | type[nn.BatchNorm2d]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}


def convolution(
    channels_in: int, channels_out: int, *, kernel: Sequence[int], stride: Sequence[int] | None = None, groups: int = 1
) -> nn.Module:
    """An odd kernel, padded so that each axis becomes ⌈length / stride⌉; kaiming fan-out.

    There is no bias: a batch-norm follows every convolution and would take it away again.
    """
    stride = tuple(stride or (1,) * len(kernel))
    strided_pointwise = set(kernel) == {1} and set(stride) != {1} and len(kernel) == 2
    make: Any = StridedPointwise if strided_pointwise else _CONVOLUTIONS[len(kernel)]
    padding = tuple(size // 2 for size in kernel)
    conv: nn.Conv1d | nn.Conv2d = make(
        channels_in, channels_out, tuple(kernel), stride=stride, padding=padding, groups=groups, bias=False
    )
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def conv_norm(
    channels_in: int, channels_out: int, *, kernel: Sequence[int], stride: Sequence[int] | None = None, groups: int = 1
) -> nn.Sequential:
    """A convolution and its batch-norm."""
    conv = convolution(channels_in, channels_out, kernel=kernel, stride=stride, groups=groups)
    return nn.Sequential(conv, _NORMS[len(kernel)](channels_out))


def shortcut(channels_in: int, channels_out: int, *, stride: Sequence[int]) -> nn.Module:
    """What is added to a block's output: its input, or a projection of it where the shapes differ."""
    if channels_in == channels_out and set(stride) == {1}:
        return nn.Identity()
    return conv_norm(channels_in, channels_out, kernel=(1,) * len(stride), stride=stride)


class StridedPointwise(nn.Conv2d):
    """A 1×1 convolution with a stride that leaves places out first.

    The same as the convolution's own stride, whose backward pass in torch 2.13 on a processor (oneDNN) writes beyond
    its memory where fewer than 16 channels lie channels-last: glibc then finds a corrupted heap, now or later.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C_out, ⌈H / stride⌉, ⌈W / stride⌉)."""
        down, across = self.stride
        return F.conv2d(x[:, :, ::down, ::across], self.weight)


class ResidualBlock(nn.Module):
    """ReLU(BN(conv(ReLU(BN(conv(x))))) + shortcut(x))."""

    def __init__(self, channels_in: int, channels_out: int, *, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_norm(channels_in, channels_out, kernel=kernel, stride=stride),
            nn.ReLU(),
            *conv_norm(channels_out, channels_out, kernel=kernel),
        )
        self.shortcut = shortcut(channels_in, channels_out, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, …) → (N, C_out, …), each axis ⌈length / stride⌉."""
        return F.relu(self.body(x) + self.shortcut(x))


def residual_stages(width: int, blocks: Sequence[int], *, kernel: Sequence[int]) -> nn.Sequential:
    """`blocks[s]` residual blocks in stage s; each stage after the first doubles the channels and halves the axes."""
    layers: list[nn.Module] = []
    channels = width
    for stage, count in enumerate(blocks):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            layers.append(ResidualBlock(channels, width * 2**stage, kernel=kernel, stride=(stride,) * len(kernel)))
            channels = width * 2**stage
    return nn.Sequential(*layers)
