"""Convolutions and blocks that several networks share."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pskd_core.models.layers import ResidualBlock, StridedPointwise, convolution, shortcut


@pytest.mark.parametrize("stride", [(1, 2), (2, 2)])
def test_a_strided_pointwise_convolution_is_the_ordinary_one(stride: tuple[int, int]) -> None:
    """Leaving places out before or within the convolution gives the same values and gradients, odd lengths too."""
    ours = convolution(16, 8, kernel=(1, 1), stride=stride)
    assert isinstance(ours, StridedPointwise)
    x, other = (torch.randn(2, 16, 5, 9, generator=torch.Generator().manual_seed(0)) for _ in range(2))
    x.requires_grad_(True)
    other.requires_grad_(True)
    found, expected = ours(x), F.conv2d(other, ours.weight, stride=stride)
    torch.autograd.backward(found.square().sum())
    torch.autograd.backward(expected.square().sum())

    assert torch.allclose(found, expected, atol=1e-6)
    assert x.grad is not None
    assert other.grad is not None
    assert torch.allclose(x.grad, other.grad, atol=1e-5)


def test_a_shortcut_is_the_input_where_it_fits() -> None:
    """Only other channels or a stride need a projection."""
    assert isinstance(shortcut(4, 4, stride=(1,)), nn.Identity)
    assert shortcut(4, 8, stride=(1,))(torch.randn(2, 4, 9)).shape == (2, 8, 9)
    assert shortcut(4, 4, stride=(2, 2))(torch.randn(2, 4, 9, 6)).shape == (2, 4, 5, 3)


@pytest.mark.parametrize("axes", [1, 2])
def test_a_block_over_series_and_images(axes: int) -> None:
    """One axis or two: without its kernels, a block is the ReLU of its shortcut."""
    block = ResidualBlock(4, 4, kernel=(3,) * axes, stride=(1,) * axes).eval()
    for parameter in block.body.parameters():
        parameter.data.zero_()
    x = torch.randn(2, 4, *(7,) * axes)

    assert torch.equal(block(x), torch.relu(x))
