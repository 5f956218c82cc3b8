"""The adaptive graph network against its published formulation."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from pskd_core.data.columnar import SkeletonInfo
from pskd_core.models.graph import adjacency
from pskd_core.models.skeleton import AdaptiveGcn, Block, SpatialUnit, stage_channels
from tests.unit.models.plain_agcn import plain_agcn


def agcn(skeleton: SkeletonInfo, *, width: int = 8, depth: int = 5) -> AdaptiveGcn:
    """A small network whose parts all matter: fresh ones hide the graph behind weights of 1e-6."""
    torch.manual_seed(1)
    network = AdaptiveGcn(adjacency(skeleton), channels_in=3, width=width, depth=depth, temporal_kernel=9)
    with torch.no_grad():
        for unit in network.modules():
            if isinstance(unit, SpatialUnit):
                unit.norm.weight.uniform_(0.5, 1.5)
                unit.learned.normal_(std=0.1)
                unit.embed.get_parameter("bias").normal_()
    return network


def spread(conv: nn.Module) -> float:
    """Standard deviation of a layer's weights."""
    return conv.get_parameter("weight").std().item()


def clips(*, frames: int = 32) -> Tensor:
    return torch.randn(4, 3, frames, 20, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("training", [True, False])
def test_agrees_with_the_published_formulation(skeleton: SkeletonInfo, training: bool) -> None:
    """Merged products and the channels-last layout change no value: same weights, same feature map to 1e-5."""
    network = agcn(skeleton).train(training)
    other = copy.deepcopy(network)

    expected = plain_agcn(other, clips())
    assert (network(clips()) - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_gradients_agree_with_the_published_formulation(skeleton: SkeletonInfo) -> None:
    """Every parameter is pulled the same way as in the plain transcription (in float64)."""
    network = agcn(skeleton).double()
    other = copy.deepcopy(network)
    torch.autograd.backward(network(clips().double()).square().sum())
    torch.autograd.backward(plain_agcn(other, clips().double()).square().sum())

    for (name, ours), theirs in zip(network.named_parameters(), other.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-7, atol=1e-8), name


def test_stages_and_strides(skeleton: SkeletonInfo) -> None:
    """Ten blocks are 64×4, 128×3, 256×3 and halve time at blocks 5 and 8; block 1 has no residual."""
    assert stage_channels(64, 10) == (64,) * 4 + (128,) * 3 + (256,) * 3
    assert stage_channels(16, 8) == (16,) * 4 + (32,) * 2 + (64,) * 2
    assert stage_channels(4, 3) == (4, 8, 16)

    blocks = agcn(skeleton, width=4, depth=10).blocks
    assert all(isinstance(block, Block) for block in blocks)
    strides = [block.temporal[0].stride[1] for block in blocks]  # type: ignore[index]
    assert strides == [1, 1, 1, 1, 2, 1, 1, 2, 1, 1]
    assert [block.residual is None for block in blocks] == [True] + [False] * 9


def test_feature_map_quarters_time_and_keeps_joints(skeleton: SkeletonInfo) -> None:
    """(N, 3, T, V) becomes (N, 4·width, ⌈T/4⌉, V), also for a T that 4 does not divide."""
    network = agcn(skeleton)

    assert network(clips(frames=32)).shape == (4, network.channels_out, 8, 20) == (4, 32, 8, 20)
    assert network(clips(frames=30)).shape == (4, 32, 8, 20)


def test_initialisation_is_the_published_one(skeleton: SkeletonInfo) -> None:
    """B_k and the spatial batch-norm's weight start at 1e-6; W_k, θ_k, φ_k and temporal kernels at their variances."""
    torch.manual_seed(0)
    block = Block(adjacency(skeleton), 64, 128, stride=1, kernel=9, residual=True)
    unit = block.spatial

    assert (unit.learned == 1e-6).all()
    assert (unit.norm.weight == 1e-6).all()
    assert (unit.embed.get_parameter("bias") == 0).all()
    assert spread(unit.transform) == pytest.approx(math.sqrt(2 / (128 * 64 * 1 * 3)), rel=0.03)
    assert spread(unit.embed) == pytest.approx(math.sqrt(2 / 32), rel=0.03)
    assert spread(block.temporal[0]) == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.03)


def test_a_fresh_spatial_unit_is_its_residual(skeleton: SkeletonInfo) -> None:
    """With a batch-norm weight of 1e-6 the graph enters training step by step."""
    unit = SpatialUnit(adjacency(skeleton), 8, 8)
    x = torch.rand(2, 8, 20, 16)

    assert torch.allclose(unit(x), x, atol=1e-4)


def test_renaming_joints_only_renames_features(skeleton: SkeletonInfo) -> None:
    """Joints are known by the graph, not by their order: permuting both permutes the feature map."""
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    network, renamed = agcn(skeleton).double(), agcn(skeleton).double()
    batch = clips().double()
    for unit in renamed.modules():
        if isinstance(unit, SpatialUnit):
            unit.adjacency = unit.adjacency[:, order][:, :, order]
            unit.learned.data = unit.learned.data[:, order][:, :, order]

    assert torch.allclose(renamed(batch[..., order]), network(batch)[..., order])


def test_a_clip_does_not_depend_on_its_batch(skeleton: SkeletonInfo) -> None:
    """In evaluation mode C_k is each sample's own: alone or in company, the features are the same."""
    network = agcn(skeleton).double().eval()
    batch = clips().double()

    assert torch.allclose(network(batch)[1:2], network(batch[1:2]))
