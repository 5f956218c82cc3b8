"""The fixed adjacency."""

import torch

from pskd_core.data.columnar import SkeletonInfo
from pskd_core.models.graph import adjacency, parents, with_nodes


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


def test_parents_of_a_small_tree() -> None:
    """The centre is its own parent, so that its bone is zero."""
    tree = SkeletonInfo(joints=("left", "root", "hand"), bones=((0, 1), (2, 0)), centre=1)

    assert parents(tree).tolist() == [1, 1, 0]


def test_a_sensor_s_node_is_a_child_of_its_joint() -> None:
    """It gathers from the joint that it is tied to, and that joint from it; all else stays."""
    tree = SkeletonInfo(joints=("root", "hand"), bones=((1, 0),), centre=0)
    wider = with_nodes(tree, {"watch": 1, "belt": 0})

    assert wider.joints == ("root", "hand", "watch", "belt")
    assert wider.bones == ((1, 0), (2, 1), (3, 0))
    _, inward, outward = adjacency(wider)
    assert inward[:, 2].tolist() == [0, 1, 0, 0]
    assert outward[:, 1].tolist() == [0, 0, 1, 0]
    assert outward[:, 0].tolist() == [0, 0.5, 0, 0.5]
    assert with_nodes(tree, {}) == tree
