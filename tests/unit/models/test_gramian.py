"""Gramian angular fields, and the image network."""

import math

import pytest
import torch

from pskd_core.models.gramian import Field, GafResNet18, gramian_fields


def test_fields_by_their_angles() -> None:
    """GASF is the cosine of the sum and GADF the sine of the difference of the angles arccos x."""
    series = torch.randn(2, 3, 9, dtype=torch.float64)
    low, high = series.amin(2, keepdim=True), series.amax(2, keepdim=True)
    angle = torch.arccos((2 * (series - low) / (high - low) - 1).clamp(-1, 1))
    here, there = angle.unsqueeze(3), angle.unsqueeze(2)

    assert torch.allclose(gramian_fields(series, field="gasf"), torch.cos(here + there), atol=1e-7)
    assert torch.allclose(gramian_fields(series, field="gadf"), torch.sin(here - there), atol=1e-7)


def test_three_samples_by_hand() -> None:
    """A ramp from −1 over 0 to 1 has the angles π, π/2 and 0."""
    difference, summation = gramian_fields(torch.tensor([[[4.0, 5, 6]]]), field="both")[0]

    assert torch.allclose(difference, torch.tensor([[0.0, 1, 0], [-1, 0, 1], [0, -1, 0]]))
    assert torch.allclose(summation, torch.tensor([[1.0, 0, -1], [0, -1, 0], [-1, 0, 1]]))


def test_a_constant_channel_stays_finite() -> None:
    """A sensor that reads one value gives the field of the angle π."""
    fields = gramian_fields(torch.full((1, 1, 4), 3.0), field="both")

    assert torch.equal(fields[0, 0], torch.zeros(4, 4))
    assert torch.equal(fields[0, 1], torch.ones(4, 4))


@pytest.mark.parametrize(("field", "images"), [("gadf", 3), ("gasf", 3), ("both", 6)])
def test_resnet_18_over_the_fields(field: Field, images: int) -> None:
    """Eighteen layers with weights: stem, 16 in blocks, and the head's; a 64-pixel image ends as 2 by 2."""
    network = GafResNet18(channels_in=3, field=field, image=64, width=4)
    kernels = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]

    assert kernels[0].in_channels == images
    assert len([kernel for kernel in kernels if kernel.kernel_size != (1, 1)]) == 17
    assert network(torch.randn(2, 3, 128)).shape == (2, network.channels_out, 2, 2) == (2, 32, 2, 2)


def test_amplitude_and_offset_of_a_channel_do_not_count() -> None:
    """Each channel is scaled by its own extremes, as published: what is left is its shape."""
    series = torch.randn(1, 2, 16, dtype=torch.float64)
    factor = torch.tensor([2.0, 0.1], dtype=torch.float64).reshape(1, 2, 1)

    moved = gramian_fields(series * factor + math.pi, field="both")
    assert torch.allclose(moved, gramian_fields(series, field="both"), atol=1e-6)
