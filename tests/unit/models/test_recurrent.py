"""DeepConvLSTM and its attention."""

import torch

from pskd_core.models.recurrent import DeepConvLstm, SelfAttention


def test_every_channel_passes_the_same_filters() -> None:
    """The LSTM alone tells channels apart: swapping two of them swaps their features and nothing else."""
    network = DeepConvLstm(channels_in=2, width=3, depth=2, kernel=5, hidden=4, attention=False).eval()
    x = torch.randn(2, 2, 20)

    features = network.filters(x.unsqueeze(1))  # (N, width, C, T)
    assert features.shape == (2, 3, 2, 20)
    assert torch.allclose(network.filters(x.flip(1).unsqueeze(1)), features.flip(2), atol=1e-6)
    assert network(x).shape == (2, 4, 20)


def test_a_state_knows_the_past_alone() -> None:
    """Beyond the reach of the kernels, what comes later changes no earlier state."""
    network = DeepConvLstm(channels_in=1, width=3, depth=1, kernel=5, hidden=4, attention=False).eval()
    x = torch.randn(1, 1, 20)
    later = x.clone()
    later[..., 15:] += 1

    assert torch.allclose(network(later)[..., :13], network(x)[..., :13], atol=1e-6)
    assert not torch.allclose(network(later)[..., 15:], network(x)[..., 15:])


def test_attention_by_hand() -> None:
    """The mean over time of what attention gives is the sum of the states by their softmax weights."""
    attention = SelfAttention(4)
    states = torch.randn(2, 5, 4)
    scores = attention.score(torch.tanh(attention.hidden(states))).squeeze(2)
    expected = torch.einsum("nt,nth->nh", scores.softmax(dim=1), states)

    assert torch.allclose(attention(states).mean(dim=1), expected, atol=1e-6)


def test_equal_scores_are_no_attention() -> None:
    """With a score of zero everywhere the states stay what they are."""
    attention = SelfAttention(4)
    torch.nn.init.zeros_(attention.score.weight)
    states = torch.randn(2, 5, 4)

    assert torch.allclose(attention(states), states, atol=1e-6)
