"""Augmentation: what a view may change, what it must keep, and what it depends on."""

from collections.abc import Mapping

import numpy as np
import pytest

from pskd_core.config import Augment
from pskd_core.data.augment import augment_batch, draw_mix, mixed, rotations
from pskd_core.data.columnar import SkeletonInfo
from pskd_core.seed import generator
from pskd_core.shapes import FloatArray

NOTHING: dict[str, float] = dict.fromkeys(Augment.model_fields, 0.0)
SKELETON = SkeletonInfo(joints=("hip", "spine", "head", "hand"), bones=((1, 0), (2, 1), (3, 1)), centre=0)
IDS = [f"a{action}_s1_t1" for action in range(6)]

Clips = dict[str, FloatArray]


def smooth_clips() -> Clips:
    """Six aligned pairs; both modalities carry the clip's relative time, so a view can be read back."""
    sensor_time, skeleton_time = np.linspace(0, 1, 128), np.linspace(0, 1, 64)
    accelerometer = np.tile(np.stack([sensor_time, sensor_time**2, 1 + 0 * sensor_time]), (6, 1, 1))
    joints = np.tile(np.stack([skeleton_time, skeleton_time**2, 1 + 0 * skeleton_time])[:, :, None], (6, 1, 1, 4))
    return {"accelerometer": accelerometer.astype(np.float32), "skeleton": joints.astype(np.float32)}


def random_clips() -> Clips:
    rng = generator(0, "test")
    return {
        "accelerometer": rng.standard_normal((6, 3, 128), np.float32),
        "gyroscope": rng.standard_normal((6, 3, 128), np.float32),
        "skeleton": rng.standard_normal((6, 3, 64, 4), np.float32),
    }


def augment(
    clips: Clips,
    parts: dict[str, float],
    ids: list[str] | None = None,
    *,
    info: SkeletonInfo = SKELETON,
    epoch: int = 0,
    worn_at: Mapping[str, str] | None = None,
) -> Clips:
    """A view in which only the named parts of the config are on."""
    return augment_batch(
        clips,
        IDS if ids is None else ids,
        seed=0,
        epoch=epoch,
        config=Augment.model_validate(NOTHING | parts),
        channel_sd={stream: np.array([1, 2, 3], np.float32) for stream in clips},
        skeleton=info,
        worn_at=worn_at or {"accelerometer": "wrist", "gyroscope": "wrist"},
    )


def full(clips: Clips, ids: list[str] | None = None, *, epoch: int = 0) -> Clips:
    return augment(clips, Augment().model_dump(), ids, epoch=epoch)


def test_zeros_are_the_exact_identity() -> None:
    """With every part at 0 no bit changes."""
    clips = random_clips()
    views = augment(clips, {})
    assert all(np.array_equal(views[stream], clips[stream]) for stream in clips)


@pytest.mark.parametrize(
    "part", sorted(Augment.model_fields.keys() - {"mixup"})
)  # which a sample's own view is without
def test_every_part_has_an_effect_on_its_own_streams_only(part: str) -> None:
    """Each field changes sensors, skeleton or both, as its name says, and keeps shapes and types."""
    clips = random_clips()
    views = augment(clips, {part: 0.1})
    changed = {stream for stream in clips if not np.array_equal(views[stream], clips[stream])}
    sensors, skeleton = {"accelerometer", "gyroscope"}, {"skeleton"}
    expected = {
        "sensor_rotation_deg": sensors,
        "sensor_noise_sd": sensors,
        "skeleton_rotation_deg": skeleton,
        "joint_noise_m": skeleton,
    }
    assert changed == expected.get(part, sensors | skeleton)
    assert all(views[stream].shape == clips[stream].shape for stream in clips)
    assert all(views[stream].dtype == np.float32 for stream in clips)


def test_inputs_are_not_changed() -> None:
    """The stored clips survive every epoch."""
    clips, untouched = random_clips(), random_clips()
    full(clips)
    assert all(np.array_equal(clips[stream], untouched[stream]) for stream in clips)


def test_a_view_depends_on_seed_epoch_and_id_alone() -> None:
    """Order and size of the batch, and the presence of other streams, change no bit of a sample's view."""
    clips = random_clips()
    whole = full(clips)
    rows = [4, 1, 3]
    part = full({stream: clips[stream][rows] for stream in clips}, [IDS[row] for row in rows])
    alone = full({"accelerometer": clips["accelerometer"][2:3]}, IDS[2:3])
    assert all(np.array_equal(part[stream], whole[stream][rows]) for stream in clips)
    assert np.array_equal(alone["accelerometer"], whole["accelerometer"][2:3])


def test_views_differ_between_epochs_and_samples() -> None:
    """The same clip looks different in the next epoch, and equal clips of different ids look different."""
    clips = smooth_clips()
    now, later = full(clips), full(clips, epoch=1)
    for stream in clips:
        assert not np.allclose(now[stream], later[stream])
        assert not np.allclose(now[stream][0], now[stream][1])


def test_modalities_share_one_draw_of_time() -> None:
    """The relative time that both modalities carry stays the same in both after warp and crop."""
    views = augment(smooth_clips(), {"time_warp": 0.8, "time_crop": 0.5})
    for sensor, joints in zip(views["accelerometer"], views["skeleton"], strict=True):
        at_frames = np.interp(np.linspace(0, 1, 64), np.linspace(0, 1, 128), sensor[0])
        assert joints[0, :, 0] == pytest.approx(at_frames, abs=5e-3)
    assert not np.allclose(views["accelerometer"][0, 0], smooth_clips()["accelerometer"][0, 0], atol=0.01)


@pytest.mark.parametrize("warp", [0.1, 0.4, 0.8])
def test_warp_keeps_ends_order_and_speed(warp: float) -> None:
    """A warp fixes both ends and changes the local speed by no more than `time_warp`."""
    times = augment(smooth_clips(), {"time_warp": warp})["accelerometer"][:, 0]
    speed = np.diff(times, axis=1) * 127
    assert times[:, 0] == pytest.approx(np.zeros(6), abs=1e-6)
    assert times[:, -1] == pytest.approx(np.ones(6), abs=1e-6)
    assert speed.min() >= 1 - warp - 1e-3
    assert speed.max() <= 1 + warp + 1e-3


def test_crop_cuts_no_more_than_it_may() -> None:
    """What is left of the clip is contiguous, evenly sampled, and at least 1 − `time_crop` of it."""
    times = augment(smooth_clips(), {"time_crop": 0.3})["accelerometer"][:, 0]
    left = times[:, -1] - times[:, 0]
    assert (left >= 0.7 - 1e-6).all()
    assert (left < 1).all()
    assert np.diff(times, axis=1) == pytest.approx(np.repeat(left[:, None] / 127, 127, axis=1), abs=1e-5)


def test_sensor_rotation_keeps_lengths_and_angles_between_sensors_of_a_device() -> None:
    """One rotation for all sensors of a place: magnitudes and inner products stay."""
    clips = random_clips()
    views = augment(clips, {"sensor_rotation_deg": 20})
    for stream in ("accelerometer", "gyroscope"):
        assert np.linalg.norm(views[stream], axis=1) == pytest.approx(np.linalg.norm(clips[stream], axis=1), rel=1e-4)
    before = (clips["accelerometer"] * clips["gyroscope"]).sum(axis=1)
    assert (views["accelerometer"] * views["gyroscope"]).sum(axis=1) == pytest.approx(before, abs=1e-4)


def test_each_device_sits_otherwise() -> None:
    """Devices of other places have rotations of their own, whatever else is there; the first keeps the sample's."""
    same = random_clips()["accelerometer"]
    clips = {"accelerometer": same, "gyroscope": same, "accelerometer_hip": same, "gyroscope_hip": same}
    worn_at = dict(zip(clips, ("wrist", "wrist", "hip", "hip"), strict=True))
    views = augment(clips, {"sensor_rotation_deg": 20}, worn_at=worn_at)
    assert np.array_equal(views["accelerometer"], views["gyroscope"])
    assert np.array_equal(views["accelerometer_hip"], views["gyroscope_hip"])
    assert np.abs(views["accelerometer"] - views["accelerometer_hip"]).max(axis=(1, 2)).min() > 1e-3
    alone = augment({"accelerometer_hip": same}, {"sensor_rotation_deg": 20}, worn_at=worn_at)
    assert np.array_equal(alone["accelerometer_hip"], views["accelerometer_hip"])
    one_device = augment({"accelerometer": same}, {"sensor_rotation_deg": 20})
    assert np.array_equal(one_device["accelerometer"], views["accelerometer"])


def test_sensor_rotation_has_the_stated_spread() -> None:
    """Over many samples the rotation angle has the configured standard deviation and no preferred axis."""
    ids = [str(number) for number in range(4000)]
    frames = np.tile(np.eye(3, dtype=np.float32).T, (4000, 1, 1))  # three samples: the unit vectors
    matrices = augment({"accelerometer": frames.repeat(6, axis=2)}, {"sensor_rotation_deg": 10}, ids)["accelerometer"][
        ..., ::6
    ]
    angles = np.rad2deg(np.arccos(np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert np.sqrt((angles**2).mean()) == pytest.approx(10, rel=0.05)
    skew = np.stack([matrices[:, 2, 1] - matrices[:, 1, 2], matrices[:, 0, 2] - matrices[:, 2, 0]])
    assert np.abs(skew.mean(axis=1)).max() < 0.02


@pytest.mark.parametrize("up", [0, 1, 2])
def test_skeleton_turns_about_the_vertical(up: int) -> None:
    """Heights and distances from the vertical axis stay, and the turn is within its bound."""
    info = SKELETON.model_copy(update={"up": up})
    clips = random_clips()
    turned, still = augment(clips, {"skeleton_rotation_deg": 30}, info=info)["skeleton"], clips["skeleton"]
    ground = [axis for axis in range(3) if axis != up]
    before, after = still[:, ground], turned[:, ground]
    assert turned[:, up] == pytest.approx(still[:, up], abs=1e-5)
    assert np.linalg.norm(after, axis=1) == pytest.approx(np.linalg.norm(before, axis=1), rel=1e-4)
    turn = np.angle((after[:, 0] + 1j * after[:, 1]) / (before[:, 0] + 1j * before[:, 1]), deg=True)
    assert turn == pytest.approx(np.broadcast_to(turn[:, :1, :1], turn.shape), abs=0.5)  # one turn a clip
    assert np.abs(turn).max() <= 30.5


def test_flat_skeleton_stays_flat() -> None:
    """Turning and noise give a two-dimensional skeleton no depth."""
    clips = {"skeleton": random_clips()["skeleton"]}
    clips["skeleton"][:, 2] = 0
    flat = SKELETON.model_copy(update={"dims": 2})
    assert not augment(clips, {"skeleton_rotation_deg": 90, "joint_noise_m": 0.1}, info=flat)["skeleton"][:, 2].any()


def test_scale_is_one_positive_factor_a_stream_kind() -> None:
    """All sensors of a sample share one factor, the skeleton has its own, and their logarithm spreads as stated."""
    ids = [str(number) for number in range(2000)]
    clips = {"accelerometer": np.ones((2000, 3, 16), np.float32), "skeleton": np.ones((2000, 3, 16, 4), np.float32)}
    views = augment(clips, {"scale_sd": 0.2}, ids)
    factors = np.stack([views["accelerometer"][:, 0, 0], views["skeleton"][:, 0, 0, 0]])
    assert views["accelerometer"] == pytest.approx(np.broadcast_to(factors[0, :, None, None], (2000, 3, 16)))
    assert [np.log(kind).std() for kind in factors] == pytest.approx([0.2, 0.2], rel=0.1)
    assert abs(np.corrcoef(*factors)[0, 1]) < 0.1


def test_noise_has_the_stated_size() -> None:
    """Sensor noise is in standard deviations of its channel, joint noise in metres, and both have mean 0."""
    ids = [str(number) for number in range(200)]
    clips = {"accelerometer": np.zeros((200, 3, 128), np.float32), "skeleton": np.zeros((200, 3, 64, 4), np.float32)}
    views = augment(clips, {"sensor_noise_sd": 0.5, "joint_noise_m": 0.01}, ids)
    assert views["accelerometer"].std(axis=(0, 2)) == pytest.approx([0.5, 1.0, 1.5], rel=0.1)
    assert views["skeleton"].std(axis=(0, 2, 3)) == pytest.approx([0.01] * 3, rel=0.1)
    assert abs(views["accelerometer"].mean()) < 0.05


def test_noise_of_two_sensors_is_independent() -> None:
    """Two sensors of one sample do not share their noise."""
    clips = {name: np.zeros((6, 3, 128), np.float32) for name in ("accelerometer", "gyroscope")}
    views = augment(clips, {"sensor_noise_sd": 0.5})
    correlation = np.corrcoef(views["accelerometer"].ravel(), views["gyroscope"].ravel())[0, 1]
    assert abs(correlation) < 0.1


def test_rotations_are_rotations() -> None:
    """Rodrigues' matrices are orthogonal with determinant 1, fix their axis, and turn by their angle."""
    quarter = rotations(np.array([[0, 0, 5]], np.float32), np.array([np.pi / 2], np.float32))[0]
    assert quarter == pytest.approx(np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]), abs=1e-6)
    axes = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    matrices = rotations(axes, np.linspace(-3, 3, 20, dtype=np.float32))
    assert matrices @ matrices.transpose(0, 2, 1) == pytest.approx(np.broadcast_to(np.eye(3), (20, 3, 3)), abs=1e-5)
    assert np.linalg.det(matrices) == pytest.approx(np.ones(20), abs=1e-5)
    assert (matrices @ axes[:, :, None])[..., 0] == pytest.approx(axes, abs=1e-5)


def test_a_skeleton_without_description_is_refused() -> None:
    """The vertical is never guessed."""
    with pytest.raises(ValueError, match="description"):
        augment_batch(
            random_clips(),
            IDS,
            seed=0,
            epoch=0,
            config=Augment(),
            channel_sd={name: np.ones(3, np.float32) for name in ("accelerometer", "gyroscope")},
            skeleton=None,
            worn_at={},
        )


def test_a_mix_keeps_the_larger_share_of_each_clip_in_every_stream() -> None:
    """Both modalities meet the same partner in the same proportion, so what they hold stays aligned."""
    clips, mix = smooth_clips(), draw_mix(6, seed=0, epoch=1, batch=2, alpha=0.5)
    rows = np.arange(6, dtype=np.float32)
    numbered = (rows.reshape(-1, *[1] * (values.ndim - 1)) + 0 * values for values in clips.values())
    told = [mixed(values, values[mix.partner], mix.share) for values in numbered]

    assert ((mix.share >= 0.5) & (mix.share <= 1)).all()
    assert sorted(mix.partner) == list(range(6))
    expected = mix.share * np.arange(6) + (1 - mix.share) * mix.partner
    for values in told:
        assert values.dtype == np.float32
        assert values.reshape(6, -1) == pytest.approx(np.repeat(expected[:, None], values[0].size, axis=1), abs=1e-6)


def test_a_mix_is_a_function_of_seed_epoch_and_batch() -> None:
    """A resumed run draws what the unbroken one draws."""
    draws = [
        draw_mix(6, seed=seed, epoch=epoch, batch=batch, alpha=0.5).share.tolist()
        for seed, epoch, batch in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    ]
    assert draws[0] == draw_mix(6, seed=0, epoch=0, batch=0, alpha=0.5).share.tolist()
    assert len({tuple(draw) for draw in draws}) == 4
