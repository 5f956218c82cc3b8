"""The moved body and the sensor worn on it, against closed forms."""

import numpy as np
import pytest

from pskd_core.data.body import GRAVITY, POSTURE, Array, move_body, rotation, worn_sensor
from pskd_core.data.utd_mhad import KINECT_SKELETON

RATE_HZ = 1000.0
TIME_S = np.arange(1000) / RATE_HZ


def joint(joints: Array, name: str) -> Array:
    return joints[:, KINECT_SKELETON.joints.index(name)]


def posture(**angles: float) -> Array:
    values = np.zeros((1, len(POSTURE)))
    for name, angle in angles.items():
        values[:, POSTURE.index(name)] = angle
    return values


@pytest.mark.parametrize(("axis", "turned"), [("x", (0, 0, 1)), ("y", (0, 1, 0)), ("z", (-1, 0, 0))])
def test_turns_are_right_handed(axis: str, turned: tuple[int, int, int]) -> None:
    """A quarter turn moves the y axis to z about x, nowhere about y, and to -x about z."""
    assert rotation(axis, 90.0) @ [0, 1, 0] == pytest.approx(turned)


def test_a_still_sensor_reads_gravity_along_its_own_up() -> None:
    """At rest the accelerometer reads 1 g upwards in its own axes, however it is turned, and the gyroscope nothing."""
    place = np.zeros((5, 3))
    tilted = np.broadcast_to(rotation("z", 90.0), (5, 3, 3))
    force_g, turning = worn_sensor(place, tilted, rate_hz=RATE_HZ)
    assert force_g == pytest.approx(np.tile([1.0, 0, 0], (3, 1)))
    assert turning == pytest.approx(np.zeros((3, 3)))


def test_a_falling_sensor_reads_nothing() -> None:
    """In free fall there is no specific force."""
    place = np.stack([0 * TIME_S, -GRAVITY / 2 * TIME_S**2, 0 * TIME_S], axis=1)
    force_g, _ = worn_sensor(place, np.broadcast_to(np.eye(3), (1000, 3, 3)), rate_hz=RATE_HZ)
    assert np.abs(force_g).max() < 1e-6


def test_a_sensor_on_a_turntable_reads_the_centripetal_force_and_the_speed() -> None:
    """On a level circle of 0.5 m at 180 deg/s it reads ω²r towards the centre, 1 g upwards and 180 deg/s about y."""
    turned = rotation("y", 180 * TIME_S)
    place = turned @ [0.5, 0, 0]
    force_g, turning = worn_sensor(place, turned, rate_hz=RATE_HZ)
    inwards = np.pi**2 * 0.5 / GRAVITY
    assert force_g == pytest.approx(np.tile([-inwards, 1, 0], (998, 1)), abs=1e-5)
    assert turning == pytest.approx(np.tile([0, 180, 0], (998, 1)), abs=1e-2)


def test_the_turning_rate_is_in_the_sensors_axes() -> None:
    """A sensor that lies on its side sees a turn about the vertical about another of its axes."""
    turned = rotation("y", 90 * TIME_S) @ rotation("z", 90.0)
    _, turning = worn_sensor(np.zeros((1000, 3)), turned, rate_hz=RATE_HZ)
    assert turning == pytest.approx(np.tile([90, 0, 0], (998, 1)), abs=1e-2)


def test_bones_keep_their_length() -> None:
    """Whatever the posture, no arm, trunk or head bone of the body grows or shrinks, nor a bent leg's."""
    rng = np.random.default_rng(0)
    right, left = rng.normal(0, 40, (2, 200, len(POSTURE)))
    right[:, -1] = rng.uniform(2, 30, 200)
    joints, _ = move_body(right, left, height_m=1.8)
    for child, parent in KINECT_SKELETON.bones:
        length = np.linalg.norm(joints[:, child] - joints[:, parent], axis=1)
        assert length.max() - length.min() < 1e-9, KINECT_SKELETON.joints[child]


def test_angles_move_the_arm_where_their_names_say() -> None:
    """Flexion raises forwards (-z), abduction sideways, a positive turn about the vertical leads across to the left."""
    expected: list[tuple[dict[str, float], tuple[int, int, int]]] = [
        ({"flexion": 90.0}, (0, 0, -1)),
        ({"abduction": 90.0}, (1, 0, 0)),
        ({"flexion": 90.0, "horizontal": 90.0}, (-1, 0, 0)),
        ({}, (0, -1, 0)),
    ]
    for angles, direction in expected:
        joints, _ = move_body(posture(**angles), posture(), height_m=1.7)
        arm = joint(joints, "right_wrist")[0] - joint(joints, "right_shoulder")[0]
        assert arm / np.linalg.norm(arm) == pytest.approx(direction, abs=1e-9)


def test_left_mirrors_right() -> None:
    """The same angles on both sides give a body that is symmetric in x."""
    angles = posture(horizontal=20, flexion=50, abduction=30, rotation=-40, elbow=70, pronation=10)
    joints, _ = move_body(angles, angles, height_m=1.7)
    for part in ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "foot"):
        left, right = joint(joints, f"left_{part}")[0], joint(joints, f"right_{part}")[0]
        assert left * [-1, 1, 1] == pytest.approx(right)


def test_feet_stay_on_the_floor_while_the_hips_sink() -> None:
    """In a squat the knees come forward and the feet do not move."""
    stood, _ = move_body(posture(sink_cm=2), posture(), height_m=1.7)
    squatted, _ = move_body(posture(sink_cm=30), posture(), height_m=1.7)
    for side in ("left", "right"):
        assert joint(squatted, f"{side}_ankle") == pytest.approx(joint(stood, f"{side}_ankle"))
        assert joint(squatted, f"{side}_knee")[0, 2] < joint(stood, f"{side}_knee")[0, 2] - 0.1
