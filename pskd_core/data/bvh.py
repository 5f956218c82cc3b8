"""Motion capture in Biovision's BVH: a tree of joints, and for every frame their angles; read as positions."""

import re
from dataclasses import dataclass, field

import numpy as np

from pskd_core.data.series import LARGEST, Array
from pskd_core.errors import DataError

_MOST_JOINTS = 512
_MOST_DIGITS = 9  # of the number of frames
_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Joints over time, in the file's own unit of length."""

    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]  # (child, parent); joint 0 is the root
    positions: Array  # (F, V, 3)
    frame_s: float

    @property
    def rate_hz(self) -> float:
        """Frames a second."""
        return 1 / self.frame_s


@dataclass(slots=True)
class _Joint:
    name: str
    parent: int | None
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    channels: list[tuple[str, str]] = field(default_factory=list)  # (axis, `position` | `rotation`)
    is_end: bool = False


def read_bvh(text: str, *, file: str, end_sites: bool = False) -> Motion:
    """Positions of all joints, and of the end sites if wanted, by forward kinematics.

    A joint's rotations multiply in the order in which its channels stand; position channels stand in for its offset.

    Raises:
        DataError: not a BVH file, or cut short; names the row where it can.
    """
    head, found, motion = text.partition("MOTION")
    if not head.lstrip().startswith("HIERARCHY") or not found:
        raise DataError("not a BVH file: it needs the parts HIERARCHY and MOTION", file=file)
    joints = _hierarchy(head, file)
    values, frame_s = _frames(motion, sum(len(joint.channels) for joint in joints), head.count("\n"), file)
    positions = _positions(joints, values)
    kept = [index for index, joint in enumerate(joints) if end_sites or not joint.is_end]
    place = {index: number for number, index in enumerate(kept)}
    return Motion(
        joints=tuple(joints[index].name for index in kept),
        bones=tuple((place[i], place[parent]) for i in kept if (parent := joints[i].parent) is not None),
        positions=positions[:, kept],
        frame_s=frame_s,
    )


def _hierarchy(head: str, file: str) -> list[_Joint]:
    """Joints in the order of their channels; parents come before their children."""
    joints: list[_Joint] = []
    above: list[int] = []  # the open braces' joints
    for number, line in enumerate(head.split("\n"), start=1):
        try:
            match line.split():
                case [] | ["HIERARCHY"] | ["{"]:
                    pass
                case ["ROOT" | "JOINT", name, *rest]:
                    _add(joints, above, _Joint(" ".join([name, *rest]).rstrip(" {"), above[-1] if above else None))
                case ["End", *_]:
                    parent = above[-1]
                    _add(joints, above, _Joint(f"{joints[parent].name} end", parent, is_end=True))
                case ["OFFSET", x, y, z]:
                    joints[above[-1]].offset = _offset(x, y, z)
                case ["CHANNELS", count, *names]:
                    joints[above[-1]].channels = _channels(names, int(count))
                case ["}"]:
                    above.pop()
                case _:
                    raise DataError(f"{line.strip()[:60]!r} is not understood", file=file, row=number)
        except (ValueError, IndexError) as broken:
            raise DataError(f"{line.strip()[:60]!r} cannot stand here", file=file, row=number) from broken
    if above or not joints:
        raise DataError("the hierarchy is not closed", file=file)
    return joints


def _add(joints: list[_Joint], above: list[int], joint: _Joint) -> None:
    if len(joints) >= _MOST_JOINTS or (joint.parent is None and joints):
        raise ValueError("one root and a person's joints are expected")
    joints.append(joint)
    above.append(len(joints) - 1)


def _offset(*words: str) -> tuple[float, float, float]:
    x, y, z = map(float, words)
    if not (np.abs([x, y, z]) < LARGEST).all():
        raise ValueError("an offset that is not finite")
    return x, y, z


def _channels(names: list[str], count: int) -> list[tuple[str, str]]:
    found = [match for name in names if (match := _CHANNEL.fullmatch(name))]
    if len(found) != count or len(names) != count:
        raise ValueError("channels that are no positions or rotations")
    return [(match[1].lower(), match[2].lower()) for match in found]


def _frames(motion: str, channels: int, lines_before: int, file: str) -> tuple[Array, float]:
    """Values (F, channels) and the time between frames."""
    said = re.match(r"\s*Frames:\s*(\d+)\s+Frame Time:\s*(\d*\.?\d+(?:[eE][-+]?\d+)?)[^\n]*\n", motion)
    row = lines_before + 2
    if said is None or not 1e-5 < float(said[2]) < 10 or len(said[1]) > _MOST_DIGITS:
        raise DataError("`Frames:` and a `Frame Time:` in seconds were expected", file=file, row=row)
    try:
        values = np.array(motion[said.end() :].split(), np.float64)
    except ValueError as broken:
        raise DataError(f"the frames hold something that is no number ({broken})", file=file) from broken
    if len(values) != int(said[1]) * channels or not len(values):
        detail = f"{said[1]} frames of {channels} channels are announced, and {len(values)} values follow"
        raise DataError(detail, file=file, row=row)
    if not (finite := np.abs(values) < LARGEST).all():
        frame = int(finite.argmin()) // channels
        raise DataError("a value is not finite", file=file, row=row + 2 + frame)
    return values.reshape(-1, channels), float(said[2])


def _positions(joints: list[_Joint], values: Array) -> Array:
    """(F, V, 3)."""
    frames = len(values)
    turned: list[Array] = []  # each joint's axes in the room (F, 3, 3)
    placed = np.zeros((frames, len(joints), 3))
    column = 0
    for index, joint in enumerate(joints):
        shift = np.broadcast_to(np.array(joint.offset), (frames, 3)).copy()
        turn = np.broadcast_to(np.eye(3), (frames, 3, 3))
        for axis, kind in joint.channels:
            if kind == "position":
                shift[:, "xyz".index(axis)] = values[:, column]
            else:
                turn = turn @ _rotation(axis, np.radians(values[:, column]))
            column += 1
        if joint.parent is None:
            placed[:, index] = shift
            turned.append(turn)
        else:
            axes = turned[joint.parent]
            placed[:, index] = placed[:, joint.parent] + (axes @ shift[:, :, None])[:, :, 0]
            turned.append(axes @ turn)
    return placed


def _rotation(axis: str, angle: Array) -> Array:
    """Right-handed rotations (F, 3, 3) about one axis."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    turn = np.broadcast_to(np.eye(3), (len(angle), 3, 3)).copy()
    turn[:, first, first] = turn[:, second, second] = np.cos(angle)
    turn[:, second, first] = np.sin(angle)
    turn[:, first, second] = -turn[:, second, first]
    return turn
