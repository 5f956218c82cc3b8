"""UTD-MHAD as downloaded: `Inertial/` and `Skeleton/` files of 27 actions, 8 subjects and 4 trials.

Chen, Jafari, Kehtarnavaz, "UTD-MHAD: A multimodal dataset for human action recognition", ICIP 2015.

The inertial sensor sat on the right wrist for actions 1 to 21 and on the right thigh for 22 to 27. The place depends on
the action, so it would give the label away: it is never an input, and the dataset calls it the right wrist throughout.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pskd_core.data.columnar import SKELETON, DatasetInfo, NamedSplit, Recording, SkeletonInfo, Stream, StreamInfo
from pskd_core.data.mat import Array, read_mat
from pskd_core.data.problems import Problem, finite_float32, listed, shortened
from pskd_core.data.source import SourceFiles
from pskd_core.errors import DataError

CLASSES = (
    "swipe_left", "swipe_right", "wave", "clap", "throw", "arm_cross", "basketball_shoot", "draw_x", "draw_circle_cw",
    "draw_circle_ccw", "draw_triangle", "bowling", "boxing", "baseball_swing", "tennis_swing", "arm_curl",
    "tennis_serve", "push", "knock", "catch", "pickup_throw", "jog", "walk", "sit2stand", "stand2sit", "lunge", "squat",
)  # fmt: skip

# Kinect for Windows v1. The camera's x points to the person's right, y up, z away from the camera.
KINECT_SKELETON = SkeletonInfo(
    joints=(
        "head", "shoulder_center", "spine", "hip_center",
        "left_shoulder", "left_elbow", "left_wrist", "left_hand",
        "right_shoulder", "right_elbow", "right_wrist", "right_hand",
        "left_hip", "left_knee", "left_ankle", "left_foot",
        "right_hip", "right_knee", "right_ankle", "right_foot",
    ),
    bones=(
        (2, 3), (1, 2), (0, 1),
        (4, 1), (5, 4), (6, 5), (7, 6),
        (8, 1), (9, 8), (10, 9), (11, 10),
        (12, 3), (13, 12), (14, 13), (15, 14),
        (16, 3), (17, 16), (18, 17), (19, 18),
    ),
    centre=3,
    up=1,
)  # fmt: skip

_SENSOR_RATE_HZ = 50.0
_SENSORS = {
    "accelerometer": StreamInfo(channels=3, unit="g", rate_hz=_SENSOR_RATE_HZ, worn_at="right_wrist"),
    "gyroscope": StreamInfo(channels=3, unit="deg/s", rate_hz=_SENSOR_RATE_HZ, worn_at="right_wrist"),
}
# The nominal rate. A trial has 2.6 sensor samples a frame, not 50/30, so the two clocks disagree; the wrist's second
# derivative fits the accelerometer best at 18 to 19 frames a second, so the sensor's clock is the one to believe.
_SKELETON = StreamInfo(channels=None, unit="m", rate_hz=30.0)
_PROTOCOLS = {
    "cross_subject": NamedSplit(by="subject", train=("1", "3", "5", "7"), test=("2", "4", "6", "8")),
    "cross_trial": NamedSplit(by="trial", train=("1", "2"), test=("3", "4")),
}
_SENSOR_COLUMNS = ("accelerometer x", "accelerometer y", "accelerometer z", "gyroscope x", "gyroscope y", "gyroscope z")
_SKELETON_COLUMNS = tuple(f"{joint} {axis}" for joint in KINECT_SKELETON.joints for axis in "xyz")
_FILE = re.compile(r"(?:^|/)a(\d{1,3})_s(\d{1,3})_t(\d{1,3})_(inertial|skeleton)\.mat$", re.IGNORECASE)
_MOST_BYTES = 1 << 20  # the largest file is 26 kB and inflates to 60 kB
_FEWEST = 16  # samples or frames


class Trial(NamedTuple):
    """Numbers as the file names count them, from 1."""

    action: int
    subject: int
    trial: int

    def __str__(self) -> str:
        return f"a{self.action}_s{self.subject}_t{self.trial}"


_ACTIONS = range(1, len(CLASSES) + 1)
_NEVER_RECORDED = {Trial(8, 1, 4), Trial(23, 6, 4), Trial(27, 8, 4)}
_MOST_NAMED = 12  # files or trials that one finding names, or that have a finding each
_KNOWN_TRIALS = {Trial(a, s, t) for a in _ACTIONS for s in range(1, 9) for t in range(1, 5)}
_ALL_TRIALS = _KNOWN_TRIALS - _NEVER_RECORDED


def is_utd_mhad(files: SourceFiles) -> bool:
    """Whether any file is named like one of the dataset's."""
    return any(_FILE.search(name) for name in files.names)


def read_utd_mhad(files: SourceFiles) -> tuple[DatasetInfo, Iterator[Recording], list[Problem]]:
    """The dataset's description, its usable recordings one by one, and what is wrong with the copy.

    A damaged or missing skeleton leaves the sensors' recording; without its inertial file a trial is left out.
    Classes without any inertial file are left out too: no protocol could train on them. The others keep their order.
    The list of problems is complete once the recordings are exhausted.
    """
    problems = [_PLACEMENT]
    inertial, skeleton = _find(files, problems)
    problems += _missing(inertial, skeleton)
    # Without any trial nothing is imported; the description must hold together until that is said.
    actions = sorted({trial.action for trial in inertial}) or list(_ACTIONS)
    problems += _left_out_classes(actions)
    info = DatasetInfo(
        name="UTD-MHAD",
        layout="utd_mhad",
        classes=tuple(CLASSES[action - 1] for action in actions),
        streams=_SENSORS | ({SKELETON: _SKELETON} if skeleton else {}),
        skeleton=KINECT_SKELETON if skeleton else None,
        protocols=_PROTOCOLS,
    )
    return info, _recordings(files, inertial, skeleton, actions, problems), problems


_PLACEMENT = Problem(
    severity="info",
    detail="the sensor sat on the right wrist for actions 1 to 21 and on the right thigh for 22 to 27, so what is said "
    "of wrist-worn devices covers 21 of the 27 classes",
)


def _find(files: SourceFiles, problems: list[Problem]) -> tuple[dict[Trial, str], dict[Trial, str]]:
    """Names of the inertial and of the skeleton files by trial."""
    found: dict[str, dict[Trial, str]] = {"inertial": {}, "skeleton": {}}
    unknown: list[str] = []
    second: list[Problem] = []
    for name, match in ((name, match) for name in files.names if (match := _FILE.search(name))):
        trial, kind = Trial(*map(int, match.groups()[:3])), match[4].lower()
        if trial not in _KNOWN_TRIALS:
            unknown.append(name)
        elif (first := found[kind].setdefault(trial, name)) is not name:
            detail = f"a second {kind} file of {trial}; {shortened(first)} was taken"
            second.append(Problem(severity="warning", detail=detail, file=name))
    problems += _doubtful(unknown, second)
    return found["inertial"], found["skeleton"]


def _doubtful(unknown: list[str], second: list[Problem]) -> Iterator[Problem]:
    """What is said of files that are not used; a zip may hold any number of them."""
    if unknown:
        detail = f"{len(unknown)} files are no trial of UTD-MHAD; left out: {listed(unknown)}"
        yield Problem(severity="warning", detail=detail)
    yield from second[:_MOST_NAMED]
    if (more := len(second) - _MOST_NAMED) > 0:
        yield Problem(severity="warning", detail=f"{more} more second files of a trial; not taken")


def _left_out_classes(actions: Collection[int]) -> Iterator[Problem]:
    if absent := [CLASSES[action - 1] for action in _ACTIONS if action not in actions]:
        detail = f"no recording of class {', '.join(absent)}; left out, so labels count the other classes alone"
        yield Problem(severity="warning", detail=detail)


def _missing(inertial: Collection[Trial], skeleton: Collection[Trial]) -> Iterator[Problem]:
    """What a whole copy has and this one lacks, in at most four findings."""
    present = {*inertial, *skeleton}
    absent = _ALL_TRIALS - present
    subjects = {trial.subject for trial in absent} - {trial.subject for trial in present}
    if subjects:
        detail = f"no trial of subjects {', '.join(map(str, sorted(subjects)))}"
        yield Problem(severity="warning", detail=detail)
    if single := {trial for trial in absent if trial.subject not in subjects}:
        yield Problem(severity="warning", detail=f"missing: {listed(sorted(single), most=_MOST_NAMED)}")
    if alone := {*inertial} - {*skeleton}:
        yield Problem(
            severity="warning",
            detail=f"without skeleton, kept for the sensors alone: {listed(sorted(alone), most=_MOST_NAMED)}",
        )
    if alone := {*skeleton} - {*inertial}:
        yield Problem(
            severity="error", detail=f"without inertial file, left out: {listed(sorted(alone), most=_MOST_NAMED)}"
        )


def _recordings(
    files: SourceFiles,
    inertial: dict[Trial, str],
    skeleton: dict[Trial, str],
    actions: Sequence[int],
    problems: list[Problem],
) -> Iterator[Recording]:
    # By number, so that a folder and a zip of the same files give the same bytes.
    for trial, file in sorted(inertial.items()):
        try:
            streams = _read_inertial(files, file)
        except DataError as error:
            problems.append(Problem.from_error(error))
            continue
        if trial in skeleton:
            try:
                streams[SKELETON] = _read_skeleton(files, skeleton[trial], streams["accelerometer"].duration_s)
            except DataError as error:
                problems.append(Problem.from_error(error))
        yield Recording(
            id=str(trial),
            subject=str(trial.subject),
            trial=str(trial.trial),
            label=actions.index(trial.action),
            streams=streams,
        )


def _read_inertial(files: SourceFiles, file: str) -> dict[str, Stream]:
    """Accelerometer (n, 3) in g and gyroscope (n, 3) in deg/s."""
    values = _variable(files, file, "d_iner")
    if values.ndim != 2 or values.shape[1] != 6 or len(values) < _FEWEST:
        raise DataError(f"d_iner has shape {values.shape}; (n, 6) with n ≥ {_FEWEST} was expected", file=file)
    halves = np.split(finite_float32(values, _SENSOR_COLUMNS, file=file), 2, axis=1)
    return {name: Stream(half, _SENSOR_RATE_HZ) for name, half in zip(_SENSORS, halves, strict=True)}


def _read_skeleton(files: SourceFiles, file: str, duration_s: float) -> Stream:
    """Joints (F, V, 3) in metres, at the rate that makes them span the sensors' time."""
    values = _variable(files, file, "d_skel")
    joints = len(KINECT_SKELETON.joints)
    if values.ndim != 3 or values.shape[:2] != (joints, 3) or values.shape[2] < _FEWEST:
        expected = f"({joints}, 3, F) with F ≥ {_FEWEST}"
        raise DataError(f"d_skel has shape {values.shape}; {expected} was expected", file=file)
    rows = values.transpose(2, 0, 1).reshape(values.shape[2], -1)  # (F, V·3)
    frames = finite_float32(rows, _SKELETON_COLUMNS, file=file).reshape(-1, joints, 3)
    return Stream(frames, len(frames) / duration_s)


def _variable(files: SourceFiles, file: str, name: str) -> Array:
    arrays = read_mat(files.read(file, most_bytes=_MOST_BYTES), file=file, most_bytes=_MOST_BYTES)
    if name not in arrays:
        raise DataError(f"it has no numeric variable {name}; it has {listed(arrays) or 'none'}", file=file)
    return arrays[name]
