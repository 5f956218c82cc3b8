"""What a network costs: parameters and multiply-accumulates."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    """Trained numbers; batch-norm statistics and normalisation constants are not among them."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def count_macs(network: nn.Module, example: Mapping[str, Tensor]) -> int:
    """Multiply-accumulates of one sample in convolutions and matrix products; element-wise work is left out.

    Args:
        network: put into evaluation mode for the count, and back.
        example: inputs of any number of samples N ≥ 1.
    """
    training = network.training
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(example)
    network.train(training)
    samples = len(next(iter(example.values())))
    return int(counter.get_total_flops()) // (2 * samples)
