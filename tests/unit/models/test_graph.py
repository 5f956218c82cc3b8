"""The fixed adjacency."""

import torch

from pskd_core.data.columnar import SkeletonInfo
from pskd_core.models.graph import adjacency


def test_subsets_of_a_small_tree_by_hand() -> None:
    """Joint 0 with children 1 and 2: a child gathers from its parent, the parent the mean of its children."""
    tree = SkeletonInfo(joints=("root", "left", "right"), bones=((1, 0), (2, 0)), centre=0)

    itself, inward, outward = adjacency(tree)

    assert torch.equal(itself, torch.eye(3))
    assert torch.equal(inward, torch.tensor([[0.0, 1, 1], [0, 0, 0], [0, 0, 0]]))
    assert torch.equal(outward, torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [0.5, 0, 0]]))


def test_columns_are_normalised(skeleton: SkeletonInfo) -> None:
    """Every target joint gathers with weights that sum to 1, or to 0 where it has no such neighbour."""
    sums = adjacency(skeleton).sum(dim=1)

    assert set(sums.flatten().tolist()) == {0.0, 1.0}
    assert (sums[1] == 0).nonzero().flatten().tolist() == [skeleton.centre]


def test_a_skeleton_without_bones_has_only_itself() -> None:
    """A single joint is a graph too."""
    assert adjacency(SkeletonInfo(joints=("wrist",), bones=(), centre=0)).flatten().tolist() == [1, 0, 0]
