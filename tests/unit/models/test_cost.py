"""What a network costs."""

import torch
from torch import nn

from pskd_core.models.cost import count_macs, count_parameters


class Small(nn.Module):
    """A convolution and a linear layer over one stream."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(20, 7))

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        logits: torch.Tensor = self.layers(inputs["a"])
        return logits


def test_parameters_by_hand() -> None:
    """Kernels, biases and batch-norm's scale and shift; its running statistics are not trained."""
    assert count_parameters(Small()) == (4 * 2 * 3 + 4) + (4 + 4) + (20 * 7 + 7)


def test_frozen_parameters_are_not_counted() -> None:
    """Only what is trained counts."""
    network = Small()
    network.layers.requires_grad_(False)

    assert count_parameters(network) == 0


def test_macs_by_hand_are_of_one_sample() -> None:
    """Five samples times 4·2·3 of the convolution and 20·7 of the linear layer, however large the batch."""
    for count in (1, 6):
        assert count_macs(Small(), {"a": torch.randn(count, 2, 5)}) == 5 * 4 * 2 * 3 + 20 * 7


def test_counting_leaves_the_network_as_it_was() -> None:
    """Mode and batch-norm statistics stay."""
    network = Small().train()
    count_macs(network, {"a": torch.randn(3, 2, 5)})

    assert network.training
    assert network.state_dict()["layers.1.num_batches_tracked"] == 0


class Recurrent(nn.Module):
    """An LSTM over one stream."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 3, batch_first=True)

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        states: torch.Tensor = self.lstm(inputs["a"].mT)[0]
        return states


def test_a_recurrent_layer_is_counted() -> None:
    """Five steps of four gates, each from two inputs and three states, whatever library computes them."""
    for count in (1, 6):
        assert count_macs(Recurrent(), {"a": torch.randn(count, 2, 5)}) == 5 * 4 * 3 * (2 + 3)
