"""The sensor network."""

import pytest
import torch

from pskd_core.models.students import ResNet1d


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
