"""The skeleton of Berkeley-MHAD, from whichever of its forms a copy holds.

In order of preference: the dataset's own BVH files, a CSV conversion of them, the optical markers (text, or `.c3d` for
trials without), and estimated 2-D poses of its video. The last two are substitutes, and figures of networks that read
them are marked as such. One dataset has one skeleton, so one form is taken throughout: the most preferred of those that
reach at least half as many trials as the one that reaches most.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pskd_core.data.berkeley_trials import Trial, find_trials
from pskd_core.data.body_graphs import COCO_17, spanning_bones
from pskd_core.data.bvh import read_bvh
from pskd_core.data.c3d_markers import read_c3d
from pskd_core.data.columnar import SkeletonInfo
from pskd_core.data.numbers import decoded, read_numbers
from pskd_core.data.problems import Problem
from pskd_core.data.series import LARGEST, Array
from pskd_core.data.source import SourceFiles
from pskd_core.data.timing import Timed, bridge_unseen, in_order
from pskd_core.errors import DataError

FRAMES_HZ = 30.0  # of 480 recorded; 21.3 of the video
_MOST_BYTES = 1 << 28  # 1 MB a second of optical text
_MOST_C3D_BYTES = 1 << 26  # 0.33 MB a second
_FEWEST = 16  # frames
_SEEN = 0.6  # share of frames in which a marker or person must be seen, or the finding names the file

_TRIAL = r"s(\d{1,3})_a(\d{1,3})_r(\d{1,3})"
_FORMS = {
    "bvh": re.compile(rf"(?:^|/)skl_{_TRIAL}\.bvh$", re.IGNORECASE),
    "bvh_pro": re.compile(rf"(?:^|/)skl_{_TRIAL}_pro\.bvh$", re.IGNORECASE),
    "csv": re.compile(rf"(?:^|/)skl_{_TRIAL}(?:_pro)?_(?:world)?pos\.csv$", re.IGNORECASE),
    "optical": re.compile(rf"(?:^|/)moc_{_TRIAL}\.txt$", re.IGNORECASE),
    "pose2d": re.compile(r"(?:^|/)pose2d/s(\d{1,3})/a(\d{1,3})/r(\d{1,3})/[^/]+\.csv$", re.IGNORECASE),
}
_SAID = {
    "bvh": "BVH files",
    "bvh_pro": "BVH files (_pro)",
    "csv": "CSV conversions of BVH files",
    "optical": "43 optical markers",
    "pose2d": "estimated 2-D poses",
}
_C3D = re.compile(rf"(?:^|/)moc_{_TRIAL}\.c3d$", re.IGNORECASE)
_STAMPS = re.compile(rf"(?:^|/)time_stamps_img_(?:\w+_)?{_TRIAL}\.txt$", re.IGNORECASE)
_SUBSTITUTE = Problem(
    severity="warning",
    detail="SUBSTITUTE SKELETON: the 2-D poses were estimated from the dataset's video and are no part of "
    "Berkeley-MHAD; no benchmark number of the dataset may be claimed from a job that reads them",
)

# Numbered as the columns count them: 0-2 head, 3-6 back, 7-10 front of the trunk, 11-18 one arm, 19-26 the other,
# 27-29 and 35-37 the sides of the pelvis, 30-34 and 38-42 the legs. The published files name no marker; how they hang
# together was read off where they lie on the body.
MARKERS = SkeletonInfo(
    joints=tuple(f"marker_{number:02}" for number in range(1, 44)),
    bones=(
        (3, 4), (5, 4), (6, 4), (9, 5), (8, 9), (7, 8), (10, 8), (2, 5), (0, 2), (1, 2),
        (11, 5), (12, 11), (13, 12), (14, 13), (15, 14), (16, 15), (17, 16), (18, 16),
        (19, 5), (20, 19), (21, 20), (22, 21), (23, 22), (24, 23), (25, 24), (26, 24),
        (27, 6), (29, 27), (28, 29), (30, 29), (31, 30), (32, 31), (33, 32), (34, 32),
        (35, 3), (37, 35), (36, 37), (38, 37), (39, 38), (40, 39), (41, 40), (42, 40),
    ),
    centre=4,
    up=1,
    substitute="43 optical markers in the place of joints",
)  # fmt: skip
POSES = COCO_17.model_copy(update={"substitute": "2-D poses estimated from the dataset's video"})


class _Frames(NamedTuple):
    """What one file holds; without a clock of its own it has a rate alone."""

    info: SkeletonInfo
    positions: Array  # (F, V, dims)
    time_s: Array | None = None
    rate_hz: float | None = None


@dataclass(slots=True)
class Skeletons:
    """The form taken, and what was found while its files were read."""

    source: SourceFiles
    form: str
    files: dict[Trial, str]
    info: SkeletonInfo
    clocks: dict[Trial, str]  # optical text files, whose columns end with the time
    stamps: dict[Trial, str]  # of the camera's frames
    unclocked: list[Trial] = field(default_factory=list)
    filled: list[tuple[float, str]] = field(default_factory=list)  # (share of positions, file)

    @property
    def unit(self) -> str:
        """Of the positions."""
        return "px" if self.form == "pose2d" else "m"

    def read(self, trial: Trial, span_s: tuple[float, float], problems: list[Problem]) -> Timed | None:
        """Positions of one trial on the shared clock; `span_s` are the sensors' first and last times.

        Raises:
            DataError: its file cannot be used.
        """
        if trial not in self.files:
            return None
        file = self.files[trial]
        if self.form == "pose2d" and trial not in self.stamps:
            raise DataError("its time stamps are missing (Time_stamps/time_stamps_img_…); left out", file=file)
        frames = _READERS[self.form](self.source, file)
        if frames.info.joints != self.info.joints:
            detail = f"its {len(frames.info.joints)} joints are not the {len(self.info.joints)} of the first file"
            raise DataError(detail, file=file)
        if len(frames.positions) < _FEWEST:
            raise DataError(f"{len(frames.positions)} frames; at least {_FEWEST} are needed", file=file)
        positions = self._filled(frames.positions, file, problems)
        values, time_s = in_order(*self._clocked(trial, positions, frames, span_s, problems))
        return Timed(values, time_s, FRAMES_HZ)

    def summary(self) -> list[Problem]:
        """What concerns many files alike, once they were read."""
        findings = []
        if self.unclocked:
            detail = (
                f"{len(self.unclocked)} trials have neither optical text file nor time stamps; their skeletons were "
                "centred on the sensors' time"
            )
            findings.append(Problem(severity="warning", detail=detail))
        if self.filled:
            share, file = max(self.filled)
            detail = (
                f"positions that were not seen (0 0 0) in {len(self.filled)} files were bridged by straight lines: "
                f"{np.mean([each for each, _ in self.filled]):.1%} of their values on average, at most {share:.1%}"
            )
            findings.append(Problem(severity="warning", detail=detail, file=file))
        return findings

    def _filled(self, positions: Array, file: str, problems: list[Problem]) -> Array:
        """Bridges points that were not seen, which the files give as exactly 0."""
        if self.form not in {"optical", "pose2d"}:
            return positions
        unseen = (positions == 0).all(axis=2) | ~(np.abs(positions) < LARGEST).all(axis=2)  # (F, V)
        if not unseen.any():
            return positions
        share = unseen.mean(axis=0)
        self.filled.append((float(unseen.mean()), file))
        for joint in np.flatnonzero(share > 1 - _SEEN).tolist():
            detail = f"not seen in {share[joint]:.0%} of the frames"
            row = int(np.flatnonzero(unseen[:, joint])[0]) + 1
            problems.append(
                Problem(severity="warning", detail=detail, file=file, row=row, column=self.info.joints[joint])
            )
        if unseen.all():
            raise DataError("nothing is seen in any frame", file=file)
        return bridge_unseen(positions, unseen)

    def _clocked(
        self, trial: Trial, positions: Array, frames: _Frames, span_s: tuple[float, float], problems: list[Problem]
    ) -> tuple[Array, Array]:
        if frames.time_s is not None:
            return positions, frames.time_s
        if self.form == "pose2d":
            return self._stamped(trial, positions, problems)
        rate_hz = frames.rate_hz or 480.0
        if trial in self.clocks:
            span_s = _optical_span(self.source, self.clocks[trial])
        elif trial in self.stamps:
            times = _stamps(self.source, self.stamps[trial])
            span_s = float(times[0]), float(times[-1])
        else:
            self.unclocked.append(trial)
        own_s = (len(positions) - 1) / rate_hz
        if abs(own_s - (span_s[1] - span_s[0])) > max(0.5, 0.1 * own_s):
            lasted_s = span_s[1] - span_s[0]
            detail = (
                f"{own_s:.1f} s long, while its trial lasted {lasted_s:.1f} s; both were taken to share their middle"
            )
            problems.append(Problem(severity="warning", detail=detail, file=self.files[trial]))
        middle_s = sum(span_s) / 2
        return positions, middle_s - own_s / 2 + np.arange(len(positions)) / rate_hz

    def _stamped(self, trial: Trial, positions: Array, problems: list[Problem]) -> tuple[Array, Array]:
        """Video frames at the camera's times; the pose has one frame fewer than there are time stamps."""
        times = _stamps(self.source, self.stamps[trial])
        if not len(times) - 1 <= len(positions) <= len(times):
            detail = f"{len(positions)} rows for {len(times)} time stamps; both were taken from the start"
            problems.append(Problem(severity="warning", detail=detail, file=self.files[trial]))
        common = min(len(positions), len(times))
        return positions[:common], times[:common]


def choose_skeletons(files: SourceFiles, problems: list[Problem]) -> Skeletons | None:
    """The form of skeleton that this copy is read with; none where it has none."""
    found = {form: find_trials(files, pattern, problems) for form, pattern in _FORMS.items()}
    clocks, stamps = found["optical"], find_trials(files, _STAMPS, [])
    # The same markers; the text has their clock as well.
    found["optical"] = find_trials(files, _C3D, problems) | clocks
    found = {form: trials for form, trials in found.items() if trials}
    most = max(map(len, found.values()), default=0)
    for form, trials in found.items():
        if 2 * len(trials) >= most and (info := _described(files, form, trials, problems)):
            passed_over = [f"{_SAID[other]} of {len(found[other])}" for other in found if other != form]
            also = f"; not taken: {', '.join(passed_over)}" if passed_over else ""
            detail = f"the skeleton is that of {_SAID[form]} of {len(trials)} trials{also}"
            problems.append(Problem(severity="info", detail=detail))
            problems += [_SUBSTITUTE] if form == "pose2d" else []
            return Skeletons(files, form, trials, info, clocks, stamps)
    return None


def _described(files: SourceFiles, form: str, trials: dict[Trial, str], problems: list[Problem]) -> SkeletonInfo | None:
    """The skeleton of the form: a fixed one, or that of its first readable file."""
    if form == "optical":
        return MARKERS
    if form == "pose2d":
        return POSES
    for _, file in sorted(trials.items()):
        try:
            info = _READERS[form](files, file).info
        except DataError:
            continue  # it is reported when its turn comes
        if form == "csv":
            detail = "the conversion does not say how joints hang together; bones are the steadiest of their distances"
            problems.append(Problem(severity="warning", detail=detail, file=file))
        return info
    return None


# --- Forms --------------------------------------------------------------------------------------------------------


def _read_bvh(files: SourceFiles, file: str) -> _Frames:
    motion = read_bvh(decoded(files.read(file, most_bytes=_MOST_BYTES)), file=file)
    info = SkeletonInfo(joints=motion.joints, bones=motion.bones, centre=0, up=1)
    return _Frames(info, motion.positions / 100, rate_hz=motion.rate_hz)  # cm


def _read_csv(files: SourceFiles, file: str) -> _Frames:
    """A header of `Time` and `joint.x`, `joint.y`, `joint.z`, then seconds and centimetres."""
    text = decoded(files.read(file, most_bytes=_MOST_BYTES))
    header = [name.strip().strip('"') for name in text.split("\n", 1)[0].split(",")]
    matches = [re.fullmatch(r"(.+?)[ ._:]?([xyz])", name, re.IGNORECASE) for name in header[1:]]
    axes = "".join(match[2].lower() if match else "?" for match in matches)
    if not re.fullmatch(r"time\b.*", header[0], re.IGNORECASE) or axes != "xyz" * (len(axes) // 3) or not axes:
        raise DataError("a header `Time,joint.x,joint.y,joint.z,…` was expected", file=file, row=1)
    numbers = read_numbers(text, columns=len(header), file=file, delimiter=",", skip=1, names=header)
    if not (finite := np.abs(numbers) < LARGEST).all():
        row, column = np.argwhere(~finite)[0].tolist()
        raise DataError("a value is not finite", file=file, row=row + 2, column=header[column])
    positions = numbers[:, 1:].reshape(len(numbers), -1, 3) / 100  # cm
    step_s = float(np.median(np.diff(numbers[:, 0]))) if len(numbers) > 1 else 0.0
    if step_s <= 0:
        raise DataError("its times do not rise", file=file, column=header[0])
    joints = tuple(match[1] for match in matches[::3] if match)
    info = SkeletonInfo(joints=joints, bones=spanning_bones(positions[:: max(len(positions) // 200, 1)], 0), centre=0)
    return _Frames(info, positions, rate_hz=1 / step_s)


def _read_optical(files: SourceFiles, file: str) -> _Frames:
    """43 markers: text in mm with the frame's number and Unix time, or `.c3d`."""
    if _C3D.search(file):
        data = files.read(file, most_bytes=_MOST_C3D_BYTES)
        positions, rate_hz = read_c3d(data, markers=len(MARKERS.joints), file=file)
        return _Frames(MARKERS, positions, rate_hz=rate_hz)
    text = decoded(files.read(file, most_bytes=_MOST_BYTES))
    numbers = read_numbers(text, columns=3 * len(MARKERS.joints) + 2, file=file)
    if not np.isfinite(numbers[:, -1]).all():
        row = int(np.flatnonzero(~np.isfinite(numbers[:, -1]))[0]) + 1
        raise DataError("a time is not finite", file=file, row=row, column="time")
    return _Frames(MARKERS, numbers[:, :-2].reshape(len(numbers), -1, 3) / 1000, time_s=numbers[:, -1])


def _read_pose(files: SourceFiles, file: str) -> _Frames:
    text = decoded(files.read(file, most_bytes=_MOST_BYTES))
    names = [f"{joint} {axis}" for joint in POSES.joints for axis in "xy"]
    numbers = read_numbers(text, columns=len(names), file=file, delimiter=",", names=names)
    return _Frames(POSES, numbers.reshape(len(numbers), -1, 2))


_READERS: dict[str, Callable[[SourceFiles, str], _Frames]] = {
    "bvh": _read_bvh,
    "bvh_pro": _read_bvh,
    "csv": _read_csv,
    "optical": _read_optical,
    "pose2d": _read_pose,
}


# --- Clocks -------------------------------------------------------------------------------------------------------


def _optical_span(files: SourceFiles, file: str) -> tuple[float, float]:
    """First and last time of an optical file; its 43 markers are not looked at."""
    lines = files.read(file, most_bytes=_MOST_BYTES).strip().splitlines()
    try:
        return float(lines[0].split()[-1]), float(lines[-1].split()[-1])
    except (IndexError, ValueError) as broken:
        raise DataError("its first and last rows do not end with a time", file=file) from broken


def _stamps(files: SourceFiles, file: str) -> Array:
    """The time of each camera frame (n,)."""
    numbers = read_numbers(decoded(files.read(file, most_bytes=1 << 24)), columns=2, file=file, names=("frame", "time"))
    if not np.isfinite(numbers).all():
        raise DataError("a time is not finite", file=file, column="time")
    return numbers[:, 1]
