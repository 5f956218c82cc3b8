"""Made people who perform made actions: a skeleton, and what a sensor on the right wrist reads of that very movement.

The accelerometer is the wrist joint's second derivative plus gravity, the gyroscope the forearm's turning, both in the
forearm's own axes (`body.worn_sensor`). So skeleton and sensor belong together as in a real recording, and what a
network learns from the one is truly in the other. People differ in size, speed, reach, habits and in how they wear the
sensor.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from pskd_core.data.body import ARM, POSTURE, Array, move_body, rotation, worn_sensor
from pskd_core.data.columnar import SKELETON, DatasetInfo, NamedSplit, Recording, Stream, StreamInfo
from pskd_core.data.utd_mhad import KINECT_SKELETON
from pskd_core.fields import Frozen
from pskd_core.seed import generator

SENSOR_RATE_HZ = 50
SKELETON_RATE_HZ = 30
FINE_RATE_HZ = 300  # the movement's own grid; it holds the middle of every sensor sample and of every frame
_WRIST = KINECT_SKELETON.joints.index("right_wrist")
_RAISE_S = 0.65  # from rest into the action, and back

_Swing = tuple[float, float, float]  # middle, amplitude, phase in degrees


@dataclass(frozen=True, slots=True)
class Gesture:
    """One action: every named angle swings about a middle, in step; the others stay as at rest."""

    name: str
    cycles: float  # less than one: a single stroke that starts and ends at rest
    cycle_s: float
    swings: dict[str, _Swing]
    left_lag_deg: float | None = None  # how far the left arm lags; none: it hangs


GESTURES = (
    Gesture("wave", 3, 0.7, {"abduction": (75, 0, 0), "rotation": (-85, 22, 0), "elbow": (80, 8, 90)}),
    Gesture("clap", 3, 0.65, {"flexion": (55, 0, 0), "horizontal": (0, 12, 0), "elbow": (40, 6, 90)}, left_lag_deg=0),
    Gesture("swipe_left", 0.5, 1.8, {"flexion": (75, 0, 0), "horizontal": (0, 35, -90), "elbow": (25, 0, 0)}),
    Gesture("swipe_right", 0.5, 1.8, {"flexion": (75, 0, 0), "horizontal": (0, 35, 90), "elbow": (25, 0, 0)}),
    Gesture("circle_cw", 2, 1.1, {"flexion": (70, 14, 90), "horizontal": (0, 18, 180), "elbow": (30, 0, 0)}),
    Gesture("circle_ccw", 2, 1.1, {"flexion": (70, 14, 90), "horizontal": (0, 18, 0), "elbow": (30, 0, 0)}),
    Gesture("push", 2, 1.1, {"flexion": (50, 25, 0), "elbow": (70, 50, 180)}, left_lag_deg=0),
    Gesture("box", 3, 0.7, {"flexion": (55, 18, 0), "elbow": (75, 40, 180), "twist": (0, 8, 0)}, left_lag_deg=180),
    Gesture("arm_curl", 2, 1.2, {"elbow": (75, 55, -90), "pronation": (-80, 0, 0)}),
    Gesture("knock", 4, 0.45, {"flexion": (45, 0, 0), "elbow": (95, 11, 0)}),
    Gesture("throw", 0.5, 1.8, {"flexion": (85, 35, 90), "elbow": (60, 35, 90), "twist": (0, 10, -90)}),
    Gesture(
        "squat", 2, 1.5, {"sink_cm": (15, 13, -90), "lean": (15, 12, -90), "flexion": (45, 30, -90)}, left_lag_deg=0
    ),
)
_REST = np.array([0.0, 3.0, 6.0, 0.0, 15.0, 0.0, 0.0, 0.0, 1.0])  # a posture, see `body.POSTURE`


class SyntheticSource(Frozen):
    """A recipe for a made dataset; equal recipes make equal data."""

    kind: Literal["synthetic"] = "synthetic"
    subjects: int = Field(default=8, ge=2, le=100)
    trials: int = Field(default=4, ge=2, le=100)
    classes: int = Field(default=6, ge=2, le=len(GESTURES))
    seed: int = Field(default=0, ge=0, lt=2**31)


@dataclass(frozen=True, slots=True)
class _Person:
    """What stays the same over a subject's recordings."""

    height_m: float
    tempo: float
    reach: float
    rest: Array  # posture (9,)
    mounting: Array  # sensor's axes in the forearm's (3, 3)
    force_offset_g: Array  # (3,)


def generate(source: SyntheticSource) -> tuple[DatasetInfo, Iterator[Recording]]:
    """The recipe's dataset: subjects `1` …, trials `1` …, recordings `a1_s1_t1` … one by one.

    A recording depends on the seed and its own numbers alone: a larger recipe holds the smaller one's recordings.
    """
    numbers = [str(number) for number in range(1, max(source.subjects, source.trials) + 1)]
    subjects, trials = numbers[: source.subjects], numbers[: source.trials]
    half = source.trials // 2
    info = DatasetInfo(
        name="synthetic",
        layout="synthetic",
        classes=tuple(gesture.name for gesture in GESTURES[: source.classes]),
        streams={
            "accelerometer": _worn("g"),
            "gyroscope": _worn("deg/s"),
            SKELETON: StreamInfo(channels=None, unit="m", rate_hz=SKELETON_RATE_HZ),
        },
        skeleton=KINECT_SKELETON,
        protocols={
            "cross_subject": NamedSplit(by="subject", train=tuple(subjects[::2]), test=tuple(subjects[1::2])),
            "cross_trial": NamedSplit(by="trial", train=tuple(trials[:half]), test=tuple(trials[half:])),
        },
    )
    return info, _recordings(source)


def _worn(unit: str) -> StreamInfo:
    return StreamInfo(channels=3, unit=unit, rate_hz=SENSOR_RATE_HZ, worn_at="right_wrist")


def _recordings(source: SyntheticSource) -> Iterator[Recording]:
    for action in range(1, source.classes + 1):
        for subject in range(1, source.subjects + 1):
            person = _person(source.seed, subject)
            for trial in range(1, source.trials + 1):
                yield _recording(source.seed, person, action, subject, trial)


def _person(seed: int, subject: int) -> _Person:
    draw = generator(seed, "synthetic person", subject)
    habits = draw.normal(0, 4, len(POSTURE)) * ([1.0] * len(ARM) + [0.5, 0.5, 0.0])
    turned, tilted = draw.normal(0, 30), draw.normal(0, 10, 2)
    return _Person(
        height_m=draw.normal(1.73, 0.06),
        tempo=np.exp(draw.normal(0, 0.15)),
        reach=np.exp(draw.normal(0, 0.15)),
        rest=_REST + habits,
        mounting=rotation("y", turned) @ rotation("x", tilted[0]) @ rotation("z", tilted[1]),
        force_offset_g=draw.normal(0, 0.03, 3),
    )


def _recording(seed: int, person: _Person, action: int, subject: int, trial: int) -> Recording:
    gesture = GESTURES[action - 1]
    style = generator(seed, "synthetic style", subject, action)
    draw = generator(seed, "synthetic trial", subject, action, trial)
    right, left = _postures(gesture, person, style, draw)
    joints, forearm = move_body(right, left, height_m=person.height_m)
    force_g, turning_dps = worn_sensor(joints[:, _WRIST], forearm @ person.mounting, rate_hz=FINE_RATE_HZ)
    # `worn_sensor` leaves out the first moment; the sample's middle is at (i + 1/2) / rate.
    samples = slice(FINE_RATE_HZ // SENSOR_RATE_HZ // 2 - 1, None, FINE_RATE_HZ // SENSOR_RATE_HZ)
    frames = joints[FINE_RATE_HZ // SKELETON_RATE_HZ // 2 :: FINE_RATE_HZ // SKELETON_RATE_HZ]
    force_g = force_g[samples] + person.force_offset_g
    return Recording(
        id=f"a{action}_s{subject}_t{trial}",
        subject=str(subject),
        trial=str(trial),
        label=action - 1,
        streams={
            "accelerometer": _stream(force_g + draw.normal(0, 0.08, force_g.shape), SENSOR_RATE_HZ),
            "gyroscope": _stream(turning_dps[samples] + draw.normal(0, 1.5, force_g.shape), SENSOR_RATE_HZ),
            SKELETON: _stream(_seen(frames, draw), SKELETON_RATE_HZ),
        },
    )


def _postures(
    gesture: Gesture, person: _Person, style: np.random.Generator, draw: np.random.Generator
) -> tuple[Array, Array]:
    """Right and left postures (F, 9) on the fine grid, from rest through the gesture to rest."""
    tempo = person.tempo * np.exp(style.normal(0, 0.1) + draw.normal(0, 0.1))
    reach = person.reach * np.exp(style.normal(0, 0.1) + draw.normal(0, 0.1))
    time_s, raised, phase_deg = _course(gesture, tempo, draw)
    middle, amplitude, start_deg = _swings(gesture, person, style)
    phase_deg = phase_deg[:, None] + start_deg + style.normal(0, 10) + draw.normal(0, 15)  # (F, 9)
    right = _swing(person.rest, raised, middle, reach * amplitude, phase_deg)
    left = np.broadcast_to(person.rest, right.shape)
    if gesture.left_lag_deg is not None:
        left = _swing(person.rest, raised, middle, reach * amplitude, phase_deg - gesture.left_lag_deg)
    return right + _sway(time_s, draw), left + _sway(time_s, draw)


def _course(gesture: Gesture, tempo: float, draw: np.random.Generator) -> tuple[Array, Array, Array]:
    """Over the fine grid: time in seconds, how far the arm has left rest (0 to 1), and the swing's phase."""
    active_s, raise_s = gesture.cycles * gesture.cycle_s / tempo, _RAISE_S / tempo
    start_s, tail_s = draw.uniform(0.15, 0.4, 2)
    # Whole tenths of a second hold whole numbers of samples and of frames.
    length_s = np.ceil((start_s + 2 * raise_s + active_s + tail_s) * 10) / 10
    time_s = np.arange(round(length_s * FINE_RATE_HZ)) / FINE_RATE_HZ
    uneven_s = time_s + 0.04 * np.sin(2 * np.pi * time_s / length_s + draw.uniform(0, 2 * np.pi))
    begun_s = uneven_s - start_s - raise_s
    raised = _ease(1 + begun_s / raise_s) * (1 - _ease((begun_s - active_s) / raise_s))
    done = begun_s / active_s
    return time_s, raised, 360 * gesture.cycles * (_ease(done) if gesture.cycles < 1 else done)


def _swings(gesture: Gesture, person: _Person, style: np.random.Generator) -> tuple[Array, Array, Array]:
    """Middle, amplitude and phase (9,) each; how a person means a gesture differs a little from how it is described."""
    middle, amplitude, start_deg = person.rest.copy(), np.zeros(len(POSTURE)), np.zeros(len(POSTURE))
    for name, swing in gesture.swings.items():
        index = POSTURE.index(name)
        middle[index], amplitude[index], start_deg[index] = swing
        middle[index] += style.normal(0, 6 if name in ARM else 1)
    return middle, amplitude, start_deg


def _swing(rest: Array, raised: Array, middle: Array, amplitude: Array, phase_deg: Array) -> Array:
    return rest + raised[:, None] * (middle + amplitude * np.sin(np.radians(phase_deg)) - rest)


def _ease(share: Array) -> Array:
    """From 0 to 1 with the least jerk (Flash and Hogan 1985): no step in speed or acceleration at either end."""
    x = np.clip(share, 0, 1)
    eased: Array = x**3 * (10 - 15 * x + 6 * x**2)
    return eased


def _sway(time_s: Array, draw: np.random.Generator) -> Array:
    """Slow wandering of every angle (F, 9): nobody holds still."""
    rate_hz = draw.uniform(0.2, 1.5, (3, len(POSTURE)))
    start = draw.uniform(0, 2 * np.pi, (3, len(POSTURE)))
    size = draw.normal(0, 2, (3, len(POSTURE))) * ([1.0] * len(ARM) + [0.5, 0.5, 0.2])
    wandering: Array = (size * np.sin(2 * np.pi * rate_hz * time_s[:, None, None] + start)).sum(axis=1)
    return wandering


def _seen(joints: Array, draw: np.random.Generator) -> Array:
    """Joints as a camera finds them: some metres away, not quite facing it, a few millimetres off."""
    place = np.array([draw.normal(0, 0.15), -1.0, draw.normal(3, 0.15)])
    facing = rotation("y", draw.normal(0, 6))
    seen: Array = joints @ facing.T + place + draw.normal(0, 0.005, joints.shape)
    return seen


def _stream(values: Array, rate_hz: int) -> Stream:
    return Stream(values.astype(np.float32), float(rate_hz))
