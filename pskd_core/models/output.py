"""What every network returns, and the head that ends every network."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class Output(NamedTuple):
    """A network's answer for a batch."""

    logits: Tensor  # (N, K)
    embedding: Tensor  # (N, D), fc0's output: h of Eq. (6)
    feature_map: Tensor  # (N, C, T), before pooling over time; a graph network's is the mean over its joints


class Head(nn.Module):
    """Average pooling → dropout → fc0 → ReLU → fc1.

    The paper names fc0 and fc1 only. The ReLU between them keeps the two from collapsing into one linear map; h, which
    L_S compares between networks, is fc0's output *before* it, so that the distance sees negative values as well.
    """

    def __init__(self, *, channels_in: int, feature_dim: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.fc0 = nn.Linear(channels_in, feature_dim)
        self.fc1 = nn.Linear(feature_dim, classes)

    def forward(self, feature_map: Tensor) -> Output:
        """(N, C, T) or (N, C, T, V) → logits (N, K), embedding (N, D), and the map over time (N, C, T)."""
        if feature_map.ndim == 4:
            feature_map = feature_map.mean(dim=3)
        embedding = self.fc0(self.dropout(feature_map.mean(dim=2)))
        return Output(self.fc1(F.relu(embedding)), embedding, feature_map)
