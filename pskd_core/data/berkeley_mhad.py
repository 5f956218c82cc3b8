"""Berkeley-MHAD as downloaded: six accelerometers and a skeleton of 11 actions, 12 subjects and 5 repetitions.

Ofli, Chaudhry, Kurillo, Vidal, Bajcsy, "Berkeley MHAD: A comprehensive multimodal human action database", WACV 2013.

All devices stamped their samples with one Unix clock, so the streams of a trial are cut to the time they share. The
left wrist's stream is called `accelerometer`, as in every dataset the one that a student reads by default; the others
are `accelerometer_right_wrist` and so on. Where the skeleton comes from is in `berkeley_skeletons`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pskd_core.data.berkeley_skeletons import FRAMES_HZ, Skeletons, choose_skeletons
from pskd_core.data.berkeley_trials import Trial, find_trials
from pskd_core.data.columnar import SKELETON, DatasetInfo, NamedSplit, Recording, StreamInfo
from pskd_core.data.numbers import decoded, read_numbers
from pskd_core.data.problems import Problem, listed
from pskd_core.data.series import Array
from pskd_core.data.source import SourceFiles
from pskd_core.data.timing import Timed, align, bridge, in_order
from pskd_core.errors import DataError

CLASSES = (
    "jumping", "jumping_jacks", "bending", "punching", "waving_two_hands", "waving_one_hand", "clapping", "throwing",
    "sit_stand", "sit_down", "stand_up",
)  # fmt: skip

_MOST_NAMED = 12  # trials that one finding names
_RATE_HZ = 30.0  # the sensors deliver 31 Hz at uneven times; one grid with the skeleton's frames loses nothing
_PLACES = {
    1: ("accelerometer", "left_wrist"),
    2: ("accelerometer_right_wrist", "right_wrist"),
    3: ("accelerometer_left_hip", "left_hip"),
    4: ("accelerometer_right_hip", "right_hip"),
    5: ("accelerometer_left_ankle", "left_ankle"),
    6: ("accelerometer_right_ankle", "right_ankle"),
}
_PROTOCOLS = {
    "cross_subject": NamedSplit(
        by="subject", train=tuple(map(str, range(1, 8))), test=tuple(map(str, range(8, 13)))
    )
}  # fmt: skip
_SENSOR = re.compile(r"(?:^|/)acc_h0*([1-6])_s(\d{1,3})_a(\d{1,3})_r(\d{1,3})\.txt$", re.IGNORECASE)
_COLUMNS = ("x", "y", "z", "time")
_RANGE_G = 2.5  # they measure ±2 g; all that lies beyond in real files (3 to 57 g) is a transmission error
_USUAL_HZ = (25.0, 40.0)
_MOST_BYTES = 1 << 24  # the largest file is 60 kB
_FEWEST = 16  # samples

_PLACEMENT = Problem(
    severity="info",
    detail="`accelerometer` is the left wrist (h01), which the paper's student reads; the right wrist (h02), hips "
    "(h03, h04) and ankles (h05, h06) are streams of their own; that h03 and h05 are on the left follows from the "
    "wrists' order",
)


@dataclass(frozen=True, slots=True)
class _Copy:
    """What of the dataset is there."""

    files: SourceFiles
    sensors: dict[int, dict[Trial, str]]
    skeletons: Skeletons | None

    @property
    def with_sensor(self) -> set[Trial]:
        return {trial for found in self.sensors.values() for trial in found}


def is_berkeley_mhad(files: SourceFiles) -> bool:
    """Whether any file is named like one of the accelerometers'."""
    return any(_SENSOR.search(name) for name in files.names)


def read_berkeley_mhad(files: SourceFiles) -> tuple[DatasetInfo, Iterator[Recording], list[Problem]]:
    """The dataset's description, its usable recordings one by one, and what is wrong with the copy.

    The list of problems is complete once the recordings are exhausted.
    """
    problems = [_PLACEMENT]
    found = {number: find_trials(files, _SENSOR, problems, first=str(number)) for number in _PLACES}
    copy = _Copy(
        files, {number: trials for number, trials in found.items() if trials}, choose_skeletons(files, problems)
    )
    problems += _missing(copy)
    sensors = (_PLACES[number] for number in copy.sensors)
    streams = {
        name: StreamInfo(channels=3, unit="g", rate_hz=_RATE_HZ, worn_at=place) for name, place in sensors
    }  # fmt: skip
    if copy.skeletons:
        streams[SKELETON] = StreamInfo(channels=None, unit=copy.skeletons.unit, rate_hz=FRAMES_HZ)
    info = DatasetInfo(
        name="Berkeley-MHAD",
        layout="berkeley_mhad",
        classes=CLASSES,
        streams=streams,
        skeleton=copy.skeletons.info if copy.skeletons else None,
        protocols=_PROTOCOLS,
    )
    return info, _recordings(copy, problems), problems


def _missing(copy: _Copy) -> Iterator[Problem]:
    """What a whole copy has and this one lacks."""
    present, skeletons = copy.with_sensor, set(copy.skeletons.files if copy.skeletons else ())
    whole = {Trial(s, a, r) for s in range(1, 13) for a in range(1, 12) for r in range(1, 6)} - {Trial(4, 8, 5)}
    subjects = sorted({trial.subject for trial in whole} - {trial.subject for trial in present})
    if subjects:
        yield Problem(severity="warning", detail=f"no trial of subjects {', '.join(map(str, subjects))}")
    if single := {trial for trial in whole - present - skeletons if trial.subject not in subjects}:
        yield Problem(severity="warning", detail=f"missing: {listed(sorted(single), most=_MOST_NAMED)}")
    for number, (name, _) in _PLACES.items():
        if lacking := present - copy.sensors.get(number, {}).keys():
            yield Problem(severity="warning", detail=f"without {name}: {listed(sorted(lacking), most=_MOST_NAMED)}")
    if not skeletons:
        yield Problem(severity="warning", detail="no skeleton: students can be trained, teachers cannot")
    elif alone := present - skeletons:
        yield Problem(
            severity="warning",
            detail=f"without skeleton, kept for the sensors alone: {listed(sorted(alone), most=_MOST_NAMED)}",
        )
    if alone := skeletons - present:
        yield Problem(
            severity="error", detail=f"without any accelerometer, left out: {listed(sorted(alone), most=_MOST_NAMED)}"
        )


def _recordings(copy: _Copy, problems: list[Problem]) -> Iterator[Recording]:
    for trial in sorted(copy.with_sensor):
        streams = _sensors(copy, trial, problems)
        if not streams:
            continue
        if copy.skeletons:
            streams |= _skeleton(copy.skeletons, trial, streams, problems)
        try:
            even, left_out = align(streams, fewest=_FEWEST)
        except DataError as error:
            problems.append(Problem(severity="error", detail=f"{trial} was left out: {error}"))
            continue
        problems += [
            Problem(
                severity="warning",
                detail=f"{name} of {trial} covers {share:.0%} of the time of {next(iter(streams))}; it was left out",
            )
            for name, share in left_out.items()
        ]
        yield Recording(
            id=str(trial), subject=str(trial.subject), trial=str(trial.repetition), label=trial.action - 1, streams=even
        )
    if copy.skeletons:
        problems += copy.skeletons.summary()


def _sensors(copy: _Copy, trial: Trial, problems: list[Problem]) -> dict[str, Timed]:
    """Accelerations of one trial in g, by the stream's name."""
    streams = {}
    for number, found in copy.sensors.items():
        if trial in found:
            try:
                streams[_PLACES[number][0]] = _read_sensor(copy.files, found[trial], problems)
            except DataError as error:
                problems.append(Problem.from_error(error))
    return streams


def _skeleton(
    skeletons: Skeletons, trial: Trial, sensors: dict[str, Timed], problems: list[Problem]
) -> dict[str, Timed]:
    lead = next(iter(sensors.values()))
    try:
        positions = skeletons.read(trial, (float(lead.time_s[0]), float(lead.time_s[-1])), problems)
    except DataError as error:
        problems.append(Problem.from_error(error))
        return {}
    return {SKELETON: positions} if positions else {}


def _read_sensor(files: SourceFiles, file: str, problems: list[Problem]) -> Timed:
    numbers = read_numbers(
        decoded(files.read(file, most_bytes=_MOST_BYTES)), columns=len(_COLUMNS), file=file, names=_COLUMNS
    )
    times_ok = np.isfinite(numbers[:, 3])
    if not times_ok.all():
        row = int(np.flatnonzero(~times_ok)[0]) + 1
        raise DataError("a time is not finite", file=file, row=row, column="time")
    if len(numbers) < _FEWEST:
        raise DataError(f"{len(numbers)} samples; at least {_FEWEST} are needed", file=file)
    if backwards := int((np.diff(numbers[:, 3]) < 0).sum()):
        detail = f"times run backwards {backwards} times; the samples were sorted"
        problems.append(Problem(severity="warning", detail=detail, file=file, column="time"))
    values, time_s = in_order(_mended(numbers[:, :3], file, problems), numbers[:, 3])
    if len(time_s) < _FEWEST:
        raise DataError(f"only {len(time_s)} different times", file=file, column="time")
    rate_hz = (len(time_s) - 1) / (time_s[-1] - time_s[0])
    if not _USUAL_HZ[0] <= rate_hz <= _USUAL_HZ[1]:
        detail = f"{rate_hz:.1f} samples a second, where 31 are usual: samples were lost or came late"
        problems.append(Problem(severity="warning", detail=detail, file=file, column="time"))
    return Timed(values, time_s, _RATE_HZ)


def _mended(values: Array, file: str, problems: list[Problem]) -> Array:
    """Accelerations (n, 3) with what no such sensor can measure replaced by straight lines."""
    bad = ~(np.abs(values) <= _RANGE_G)
    for column in np.flatnonzero(bad.any(axis=0)).tolist():
        rows = np.flatnonzero(bad[:, column])
        worst = np.fmax.reduce(np.abs(values[rows, column]))  # which passes over NaN
        detail = f"{len(rows)} values outside ±2 g (up to {worst:.1f} g) were replaced by straight lines"
        problems.append(
            Problem(severity="warning", detail=detail, file=file, row=int(rows[0]) + 1, column=_COLUMNS[column])
        )
    try:
        return bridge(values, bad)
    except DataError as error:
        raise DataError("no value is within ±2 g", file=file, column=_COLUMNS[int(error.column or 1) - 1]) from error
