"""Streams joined into one network input."""

import torch

from pskd_core.models.fusion import fuse_on_channels, stack_sensors


def test_sensors_lie_on_top_of_one_another() -> None:
    """Channels follow the order in which the sensors are asked for."""
    streams = {"gyroscope": torch.full((2, 3, 5), 2.0), "accelerometer": torch.full((2, 3, 5), 1.0)}

    stacked = stack_sensors(streams, sensors=("accelerometer", "gyroscope"))

    assert stacked[0, :, 0].tolist() == [1, 1, 1, 2, 2, 2]


def test_every_joint_carries_the_resampled_sensor() -> None:
    """Five samples over three frames keep first, middle and last, alike at each joint, after its own x, y, z."""
    skeleton = torch.randn(2, 3, 3, 4)
    ramp = torch.arange(5.0).expand(2, 3, 5)

    fused = fuse_on_channels({"skeleton": skeleton, "accelerometer": ramp}, sensors=("accelerometer",), frames=3)

    assert fused.shape == (2, 6, 3, 4)
    assert torch.equal(fused[:, :3], skeleton)
    assert torch.equal(fused[:, 3:], torch.tensor([0.0, 2, 4]).reshape(1, 1, 3, 1).expand(2, 3, 3, 4))


def test_resampling_is_linear_between_samples() -> None:
    """Three samples over five frames: the new ones lie half-way."""
    sensor = torch.tensor([0.0, 4, 6]).expand(1, 3, 3)

    fused = fuse_on_channels(
        {"skeleton": torch.zeros(1, 3, 5, 1), "accelerometer": sensor}, sensors=("accelerometer",), frames=5
    )

    assert fused[0, 3, :, 0].tolist() == [0, 2, 4, 5, 6]


def test_a_skeleton_alone_stays_as_it_is() -> None:
    """Without sensors nothing is added."""
    skeleton = torch.randn(2, 3, 4, 5)

    assert fuse_on_channels({"skeleton": skeleton}, sensors=(), frames=4) is skeleton
