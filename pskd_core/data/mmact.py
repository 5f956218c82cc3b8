"""MMAct as its owners hand it out: CSV files of a watch and a phone, and poses seen by four cameras.

Kong, Wu, Deng, Klinkigt, Tong, Murakami, "MMAct: A large-scale dataset for cross modal human action understanding",
ICCV 2019. Access is by agreement; nothing of it is shipped here.

A recording is one clip as one camera saw it, so the same sensor samples stand in as many recordings as cameras have a
pose of it; where none has, it stands once, without a camera. The watch is `accelerometer`, as in every dataset the
stream that a student reads by default.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pskd_core.data.arrays import parse_npy
from pskd_core.data.body_graphs import COCO_17, COCO_18
from pskd_core.data.columnar import SKELETON, DatasetInfo, NamedSplit, Recording, StreamInfo
from pskd_core.data.numbers import decoded
from pskd_core.data.problems import Findings, Problem, listed
from pskd_core.data.series import LARGEST, STANDARD_GRAVITY, Array
from pskd_core.data.source import SourceFiles
from pskd_core.data.timing import Timed, align, bridge, bridge_unseen, in_order
from pskd_core.errors import DataError

CLASSES = (
    "carrying", "carrying_heavy", "carrying_light", "checking_time", "closing", "crouching", "drinking", "entering",
    "exiting", "fall", "jumping", "kicking", "loitering", "looking_around", "opening", "picking_up", "pocket_in",
    "pocket_out", "pointing", "pulling", "pushing", "running", "setting_down", "sitting", "sitting_down", "standing",
    "standing_up", "talking", "talking_on_phone", "throwing", "transferring_object", "using_pc", "using_phone",
    "walking", "waving_hand",
)  # fmt: skip

_OF_TWO = {"talking", "transferring_object"}  # in all others whoever else is seen passes by

_Key = TypeVar("_Key")

_FRAMES_HZ = 30.0
_SENSORS = {
    "acc_watch_clip": ("accelerometer", StreamInfo(channels=3, unit="g", rate_hz=100, worn_at="wrist")),
    "acc_phone_clip": ("accelerometer_phone", StreamInfo(channels=3, unit="g", rate_hz=100, worn_at="pocket")),
    "gyro_clip": ("gyroscope", StreamInfo(channels=3, unit="rad/s", rate_hz=50, worn_at="pocket")),
    "orientation_clip": ("orientation", StreamInfo(channels=3, unit="deg", rate_hz=50, worn_at="pocket")),
}


def _numbers(first: int, last: int) -> tuple[str, ...]:
    return tuple(map(str, range(first, last + 1)))


_PROTOCOLS = {
    "cross_subject": NamedSplit(by="subject", train=_numbers(1, 16), test=_numbers(17, 20)),
    "cross_view": NamedSplit(by="camera", train=_numbers(1, 3), test=("4",)),
    "cross_scene": NamedSplit(by="scene", train=("1", "3", "4"), test=("2",)),
    "cross_session": NamedSplit(by="session", train=_numbers(1, 4), test=("5",)),
}
_SENSOR = re.compile(
    rf"(?:^|/)({'|'.join(_SENSORS)})/subject0*(\d+)/scene0*(\d+)/session0*(\d+)/([^/]+)\.csv$", re.IGNORECASE
)
_POSE = re.compile(
    r"(?:^|/)subject0*(\d+)/cam(?:era)?0*(\d+)/scene0*(\d+)/session0*(\d+)/([^/]+)\.(json|npy)$", re.IGNORECASE
)
_ROW = re.compile(
    r"^[ \t\"]*(\d{4})(\d\d)(\d\d)_(\d\d:\d\d:\d\d(?:\.\d{1,9})?)\"?[ \t]*"
    r",([^,\n]+),([^,\n]+),([^,\n]+?)[, \t]*$",
    re.MULTILINE,
)
_COLUMNS = ("x", "y", "z")
_MOST_BYTES = 1 << 26
_MOST_BODIES = 200_000  # persons times frames of a pose file: an hour and more of one
_FEWEST = 16  # samples or frames
_SAID_OF_A_KIND = 20
# From OpenPose's order of 18 points to COCO's 17, which has no neck.
_FROM_18 = [COCO_18.joints.index(joint) for joint in COCO_17.joints]

_DUPLICATED = Problem(
    severity="warning",
    detail="a clip's sensor samples are the same whichever camera saw it: under `cross_view` a student that reads "
    "sensors alone is tested on what it was trained on, and elsewhere each of its clips counts once a camera",
)


class Clip(NamedTuple):
    """One performance, whoever recorded it."""

    subject: int
    scene: int
    session: int
    action: str

    def __str__(self) -> str:
        return f"subject{self.subject}_scene{self.scene}_session{self.session}_{self.action}"


@dataclass(frozen=True, slots=True)
class _Copy:
    files: SourceFiles
    sensors: Mapping[Clip, Mapping[str, str]]  # stream → file
    poses: Mapping[Clip, Mapping[int, str]]  # camera → file

    @property
    def persons(self) -> int:
        """Two if any pose is of an action of two."""
        return 2 if any(clip.action in _OF_TWO for clip in self.poses) else 1


def is_mmact(files: SourceFiles) -> bool:
    """Whether any file lies where the dataset keeps its sensors' clips."""
    return any(_SENSOR.search(name) for name in files.names)


def read_mmact(files: SourceFiles) -> tuple[DatasetInfo, Iterator[Recording], list[Problem]]:
    """The dataset's description, its usable recordings one by one, and what is wrong with the copy.

    The list of problems is complete once the recordings are exhausted.
    """
    findings = Findings(_SAID_OF_A_KIND)
    copy = _Copy(files, _find_sensors(files, findings), _find_poses(files, findings))
    findings.problems += _missing(copy)
    names = {stream for found in copy.sensors.values() for stream in found}
    streams = {name: info for name, info in _SENSORS.values() if name in names}
    if copy.poses:
        streams[SKELETON] = StreamInfo(channels=None, unit="px", rate_hz=_FRAMES_HZ)
        findings.problems.append(_DUPLICATED)
    info = DatasetInfo(
        name="MMAct",
        layout="mmact",
        classes=CLASSES,
        streams=streams,
        skeleton=COCO_17.model_copy(update={"persons": copy.persons}) if copy.poses else None,
        protocols=_PROTOCOLS if copy.poses else {n: split for n, split in _PROTOCOLS.items() if split.by != "camera"},
    )
    return info, _recordings(copy, findings), findings.problems


# --- Files --------------------------------------------------------------------------------------------------------


def _find_sensors(files: SourceFiles, findings: Findings) -> Mapping[Clip, Mapping[str, str]]:
    found: dict[Clip, dict[str, str]] = defaultdict(dict)
    for name in files.names:
        if (match := _SENSOR.search(name)) and (clip := _clip(match[2], match[3], match[4], match[5], name, findings)):
            _keep(found[clip], _SENSORS[match[1].lower()][0], name, findings)
    return found


def _find_poses(files: SourceFiles, findings: Findings) -> Mapping[Clip, Mapping[int, str]]:
    found: dict[Clip, dict[int, str]] = defaultdict(dict)
    # JSON before npy, whose points lack the confidences in some copies.
    for name in sorted(files.names, key=lambda name: not name.lower().endswith(".json")):
        if match := _POSE.search(name):
            subject, camera, scene, session, action, _ = match.groups()
            if clip := _clip(subject, scene, session, action, name, findings):
                _keep(found[clip], int(camera), name, findings)
    return found


def _clip(subject: str, scene: str, session: str, action: str, file: str, findings: Findings) -> Clip | None:
    label = re.sub(r"[\s-]+", "_", action.strip().lower())
    if label not in CLASSES:
        detail = f"{action!r} is none of the {len(CLASSES)} actions; left out"
        findings.add("unknown actions", Problem(severity="warning", detail=detail, file=file))
        return None
    return Clip(int(subject), int(scene), int(session), label)


def _keep(found: dict[_Key, str], key: _Key, file: str, findings: Findings) -> None:
    if key in found:
        detail = f"a second file of the same clip; {found[key]} was taken"
        findings.add("second files", Problem(severity="warning", detail=detail, file=file))
    else:
        found[key] = file


def _missing(copy: _Copy) -> Iterator[Problem]:
    subjects = {clip.subject for clip in copy.sensors}
    if absent := [subject for subject in range(1, 21) if subject not in subjects]:
        yield Problem(severity="warning", detail=f"no clip of subjects {listed(absent, most=20)}")
    for name, _ in _SENSORS.values():
        lacking = sorted(clip for clip, found in copy.sensors.items() if name not in found)
        if lacking and len(lacking) < len(copy.sensors):
            yield Problem(severity="warning", detail=f"without {name}: {listed(lacking, most=6)}")
    if not copy.poses:
        yield Problem(severity="warning", detail="no poses: students can be trained, teachers cannot")
    elif lacking := sorted(copy.sensors.keys() - copy.poses.keys()):
        yield Problem(severity="warning", detail=f"without pose, kept for the sensors alone: {listed(lacking, most=6)}")
    if alone := sorted(copy.poses.keys() - copy.sensors.keys()):
        yield Problem(severity="error", detail=f"poses without any sensor, left out: {listed(alone, most=6)}")


# --- Recordings ---------------------------------------------------------------------------------------------------


def _recordings(copy: _Copy, findings: Findings) -> Iterator[Recording]:
    for clip in sorted(copy.sensors):
        sensors = _read_sensors(copy, clip, findings)
        if not sensors:
            continue
        poses = copy.poses.get(clip, {})
        cameras: list[int | None] = [*sorted(poses)] or [None]
        for camera in cameras:
            skeleton = _read_skeleton(copy, clip, poses[camera], sensors, findings) if camera is not None else {}
            if recording := _recording(clip, camera, sensors | skeleton, findings):
                yield recording
    findings.count_rest()


def _recording(clip: Clip, camera: int | None, streams: dict[str, Timed], findings: Findings) -> Recording | None:
    name = f"{clip}_cam{camera}" if camera else str(clip)
    try:
        even, left_out = align(streams, fewest=_FEWEST)
    except DataError as error:
        findings.add("left out", Problem(severity="error", detail=f"{name} was left out: {error}"))
        return None
    for stream, share in left_out.items():
        detail = f"{stream} of {name} covers {share:.0%} of the time of {next(iter(streams))}; it was left out"
        findings.add("clocks that disagree", Problem(severity="warning", detail=detail))
    return Recording(
        id=name,
        subject=str(clip.subject),
        trial=str(clip.session),
        label=CLASSES.index(clip.action),
        streams=even,
        session=str(clip.session),
        scene=str(clip.scene),
        camera=str(camera) if camera else None,
    )


def _read_sensors(copy: _Copy, clip: Clip, findings: Findings) -> dict[str, Timed]:
    streams = {}
    for name, info in _SENSORS.values():
        if name in copy.sensors[clip]:
            try:
                streams[name] = _read_sensor(copy.files, copy.sensors[clip][name], info, findings)
            except DataError as error:
                findings.add("unusable sensor files", Problem.from_error(error))
    return streams


def _read_sensor(files: SourceFiles, file: str, info: StreamInfo, findings: Findings) -> Timed:
    text = decoded(files.read(file, most_bytes=_MOST_BYTES))
    if not text.strip():
        raise DataError("the file is empty", file=file)
    values, time_s = _rows(text, file, findings)
    bad = ~(np.abs(values) < LARGEST)
    if bad.any():
        row, column = np.argwhere(bad)[0].tolist()
        _note(
            findings,
            "values that are not finite",
            f"{bad.sum()} values were replaced by straight lines",
            file,
            row + 1,
            _COLUMNS[column],
        )
        values = bridge(values, bad)
    steps_back = np.flatnonzero(np.diff(time_s) < 0)
    if len(steps_back):
        detail = f"times run backwards {len(steps_back)} times; the samples were sorted"
        _note(findings, "times out of order", detail, file, int(steps_back[0]) + 2, "time")
    ordered, times = in_order(values, time_s)
    if repeated := len(time_s) - len(times):
        detail = f"{repeated} samples that repeated another's time were left out"
        _note(findings, "repeated times", detail, file, None, "time")
    if len(times) < _FEWEST:
        raise DataError(f"{len(times)} samples at different times; at least {_FEWEST} are needed", file=file)
    rate_hz = (len(times) - 1) / (times[-1] - times[0])
    if not 0.5 < rate_hz / info.rate_hz < 2:
        detail = f"{rate_hz:.1f} samples a second, where {info.rate_hz:.0f} are usual"
        _note(findings, "odd rates", detail, file, None, "time")
    if info.unit == "g":
        ordered = ordered / STANDARD_GRAVITY
    if info.unit == "deg":
        ordered = np.unwrap(ordered, axis=0, period=360)  # a line from 359° to 1° must not pass through 180°
    return Timed(ordered, times, info.rate_hz)


def _note(findings: Findings, kind: str, detail: str, file: str, row: int | None, column: str) -> None:
    findings.add(kind, Problem(severity="warning", detail=detail, file=file, row=row, column=column))


def _rows(text: str, file: str, findings: Findings) -> tuple[Array, Array]:
    """Values (n, 3) and times (n,) in seconds from the epoch, as they stand."""
    rows = _ROW.findall(text)
    lines = text.split("\n")
    if len(rows) < sum(map(bool, map(str.strip, lines))):
        _report_unread(lines, file, findings)
    if not rows:
        raise DataError("no row `YYYYMMDD_HH:MM:SS.ffffff,x,y,z`", file=file, row=1)
    try:
        time_ns = np.array([f"{row[0]}-{row[1]}-{row[2]}T{row[3]}" for row in rows], "datetime64[ns]").astype(np.int64)
        values = np.array([row[4:] for row in rows], np.float64)
    except ValueError as broken:
        raise _fault(lines, file) from broken
    return values, time_ns / 1e9


def _report_unread(lines: list[str], file: str, findings: Findings) -> None:
    """A header is expected; any other line that is no row was lost."""
    unread = [n for n, line in enumerate(lines, start=1) if line.strip() and not _ROW.match(line)]
    if unread and unread[0] == 1 and not lines[0].lstrip(' "')[:1].isdigit():
        unread = unread[1:]
    if unread:
        detail = f"{len(unread)} lines are no rows `YYYYMMDD_HH:MM:SS.ffffff,x,y,z`; they were left out"
        findings.add("lines that are no rows", Problem(severity="warning", detail=detail, file=file, row=unread[0]))


def _fault(lines: list[str], file: str) -> DataError:
    for number, line in enumerate(lines, start=1):
        if match := _ROW.match(line):
            for column, value in zip(_COLUMNS, match.groups()[4:], strict=True):
                try:
                    float(value)
                except ValueError:
                    return DataError(f"{value.strip()[:40]!r} is not a number", file=file, row=number, column=column)
            try:
                np.datetime64(f"{match[1]}-{match[2]}-{match[3]}T{match[4]}")
            except ValueError:
                return DataError("there is no such time", file=file, row=number, column="time")
    return DataError("a row cannot be read", file=file)


# --- Poses --------------------------------------------------------------------------------------------------------


def _read_skeleton(
    copy: _Copy, clip: Clip, file: str, sensors: dict[str, Timed], findings: Findings
) -> dict[str, Timed]:
    """Positions spread over the first sensor's time: poses carry frame numbers and no clock."""
    try:
        data = copy.files.read(file, most_bytes=_MOST_BYTES)
        bodies = _from_npy(data, file) if file.lower().endswith(".npy") else _from_json(data, file)
        shown = _main_bodies(bodies, file, findings, most=2 if clip.action in _OF_TWO else 1)
        absent = [np.zeros_like(shown[0])] * (copy.persons - len(shown))
        positions = shown[0] if copy.persons == 1 else np.stack([*shown, *absent], axis=1)  # (F, V, 2) or (F, M, V, 2)
    except DataError as error:
        findings.add("unusable poses", Problem.from_error(error))
        return {}
    time_s = next(iter(sensors.values())).time_s
    grid = (np.arange(len(positions)) + 0.5) / len(positions)
    return {SKELETON: Timed(positions, time_s[0] + grid * (time_s[-1] - time_s[0]), _FRAMES_HZ)}


def _from_json(data: bytes, file: str) -> Array:
    """Bodies (M, F, 17, 3) as x, y and confidence; 0 where a body or frame is not there."""
    try:
        frames = json.loads(data)
        numbered = {int(re.sub(r"\D", "", number)): dict(persons or {}) for number, persons in frames.items()}
        names = sorted({name for persons in numbered.values() for name in persons})
    except (ValueError, AttributeError, TypeError, RecursionError) as broken:
        raise DataError("not a JSON object of frames with persons", file=file) from broken
    if not names:
        raise DataError("it shows nobody", file=file)
    first, shape = min(numbered), (len(COCO_17.joints), 3)
    span = max(numbered) - first + 1
    if len(names) * span > _MOST_BODIES:
        detail = f"{len(names)} persons over {span} frames; at most {_MOST_BODIES} bodies are looked at"
        raise DataError(detail, file=file)
    bodies = np.zeros((len(names), span, *shape))
    for number, persons in numbered.items():
        for name, values in persons.items():
            try:
                bodies[names.index(name), number - first] = np.asarray(values, np.float64).reshape(shape)
            except (ValueError, TypeError, OverflowError) as broken:
                detail = f"{3 * len(COCO_17.joints)} numbers (x, y, confidence of 17 joints) were expected"
                raise DataError(detail, file=file, row=number, column=name) from broken
    return bodies


def _from_npy(data: bytes, file: str) -> Array:
    """OpenPose's (F, 18, 2 or 3, M) as bodies (M, F, 17, 3)."""
    array = parse_npy(data, file).astype(np.float64)
    array = array[..., None] if array.ndim == 3 else array
    if array.ndim != 4 or array.shape[1] != 18 or array.shape[2] not in {2, 3} or not 1 <= array.shape[3] <= 8:
        raise DataError(f"it has shape {array.shape}; (frames, 18, 2 or 3, bodies) was expected", file=file)
    bodies = array.transpose(3, 0, 1, 2)[:, :, _FROM_18]
    if bodies.shape[3] == 2:
        seen = (bodies != 0).any(axis=3, keepdims=True).astype(np.float64)
        bodies = np.concatenate([bodies, seen], axis=3)
    return bodies


def _main_bodies(bodies: Array, file: str, findings: Findings, *, most: int) -> list[Array]:
    """The positions (F, 17, 2) of those `most` whom the cameras see longest and best; points not seen are bridged."""
    seen = (
        (np.abs(bodies) < LARGEST).all(axis=3) & (bodies[..., 2] > 0) & (bodies[..., :2] != 0).any(axis=3)
    )  # (M, F, V)
    confidence = np.where(seen, np.nan_to_num(bodies[..., 2]), 0).mean(axis=(1, 2))
    frames = seen.any(axis=2).sum(axis=1)  # (M,)
    order = sorted(range(len(bodies)), key=lambda body: (frames[body], confidence[body], -body), reverse=True)
    if (persons := int((frames > 0).sum())) > most:
        kept = "the one seen longest was" if most == 1 else f"the {most} seen longest were"
        detail = f"it shows {persons} persons; {kept} kept"
        findings.add("several persons", Problem(severity="info", detail=detail, file=file))
    if frames[order[0]] < _FEWEST:
        raise DataError(f"somebody is seen in fewer than {_FEWEST} frames", file=file)
    return [_body(bodies, seen, body, file, findings) for body in order[:most] if frames[body] >= _FEWEST]


def _body(bodies: Array, seen: npt.NDArray[np.bool_], main: int, file: str, findings: Findings) -> Array:
    unseen = ~seen[main]
    positions = bodies[main, :, :, :2].copy()
    if unseen.any():
        joint = int(unseen.mean(axis=0).argmax())
        most = unseen[:, joint].mean()
        detail = f"{unseen.mean():.1%} of the points were not seen and bridged; this joint in {most:.0%} of the frames"
        row = int(np.flatnonzero(unseen[:, joint])[0]) + 1
        _note(findings, "points not seen", detail, file, row, COCO_17.joints[joint])
    return bridge_unseen(positions, unseen)
