"""A jointed body: joint angles over time in, 20 joints and the forearm's orientation out; and a sensor worn on it.

Coordinates as in UTD-MHAD: x to the person's right, y up, z backwards (the person faces the camera). Metres, degrees.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Columns of a posture (F, 9). Arms: turn about the vertical, raise forwards, raise sideways, turn of the upper arm,
# bend of the elbow, turn of the forearm. Trunk: twist, bend forwards; and how far the hips sink, in centimetres.
ARM = ("horizontal", "flexion", "abduction", "rotation", "elbow", "pronation")
POSTURE = (*ARM, "twist", "lean", "sink_cm")
GRAVITY = 9.80665  # m/s² in one g

# Lengths as shares of the body's height (Winter, "Biomechanics and Motor Control of Human Movement", figure 4.1).
_UPPER_ARM, _FOREARM, _HAND = 0.186, 0.146, 0.054
_THIGH, _SHANK, _ANKLE, _FOOT = 0.245, 0.246, 0.039, 0.07
_HIP_CENTRE, _SPINE, _NECK, _HEAD = 0.53, 0.04, 0.25, 0.12  # height of the first; each next above the one before
_SHOULDER, _HIP = 0.115, 0.05  # to the side
_MIRRORED = np.array([-1.0, 1.0, -1.0, -1.0, 1.0, -1.0])  # what becomes of a right arm's angles on the left


def move_body(right: Array, left: Array, *, height_m: float) -> tuple[Array, Array]:
    """Forward kinematics.

    Args:
        right: postures (F, 9); the trunk and legs follow it.
        left: postures (F, 9), of which the arm counts, as if it were a right arm.
        height_m: of the body.

    Returns:
        Joints (F, 20, 3), standing at x = z = 0 on y = 0, and the right forearm's orientation (F, 3, 3): its columns
        are the forearm's axes, of which y points from the wrist to the elbow.
    """
    twist, lean, sink_cm = right[:, 6:].T
    hips = np.zeros((len(right), 3))
    hips[:, 1] = _HIP_CENTRE * height_m - sink_cm / 100
    trunk = rotation("y", twist) @ rotation("x", -lean)
    spine = hips + trunk[:, :, 1] * _SPINE * height_m
    neck = spine + trunk[:, :, 1] * _NECK * height_m
    head = neck + trunk[:, :, 1] * _HEAD * height_m
    sideways = trunk[:, :, 0] * _SHOULDER * height_m
    right_arm, forearm = _arm(neck + sideways, trunk, right[:, :6], height_m)
    left_arm, _ = _arm(neck - sideways, trunk, left[:, :6] * _MIRRORED, height_m)
    joints = [head, neck, spine, hips, *left_arm, *right_arm, *_leg(hips, -1, height_m), *_leg(hips, 1, height_m)]
    return np.stack(joints, axis=1), forearm


def _arm(shoulder: Array, trunk: Array, angles: Array, height_m: float) -> tuple[list[Array], Array]:
    """Shoulder, elbow, wrist and hand (F, 3) each, and the forearm's orientation."""
    horizontal, flexion, abduction, turn, bend, pronation = angles.T
    upper = trunk @ rotation("y", horizontal) @ rotation("x", flexion) @ rotation("z", abduction) @ rotation("y", turn)
    forearm = upper @ rotation("x", bend) @ rotation("y", pronation)
    elbow = shoulder - upper[:, :, 1] * _UPPER_ARM * height_m
    wrist = elbow - forearm[:, :, 1] * _FOREARM * height_m
    hand = wrist - forearm[:, :, 1] * _HAND * height_m
    return [shoulder, elbow, wrist, hand], forearm


def _leg(hips: Array, side: int, height_m: float) -> list[Array]:
    """Hip, knee, ankle and foot (F, 3) each: the foot stays where it is and the knee bends forwards."""
    aside = side * _HIP * height_m
    hip = hips + np.array([aside, 0.0, 0.0])
    ankle = np.broadcast_to([aside, _ANKLE * height_m, 0.0], hip.shape)
    thigh, shank = _THIGH * height_m, _SHANK * height_m
    span = np.minimum(hip[:, 1] - ankle[:, 1], 0.999 * (thigh + shank))
    below = (thigh**2 - shank**2 + span**2) / (2 * span)  # of the hip, where the knee's height lies
    knee = hip - np.stack([0 * span, below, np.sqrt(thigh**2 - below**2)], axis=1)
    return [hip, knee, ankle, ankle - [0.0, 0.0, _FOOT * height_m]]


def rotation(axis: str, degrees: Array | float) -> Array:
    """Right-handed turns (…, 3, 3) about a coordinate axis."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.zeros((*np.shape(degrees), 3, 3))
    matrix[..., [0, 1, 2], [0, 1, 2]] = 1.0
    matrix[..., first, first] = matrix[..., second, second] = cosine
    matrix[..., first, second], matrix[..., second, first] = -sine, sine
    return matrix


def worn_sensor(place: Array, orientation: Array, *, rate_hz: float) -> tuple[Array, Array]:
    """What an ideal accelerometer and gyroscope read that move with the body.

    Args:
        place: (F, 3) in metres, y up.
        orientation: (F, 3, 3), columns are the sensor's axes in the world.
        rate_hz: of the F moments; central differences, so well above the movement's own frequencies.

    Returns:
        Specific force (F - 2, 3) in g (at rest: 1 upwards) and turning rate (F - 2, 3) in deg/s, both in the sensor's
        axes, at all moments but the first and the last.
    """
    acceleration = (place[2:] - 2 * place[1:-1] + place[:-2]) * rate_hz**2
    force_g = acceleration / GRAVITY + [0.0, 1.0, 0.0]
    to_sensor = orientation[1:-1].transpose(0, 2, 1)
    # Rᵀ dR/dt is the cross-product matrix of the turning rate in the sensor's axes.
    cross = to_sensor @ (orientation[2:] - orientation[:-2]) * (rate_hz / 2)
    turning = np.stack(
        [cross[:, 2, 1] - cross[:, 1, 2], cross[:, 0, 2] - cross[:, 2, 0], cross[:, 1, 0] - cross[:, 0, 1]], 1
    )
    return (to_sensor @ force_g[:, :, None])[:, :, 0], np.degrees(turning / 2)
