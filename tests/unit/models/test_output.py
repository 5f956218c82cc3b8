"""The head that ends every network."""

import torch

from pskd_core.models.output import Head


def test_embedding_is_fc0_before_the_relu() -> None:
    """One pooled channel of mean 2: h = (2, −2); the logits see (2, 0)."""
    head = Head(channels_in=1, feature_dim=2, classes=1, dropout=0.0)
    head.load_state_dict(
        {
            "fc0.weight": torch.tensor([[1.0], [-1]]),
            "fc0.bias": torch.zeros(2),
            "fc1.weight": torch.tensor([[3.0, 5]]),
            "fc1.bias": torch.tensor([0.5]),
        }
    )

    output = head(torch.tensor([[[1.0, 3]]]))

    assert output.embedding.tolist() == [[2, -2]]
    assert output.logits.tolist() == [[6.5]]


def test_averages_joints_then_time_and_hands_the_map_on() -> None:
    """A graph network's map (N, C, T, V) is averaged over its joints for the losses that compare maps over time."""
    head = Head(channels_in=3, feature_dim=4, classes=2, dropout=0.0)
    feature_map = torch.randn(2, 3, 5, 7)

    output = head(feature_map)

    assert torch.equal(output.feature_map, feature_map.mean(dim=3))
    assert torch.allclose(output.embedding, head.fc0(feature_map.mean(dim=(2, 3))), atol=1e-6)


def test_dropout_works_in_training_only() -> None:
    """Teachers in evaluation mode answer the same every time."""
    head = Head(channels_in=64, feature_dim=4, classes=2, dropout=0.5)
    feature_map = torch.ones(1, 64, 3)

    assert not torch.equal(head(feature_map).logits, head(feature_map).logits)
    head.eval()
    assert torch.equal(head(feature_map).logits, head(feature_map).logits)
