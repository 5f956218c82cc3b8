"""Streams joined into one network input."""

import torch

from pskd_core.models.fusion import fuse_as_nodes, fuse_on_channels, stack_sensors


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


def test_every_sensor_is_a_node_behind_the_joints() -> None:
    """Its x, y, z stand where a joint's stand, at the skeleton's frames."""
    streams = {
        "skeleton": torch.randn(2, 3, 3, 4),
        "gyroscope": torch.zeros(2, 3, 7),
        "accelerometer": torch.arange(5.0).expand(2, 3, 5),
    }

    fused = fuse_as_nodes(streams, sensors=("gyroscope", "accelerometer"), frames=3)

    assert fused.shape == (2, 3, 3, 6)
    assert torch.equal(fused[..., :4], streams["skeleton"])
    assert not fused[..., 4].any()
    assert torch.equal(fused[..., 5], torch.tensor([0.0, 2, 4]).expand(2, 3, 3))


def test_fewer_channels_are_filled_up_with_zeros() -> None:
    """A sensor of one channel has no y and z; one of four gives the joints an empty fourth."""
    streams = {"skeleton": torch.ones(1, 3, 2, 1), "narrow": torch.ones(1, 1, 2), "wide": torch.ones(1, 4, 2)}

    fused = fuse_as_nodes(streams, sensors=("narrow", "wide"), frames=2)

    assert fused[0, :, 0].tolist() == [[1, 1, 1], [1, 0, 1], [1, 0, 1], [0, 0, 1]]


def test_every_person_is_given_the_sensors() -> None:
    """With M behind the joints, each person's part is what that person alone would give."""
    persons = torch.randn(2, 3, 3, 4, 2)
    worn = {"accelerometer": torch.randn(2, 3, 5)}
    for fuse in (fuse_on_channels, fuse_as_nodes):
        fused = fuse({"skeleton": persons, **worn}, sensors=("accelerometer",), frames=3)
        for person in range(2):
            alone = fuse({"skeleton": persons[..., person], **worn}, sensors=("accelerometer",), frames=3)
            assert torch.equal(fused[..., person], alone)
