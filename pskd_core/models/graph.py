"""The skeleton's graph as the fixed part of an adaptive graph convolution."""

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
