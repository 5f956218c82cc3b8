"""The skeleton's graph: the fixed part of an adaptive graph convolution, its bones, and sensors as further nodes."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pskd_core.data.columnar import SkeletonInfo


def adjacency(skeleton: SkeletonInfo) -> Tensor:
    """A_k of 2s-AGCN: which joints a joint gathers from, in three subsets.

    Subset 0 is the joint itself, 1 (inward) its neighbour nearer the centre, 2 (outward) its neighbours farther out.

    Returns:
        (3, V, V) float32; entry [k, u, v] weighs source joint u for target joint v. Each column sums to 1, or to 0
        where a joint has no neighbour of that kind.
    """
    joints = len(skeleton.joints)
    child, parent = torch.tensor(skeleton.bones, dtype=torch.long).reshape(-1, 2).T
    adjacent = torch.zeros(3, joints, joints)
    adjacent[0] = torch.eye(joints)
    adjacent[1, parent, child] = 1
    adjacent[2, child, parent] = 1
    return adjacent / adjacent.sum(dim=1, keepdim=True).clamp(min=1)


def parents(skeleton: SkeletonInfo) -> Tensor:
    """(V,) the joint from which each joint's bone comes; the centre, and any joint without a bone, is its own."""
    of = torch.arange(len(skeleton.joints))
    for child, parent in skeleton.bones:
        of[child] = parent
    return of


def with_nodes(skeleton: SkeletonInfo, tied_to: Mapping[str, int]) -> SkeletonInfo:
    """The graph with a further node for each sensor, a child of the joint that it is tied to; in order of the mapping.

    Args:
        skeleton: V joints.
        tied_to: joint by the sensor's name.
    """
    first = len(skeleton.joints)
    bones = tuple((first + index, joint) for index, joint in enumerate(tied_to.values()))
    return skeleton.model_copy(update={"joints": (*skeleton.joints, *tied_to), "bones": (*skeleton.bones, *bones)})
