"""A dataset as the networks see it: classes, streams and a skeleton of UTD-MHAD's size."""

import pytest

from pskd_core.data.columnar import DatasetInfo, SkeletonInfo, StreamInfo

JOINTS = 20


@pytest.fixture
def skeleton() -> SkeletonInfo:
    """A binary tree whose root is the centre."""
    return SkeletonInfo(
        joints=tuple(f"joint_{index}" for index in range(JOINTS)),
        bones=tuple((child, (child - 1) // 2) for child in range(1, JOINTS)),
        centre=0,
    )


@pytest.fixture
def info(skeleton: SkeletonInfo) -> DatasetInfo:
    """27 classes, a skeleton, and two worn sensors, of which one says where."""
    return DatasetInfo(
        name="made",
        layout="made",
        classes=tuple(f"class_{index}" for index in range(27)),
        streams={
            "skeleton": StreamInfo(channels=None, unit="m", rate_hz=30),
            "accelerometer": StreamInfo(channels=3, unit="g", rate_hz=50, worn_at="joint_7"),
            "gyroscope": StreamInfo(channels=3, unit="deg/s", rate_hz=50),
        },
        skeleton=skeleton,
    )
