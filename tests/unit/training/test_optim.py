"""The learning rate as a function of a network's own steps."""

from itertools import pairwise

import pytest
import torch

from pskd_core.config import Optim
from pskd_core.training.optim import apply_step, learning_rate, make_optimiser

CONFIG = Optim(learning_rate=1e-2, warmup_epochs=2)


def rates(total: int, config: Optim = CONFIG) -> list[float]:
    """The whole course at 10 steps an epoch."""
    return [learning_rate(config, step=step, total_steps=total, steps_per_epoch=10) for step in range(total)]


def test_rises_linearly_to_its_peak_and_falls_to_nearly_zero() -> None:
    """Warm-up covers 2 epochs of 10 steps; the last step is small but not zero."""
    course = rates(100)
    assert course[:21] == pytest.approx([1e-2 * (step + 1) / 21 for step in range(21)])
    assert max(course) == pytest.approx(1e-2)
    assert all(later < earlier for earlier, later in pairwise(course[20:]))
    assert 0 < course[-1] < 1e-4


def test_a_run_shorter_than_its_warm_up_still_moves() -> None:
    """One epoch under a warm-up of two never divides by zero and never exceeds the peak."""
    course = rates(10)
    assert all(0 < rate <= 1e-2 for rate in course)


def test_norms_and_biases_are_not_decayed() -> None:
    """A zero gradient leaves vectors alone and shrinks matrices."""
    network = torch.nn.Linear(3, 2)
    torch.nn.init.ones_(network.weight)
    torch.nn.init.ones_(network.bias)
    optimiser = make_optimiser(network, Optim(weight_decay=0.5))
    loss = (network(torch.zeros(1, 3)) * 0).sum()
    apply_step(network, optimiser, loss, rate=0.1, clip_norm=None)
    assert torch.equal(network.bias, torch.ones(2))
    assert torch.allclose(network.weight, torch.full((2, 3), 0.95))
