"""The classical baseline: a random forest over hand features, in the place of a network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pskd_core.backbones import RandomForest
from pskd_core.data.batches import ChannelStatistics, Clips
from pskd_core.data.features import hand_features
from pskd_core.models.output import Output

# A forest gives classes that no tree voted for a probability of 0, whose logarithm is no logit.
_SMALLEST_PROBABILITY = 1e-6


class Forest(nn.Module):
    """Hand features of each stream → trees → logarithms of their mean class frequencies.

    The trees are buffers, so that a checkpoint holds them as it holds weights; nothing is pickled. Nodes are numbered
    over all trees, and a leaf is its own child.
    """

    def __init__(self, streams: Sequence[str], *, classes: int) -> None:
        super().__init__()
        self.streams = tuple(streams)
        self.register_buffer("roots", torch.empty(0, dtype=torch.long))  # (trees,)
        self.register_buffer("feature", torch.empty(0, dtype=torch.long))  # (nodes,) which one is compared
        self.register_buffer("threshold", torch.empty(0, dtype=torch.double))  # (nodes,) at most this: left
        self.register_buffer("left", torch.empty(0, dtype=torch.long))  # (nodes,)
        self.register_buffer("right", torch.empty(0, dtype=torch.long))  # (nodes,)
        self.register_buffer("frequencies", torch.empty(0, classes))  # (nodes, K)

    def set_normalisation(self, statistics: Mapping[str, ChannelStatistics]) -> None:
        """Nothing: a tree compares, and does not mind units."""

    def fit(self, clips: Clips, config: RandomForest, *, seed: int) -> None:
        """Grow the trees on clips as they are; the same clips, configuration and seed give the same trees."""
        # Over a second and 50 MB of modules that no other job needs.
        from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415

        forest = RandomForestClassifier(config.trees, min_samples_leaf=config.smallest_leaf, random_state=seed % 2**32)
        features = np.concatenate([hand_features(clips.streams[stream]) for stream in self.streams], axis=1)
        forest.fit(features, clips.labels)
        trees = [estimator.tree_ for estimator in forest.estimators_]
        counts = [tree.node_count for tree in trees]
        roots = np.cumsum([0, *counts[:-1]])
        own = np.arange(sum(counts))
        frequencies = np.zeros((len(own), self.get_buffer("frequencies").shape[1]), np.float32)
        frequencies[:, forest.classes_] = np.concatenate([tree.value[:, 0] for tree in trees])
        fitted = {
            "roots": roots,
            "feature": np.maximum(np.concatenate([tree.feature for tree in trees]), 0),  # -2 at leaves
            "threshold": np.concatenate([tree.threshold for tree in trees]),
            "left": _children([tree.children_left for tree in trees], roots, own),
            "right": _children([tree.children_right for tree in trees], roots, own),
            "frequencies": frequencies,
        }
        self._take({name: torch.from_numpy(values) for name, values in fitted.items()})

    @property
    def fitted_numbers(self) -> int:
        """One threshold an inner node, K frequencies a leaf."""
        leaves = int((self.get_buffer("left") == torch.arange(len(self.get_buffer("left")))).sum())
        return len(self.get_buffer("left")) - leaves + leaves * self.get_buffer("frequencies").shape[1]

    def forward(self, inputs: Mapping[str, Tensor]) -> Output:
        """Sensors (N, 3, T), raw → logits (N, K); embedding and feature map are the hand features (N, F[, 1])."""
        features = np.concatenate([hand_features(inputs[stream].cpu().numpy()) for stream in self.streams], axis=1)
        embedding = torch.from_numpy(features).to(self.get_buffer("roots").device)
        frequencies = self.get_buffer("frequencies")[self._leaves(embedding)].mean(dim=1)
        return Output(frequencies.clamp(min=_SMALLEST_PROBABILITY).log(), embedding, embedding.unsqueeze(2))

    def _leaves(self, features: Tensor) -> Tensor:
        """(N, F) → (N, trees), the node in which each sample ends."""
        feature, threshold, left, right = map(self.get_buffer, ("feature", "threshold", "left", "right"))
        node = self.get_buffer("roots").expand(len(features), -1)
        while True:
            goes_left = features.gather(1, feature[node]) <= threshold[node]
            child = torch.where(goes_left, left[node], right[node])
            if torch.equal(child, node):
                return node
            node = child

    def _take(self, trees: Mapping[str, Tensor]) -> None:
        for name, values in trees.items():
            setattr(self, name, values.to(self.get_buffer(name)))

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *others: Any) -> None:
        # How many nodes there are is known by who fitted the forest alone.
        names = [name for name, _ in self.named_buffers() if prefix + name in state_dict]
        self._take({name: torch.empty_like(state_dict[prefix + name]) for name in names})
        super()._load_from_state_dict(state_dict, prefix, *others)


def _children(children: Sequence[np.ndarray], roots: np.ndarray, own: np.ndarray) -> np.ndarray:
    """A tree's numbers as the forest's; a leaf's, which are negative, as its own."""
    shifted = np.concatenate([each + root for each, root in zip(children, roots, strict=True)])
    return np.where(np.concatenate(children) < 0, own, shifted)
