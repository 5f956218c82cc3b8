"""Skeletons that several datasets share, and a tree for points of which nobody said how they hang together."""

import numpy as np

from pskd_core.data.columnar import SkeletonInfo
from pskd_core.data.series import Array

_FACE_AND_LIMBS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip

# Pixels of an image, whose y points down. COCO has no point within the trunk: the tree hangs on the left hip.
COCO_17 = SkeletonInfo(
    joints=_FACE_AND_LIMBS,
    bones=(
        (12, 11), (5, 11), (6, 5), (0, 5), (1, 0), (2, 0), (3, 1), (4, 2),
        (7, 5), (9, 7), (8, 6), (10, 8), (13, 11), (15, 13), (14, 12), (16, 14),
    ),
    centre=11,
    dims=2,
    up=1,
)  # fmt: skip

# OpenPose's order of COCO's points, with a neck between the shoulders.
COCO_18 = SkeletonInfo(
    joints=(
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
        "right_ear", "left_ear",
    ),
    bones=(
        (0, 1), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6), (8, 1), (9, 8), (10, 9), (11, 1), (12, 11), (13, 12),
        (14, 0), (15, 0), (16, 14), (17, 15),
    ),
    centre=1,
    dims=2,
    up=1,
)  # fmt: skip


def spanning_bones(positions: Array, centre: int) -> tuple[tuple[int, int], ...]:
    """A tree (child, parent) over points (F, V, dims) that prefers pairs whose distance is steady, then short.

    Bones do not change their length. Prim's algorithm from the centre; it costs V² distances over all frames.
    """
    joints = positions.shape[1]
    apart = np.stack(
        [np.linalg.norm(positions - positions[:, [joint]], axis=2) for joint in range(joints)]
    )  # (V, F, V)
    cost = apart.std(axis=1) + 0.01 * np.median(apart, axis=1)
    inside, bones = [centre], []
    while len(inside) < joints:
        outside = [joint for joint in range(joints) if joint not in inside]
        place = np.unravel_index(cost[np.ix_(outside, inside)].argmin(), (len(outside), len(inside)))
        child, parent = outside[int(place[0])], inside[int(place[1])]
        bones.append((child, parent))
        inside.append(child)
    return tuple(bones)
