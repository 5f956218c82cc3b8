"""AdamW with warm-up and cosine decay, as a function of a network's own steps."""

import math

import torch
from torch import nn

from pskd_core.config import Optim
from pskd_core.parallel import ALONE, Team


def make_optimiser(network: nn.Module, config: Optim) -> torch.optim.AdamW:
    """AdamW; vectors (biases, normalisation) are not decayed, matrices and kernels are."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, foreach=True)


def learning_rate(config: Optim, *, step: int, total_steps: int, steps_per_epoch: int) -> float:
    """Rate of step `step` (from 0): linear warm-up over `warmup_epochs`, then half a cosine down to zero."""
    warmup = min(config.warmup_epochs * steps_per_epoch, total_steps - 1)
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(total_steps - warmup, 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def apply_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss: torch.Tensor,
    *,
    rate: float,
    clip_norm: float | None,
    team: Team = ALONE,
) -> None:
    """One update of `network` down the gradient of `loss` at learning rate `rate`, the same in all processes."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    team.average_gradients(network)
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(network.parameters(), clip_norm, foreach=True)
    optimiser.step()
