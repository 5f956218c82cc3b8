"""What a network costs: parameters and multiply-accumulates."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pskd_core.models.forest import Forest


def count_parameters(network: nn.Module) -> int:
    """Trained numbers; batch-norm statistics and normalisation constants are not among them.

    A forest's are the thresholds of its inner nodes and the class frequencies of its leaves.
    """
    if isinstance(network, Forest):
        return network.fitted_numbers
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def count_macs(network: nn.Module, example: Mapping[str, Tensor]) -> int:
    """Multiply-accumulates of one sample in convolutions and matrix products; element-wise work is left out.

    A recurrent layer counts as the products that it is made of. A forest compares and does not multiply: 0.

    Args:
        network: put into evaluation mode for the count, and back.
        example: inputs of any number of samples N ≥ 1.
    """
    training = network.training
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_FUSED) as counter:
        network(example)
    network.train(training)
    samples = len(next(iter(example.values())))
    return int(counter.get_total_flops()) // (2 * samples)


# Two flops a multiply-accumulate, as the counter has it. A library's recurrent layer is one call that it does not know.


def _onednn_flops(
    inputs: Sequence[int], from_input: Sequence[int], from_state: Sequence[int], *_: Any, **__: Any
) -> int:
    return 2 * inputs[0] * inputs[1] * (math.prod(from_input) + math.prod(from_state))


def _cudnn_flops(inputs: Sequence[int], weights: Sequence[Sequence[int]], *_: Any, **__: Any) -> int:
    return 2 * inputs[0] * inputs[1] * sum(math.prod(weight) for weight in weights if len(weight) == 2)


_OPERATIONS = torch.ops.aten
_FUSED = {_OPERATIONS.mkldnn_rnn_layer: _onednn_flops, _OPERATIONS._cudnn_rnn: _cudnn_flops}  # noqa: SLF001
