"""The convolutional networks over sensors."""

import pytest
import torch

from pskd_core.models.students import Inception1d, InceptionBlock, ResNet1d, Tiny


@pytest.mark.parametrize(
    ("blocks", "channels_out", "frames_out"), [((1,), 8, 50), ((1, 1, 1), 32, 13), ((2, 3), 16, 25)]
)
def test_stages_double_channels_and_halve_samples(blocks: tuple[int, ...], channels_out: int, frames_out: int) -> None:
    """Each stage after the first doubles the width with stride 2, odd lengths rounded up."""
    network = ResNet1d(channels_in=3, width=8, blocks=blocks, kernel=7)

    assert network.channels_out == channels_out
    assert network(torch.randn(2, 3, 50)).shape == (2, channels_out, frames_out)


def test_one_block_by_hand() -> None:
    """In evaluation mode with zeroed block kernels, stem and ReLU are all that is left of the network."""
    network = ResNet1d(channels_in=3, width=4, blocks=(1,), kernel=3).eval()
    for block in network.stages:
        for parameter in block.parameters():
            parameter.data.zero_()
    x = torch.randn(2, 3, 10)

    assert torch.equal(network(x), network.stem(x))


def test_every_weight_learns() -> None:
    """A gradient reaches all parameters."""
    network = ResNet1d(channels_in=6, width=4, blocks=(1, 2), kernel=5)
    torch.autograd.backward(network(torch.randn(8, 6, 32)).square().sum())

    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


def test_inception_joins_every_kernel_and_the_maximum() -> None:
    """A block's channels are one group for each kernel and one of the running maximum, and time keeps its length."""
    block = InceptionBlock(3, 4, (5, 9)).eval()
    x = torch.randn(2, 3, 20)
    narrow = block.bottleneck(x)
    groups = [*(branch(narrow) for branch in block.branches), block.maximum(x)]

    assert block(x).shape == (2, 12, 20)
    assert torch.allclose(block(x), torch.relu(block.norm(torch.cat(groups, dim=1))))


@pytest.mark.parametrize(("depth", "shortcuts"), [(2, 0), (3, 1), (5, 1), (6, 2)])
def test_inception_has_a_shortcut_over_every_three_blocks(depth: int, shortcuts: int) -> None:
    """Blocks that no third one closes have none."""
    network = Inception1d(channels_in=3, width=4, depth=depth, kernels=(5, 9))

    assert len(network.shortcuts) == shortcuts
    assert network(torch.randn(2, 3, 20)).shape == (2, network.channels_out, 20) == (2, 12, 20)


@pytest.mark.parametrize(("frames", "frames_out"), [(128, 16), (50, 7)])
def test_tiny_halves_time_three_times(frames: int, frames_out: int) -> None:
    """Three separable blocks with stride 2, odd lengths rounded up."""
    network = Tiny(channels_in=3, width=8, kernel=7)

    assert network(torch.randn(2, 3, frames)).shape == (2, 32, frames_out)
