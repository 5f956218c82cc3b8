"""Anybody's own data: `dataset.yaml` says what there is, `recordings.csv` lists it, and a file a stream holds it.

docs/own-data.md is the tutorial; `pskd dataset template DIR` writes an example.
"""

import csv
import hashlib
import io
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from pskd_core.data.columnar import SKELETON, DatasetInfo, Recording, Stream, StreamInfo
from pskd_core.data.columns import Table, read_columns
from pskd_core.data.manifest_spec import OPTIONAL, REQUIRED, ManifestSpec, SensorSpec, SkeletonSpec, parse_manifest
from pskd_core.data.numbers import decoded
from pskd_core.data.overlaps import Overlaps
from pskd_core.data.problems import Findings, Problem, listed
from pskd_core.data.series import LARGEST, Array
from pskd_core.data.source import SourceFiles
from pskd_core.data.timing import Timed, align, bridge, in_order
from pskd_core.errors import DataError
from pskd_core.fields import readable

_MANIFEST, _LIST = "dataset.yaml", "recordings.csv"
_MOST_BYTES = 1 << 28  # of a stream's file
_MOST_LIST_BYTES = 1 << 26
_MOST_RECORDINGS = 1_000_000
_SAID_OF_A_KIND = 1000  # every problem with its place, up to a size that a report can have
_FEWEST = 16  # samples
_GAP_STEPS, _GAP_S = 5, 0.2
_CUT = 0.9  # a recording that loses more than a tenth of its time to alignment is reported


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the list whose words are all good."""

    number: int
    words: Mapping[str, str]
    paths: Mapping[str, str]  # stream → file


@dataclass(slots=True)
class _Import:
    files: SourceFiles
    spec: ManifestSpec
    list_file: str
    findings: Findings
    seen: dict[bytes, tuple[str, str, str]] = field(default_factory=dict)  # content → (file, label, subject)
    overlaps: Overlaps = field(default_factory=Overlaps)


def is_manifest(files: SourceFiles) -> bool:
    """Whether a `dataset.yaml` lies beside a `recordings.csv`."""
    return _folder(files) is not None


def read_manifest(files: SourceFiles) -> tuple[DatasetInfo, Iterator[Recording], list[Problem]]:
    """The dataset's description, its usable recordings one by one, and every problem with file, row and column.

    The list of problems is complete once the recordings are exhausted.

    Raises:
        DataError: `dataset.yaml` or the header of `recordings.csv` cannot be understood.
    """
    folder = _folder(files) or ""
    spec = _spec(files, posixpath.join(folder, _MANIFEST))
    job = _Import(files, spec, posixpath.join(folder, _LIST), Findings(_SAID_OF_A_KIND))
    rows = _read_list(job, folder)
    has_skeleton = spec.skeleton is not None and any(SKELETON in row.paths for row in rows)
    streams = {
        name: StreamInfo(channels=3, unit=sensor.kept_unit, rate_hz=_nominal(job, rows, name), worn_at=sensor.worn_at)
        for name, sensor in spec.sensors.items()
    }
    if has_skeleton and spec.skeleton is not None:
        unit = spec.skeleton.kept_unit
        streams[SKELETON] = StreamInfo(channels=None, unit=unit, rate_hz=_nominal(job, rows, SKELETON))
    info = DatasetInfo(
        name=spec.name,
        layout="manifest",
        classes=spec.classes,
        streams=streams,
        skeleton=spec.skeleton.info if has_skeleton and spec.skeleton else None,
        protocols=spec.protocols,
    )
    _report_pairs(job, rows, has_skeleton=has_skeleton)
    return info, _recordings(job, rows), job.findings.problems


def _folder(files: SourceFiles) -> str | None:
    """The folder of the manifest nearest the top."""
    names = set(files.names)
    folders = [posixpath.dirname(name) for name in names if posixpath.basename(name) == _MANIFEST]
    held = [folder for folder in folders if posixpath.join(folder, _LIST) in names]
    return min(held, key=lambda folder: (folder.count("/"), folder), default=None)


def _spec(files: SourceFiles, file: str) -> ManifestSpec:
    return parse_manifest(decoded(files.read(file, most_bytes=1 << 20)), file=file)


# --- The list -----------------------------------------------------------------------------------------------------


def _read_list(job: _Import, folder: str) -> list[_Row]:
    text = decoded(job.files.read(job.list_file, most_bytes=_MOST_LIST_BYTES))
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    header = [name.strip() for name in next(reader, [])]
    _check_header(job, header)
    names, taken, rows = set(job.files.names), set[str](), list[_Row]()
    try:
        for fields in reader:
            if any(map(str.strip, fields)):
                try:
                    row = _read_row(job, header, fields, reader.line_num, folder, names, taken)
                except DataError as error:
                    job.findings.add("rows left out", Problem.from_error(error))
                else:
                    rows.append(row)
    except csv.Error as broken:
        raise DataError(f"not a CSV file ({broken})", file=job.list_file, row=reader.line_num) from broken
    if len(rows) > _MOST_RECORDINGS:
        raise DataError(f"more than {_MOST_RECORDINGS} recordings", file=job.list_file)
    named = {path for row in rows for path in row.paths.values()}
    if unnamed := sorted(names - named - {job.list_file, posixpath.join(folder, _MANIFEST)}):
        detail = f"in no usable row of {_LIST}: {listed(unnamed)}"
        job.findings.add("files without a row", Problem(severity="info", detail=detail))
    return rows


def _check_header(job: _Import, header: list[str]) -> None:
    spec = job.spec
    known = {*REQUIRED, *OPTIONAL, *spec.sensors, *([SKELETON] if spec.skeleton else [])}
    if lacking := [name for name in REQUIRED if name not in header]:
        raise DataError(f"no column {', '.join(lacking)}; it has {', '.join(header)}", file=job.list_file, row=1)
    if twice := next((name for name in header if header.count(name) > 1), None):
        raise DataError("this column stands there twice", file=job.list_file, row=1, column=twice)
    if not known.difference(REQUIRED, OPTIONAL).intersection(header):
        expected = ", ".join(spec.sensors)
        raise DataError(f"no column of a sensor's files ({expected})", file=job.list_file, row=1)
    for name in header:
        if name not in known:
            detail = "no sensor or known column has this name; it was not looked at"
            _note(job, "unknown columns", "warning", detail, job.list_file, 1, name)


def _read_row(
    job: _Import, header: list[str], fields: list[str], number: int, folder: str, names: set[str], taken: set[str]
) -> _Row:
    """One line of the list; a path that leads nowhere is reported, and the rest of the row is used."""
    if len(fields) > len(header):
        raise _refused(job, number, f"{len(fields)} fields for {len(header)} columns")
    words = dict(zip(header, map(str.strip, fields), strict=False))
    _check_words(job, number, words)
    if (name := words["id"]) in taken:
        raise _refused(job, number, f"{name!r} stands above already", "id")
    if words["label"] not in job.spec.classes:
        raise _refused(job, number, f"{words['label']!r} is none of the classes in {_MANIFEST}", "label")
    paths = {}
    for stream in (*job.spec.sensors, SKELETON):
        if word := words.get(stream) if stream != SKELETON or job.spec.skeleton else None:
            path = posixpath.normpath(posixpath.join(folder, word.replace("\\", "/")))
            if path in names:
                paths[stream] = path
            else:
                _note(job, "missing files", "error", f"there is no file {word}", job.list_file, number, stream)
    if not paths:
        raise _refused(job, number, "it names no file that is there")
    taken.add(name)
    return _Row(number, words, paths)


def _check_words(job: _Import, number: int, words: Mapping[str, str]) -> None:
    for column in REQUIRED:
        if not words.get(column):
            raise _refused(job, number, "nothing stands here", column)
    for column in (*REQUIRED, *OPTIONAL):
        try:
            readable(words.get(column, ""))
        except ValueError as unreadable:
            raise _refused(job, number, str(unreadable), column) from unreadable


def _refused(job: _Import, row: int, detail: str, column: str | None = None) -> DataError:
    return DataError(f"{detail}; the row was left out", file=job.list_file, row=row, column=column)


def _note(
    job: _Import, kind: str, severity: Literal["error", "warning", "info"], detail: str,
    file: str | None, row: int | None, column: str | None,
) -> None:  # fmt: skip
    job.findings.add(kind, Problem(severity=severity, detail=detail, file=file, row=row, column=column))


def _report_pairs(job: _Import, rows: list[_Row], *, has_skeleton: bool) -> None:
    """Which rows lack a stream that others have."""
    for stream in (*job.spec.sensors, *([SKELETON] if has_skeleton else [])):
        if lacking := [row.words["id"] for row in rows if stream not in row.paths]:
            detail = f"{len(lacking)} recordings without {stream}: {listed(lacking, most=6)}"
            if stream == SKELETON:
                detail += "; they train students, and teachers skip them"
            job.findings.add(f"without {stream}", Problem(severity="warning", detail=detail))
    if job.spec.skeleton and not has_skeleton:
        detail = "no recording has a skeleton: students can be trained, teachers cannot"
        job.findings.add("no skeleton", Problem(severity="warning", detail=detail))


# --- Recordings ---------------------------------------------------------------------------------------------------


def _recordings(job: _Import, rows: list[_Row]) -> Iterator[Recording]:
    for row in rows:
        streams = _read_streams(job, row)
        try:
            even, left_out = _aligned(job, row, streams)
        except DataError as error:
            job.findings.add("rows left out", Problem.from_error(error))
            continue
        _report_alignment(job, row, streams, left_out, next(iter(even.values())).duration_s)
        words = row.words
        yield Recording(
            id=words["id"],
            subject=words["subject"],
            trial=words.get("trial") or "1",
            label=job.spec.classes.index(words["label"]),
            streams=even,
            session=words.get("session") or None,
            scene=words.get("scene") or None,
            camera=words.get("camera") or None,
            cut_from=words.get("cut_from") or None,
            shares_with=_sharers(job, row, streams),
        )
    job.findings.count_rest()


def _sharers(job: _Import, row: _Row, streams: dict[str, Timed]) -> tuple[str, ...]:
    """Of which recordings before it, or of what else, a row is a window as well, as its samples tell."""
    stream, lead = next(iter(streams.items()))
    name = row.words.get("cut_from") or row.words["id"]
    sharers = job.overlaps.sharers(row.paths[stream], lead.values, name=name)
    if sharers:
        detail = f"shares samples with {listed(sharers)}, as windows of one recording do; no split may part them; "
        detail += "name what all were cut from"
        _note(job, "windows of one recording", "warning", detail, job.list_file, row.number, "cut_from")
    return sharers


def _aligned(job: _Import, row: _Row, streams: dict[str, Timed]) -> tuple[dict[str, Stream], dict[str, float]]:
    if not streams:
        raise _refused(job, row.number, "none of its files can be used")
    try:
        return align(_on_one_clock(job.spec, streams), fewest=_FEWEST)
    except DataError as error:
        raise _refused(job, row.number, str(error)) from error


def _read_streams(job: _Import, row: _Row) -> dict[str, Timed]:
    """The usable streams of a row, the sensors first; a skeleton without a clock follows the first sensor's."""
    streams: dict[str, Timed] = {}
    for stream, file in row.paths.items():
        try:
            data = job.files.read(file, most_bytes=_MOST_BYTES)
            _report_duplicate(job, row, stream, file, data)
            if stream == SKELETON and job.spec.skeleton is not None:
                streams[stream] = _read_skeleton(job, job.spec.skeleton, data, file, next(iter(streams.values()), None))
            else:
                streams[stream] = _read_sensor(job, job.spec.sensors[stream], data, file)
        except DataError as error:
            job.findings.add("unusable files", Problem.from_error(error))
    return streams


def _read_sensor(job: _Import, sensor: SensorSpec, data: bytes, file: str) -> Timed:
    with_time = sensor.rate_hz == "from timestamps"
    table = read_columns(
        data, sensor.columns, file=file, time=sensor.time_column if with_time else None, time_unit=sensor.time_unit
    )
    values: Array = np.multiply(_mended(job, table, sensor.columns, file), sensor.factor)
    return _timed(job, values, table, sensor.rate_hz, file)


def _read_skeleton(job: _Import, skeleton: SkeletonSpec, data: bytes, file: str, lead: Timed | None) -> Timed:
    with_time = skeleton.rate_hz == "from timestamps"
    table = read_columns(
        data,
        skeleton.columns,
        file=file,
        time=skeleton.time_column if with_time else None,
        time_unit=skeleton.time_unit,
    )
    table = _without_absent(table, skeleton.persons)
    flat: Array = np.multiply(_mended(job, table, skeleton.columns, file), skeleton.factor)
    persons = (skeleton.persons,) if skeleton.persons > 1 else ()
    positions = flat.reshape(len(flat), *persons, len(skeleton.joints), skeleton.dims)
    if skeleton.rate_hz != "same span":
        return _timed(job, positions, table, skeleton.rate_hz, file)
    if lead is None:
        raise DataError("a skeleton without a clock needs a sensor beside it", file=file)
    start_s, end_s = float(lead.time_s[0]) - 0.5 / lead.rate_hz, float(lead.time_s[-1]) + 0.5 / lead.rate_hz
    rate_hz = len(positions) / (end_s - start_s)
    return Timed(positions, start_s + _middles_s(len(positions), rate_hz), rate_hz)


def _without_absent(table: Table, persons: int) -> Table:
    """A person none of whose columns holds a value is not there, which is said by zeros; somebody must be."""
    bodies = table.values.reshape(len(table.values), persons, -1)
    there = np.asarray(np.isfinite(bodies).any(axis=(0, 2)))  # (M,)
    if not there.any():
        return table
    return replace(table, values=np.where(there[:, None], bodies, 0.0).reshape(table.values.shape))


def _timed(job: _Import, values: Array, table: Table, rate_hz: float | str, file: str) -> Timed:
    if len(values) < _FEWEST:
        raise DataError(f"{len(values)} samples; at least {_FEWEST} are needed", file=file)
    if table.time_s is None or not isinstance(rate_hz, str):
        stated = float(rate_hz)
        return Timed(values, _middles_s(len(values), stated), stated)
    if backwards := np.flatnonzero(np.diff(table.time_s) < 0).tolist():
        detail = f"times run backwards {len(backwards)} times; the samples were sorted"
        _note(job, "times out of order", "warning", detail, file, table.first_row + backwards[0] + 1, "time")
    ordered, times = in_order(values, table.time_s)
    if repeated := len(values) - len(times):
        detail = f"{repeated} samples that repeated another's time were left out"
        _note(job, "repeated times", "warning", detail, file, None, "time")
    if len(times) < _FEWEST:
        raise DataError(f"{len(times)} different times; at least {_FEWEST} are needed", file=file, column="time")
    step_s = np.diff(times)
    pause = step_s > max(_GAP_STEPS * float(np.median(step_s)), _GAP_S)
    if pause.any():
        detail = f"{pause.sum()} gaps, the longest of {step_s.max():.2f} s, were bridged by straight lines"
        row = table.first_row + int(np.flatnonzero(pause)[0]) + 1
        _note(job, "gaps", "warning", detail, file, row, "time")
    measured_hz = float((~pause).sum() / step_s[~pause].sum())
    if not 1 <= measured_hz <= 10_000:
        detail = f"the times mean {measured_hz:.3g} samples a second; check `time_unit` in {_MANIFEST}"
        raise DataError(detail, file=file, column="time")
    return Timed(ordered, times, measured_hz)


def _middles_s(samples: int, rate_hz: float) -> Array:
    """The middle of each sample's period (n,)."""
    return np.asarray((np.arange(samples) + 0.5) / rate_hz, np.float64)


def _mended(job: _Import, table: Table, columns: tuple[str, ...], file: str) -> Array:
    """Values (n, columns) whose holes are bridged by straight lines."""
    bad = ~(np.abs(table.values) < LARGEST)
    if not bad.any():
        return table.values
    for column in np.flatnonzero(bad.any(axis=0)).tolist():
        rows = np.flatnonzero(bad[:, column])
        if len(rows) == len(bad):
            raise DataError("no value of this column is usable", file=file, column=columns[column])
        detail = f"{len(rows)} values that are missing or not finite were replaced by straight lines"
        row = table.first_row + int(rows[0])
        _note(job, "holes", "warning", detail, file, row, columns[column])
    return bridge(table.values, bad)


def _on_one_clock(spec: ManifestSpec, streams: dict[str, Timed]) -> dict[str, Timed]:
    """As they are if all have times of one clock; else all are taken to begin together."""
    rates = {name: sensor.rate_hz for name, sensor in spec.sensors.items()}
    if spec.skeleton:
        rates[SKELETON] = spec.skeleton.rate_hz if spec.skeleton.rate_hz != "same span" else "from timestamps"
    if all(rates[name] == "from timestamps" for name in streams) or len(streams) == 1:
        return streams
    return {
        name: Timed(stream.values, stream.time_s - stream.time_s[0] + 0.5 / stream.rate_hz, stream.rate_hz)
        for name, stream in streams.items()
    }


def _report_alignment(
    job: _Import, row: _Row, streams: dict[str, Timed], left_out: dict[str, float], duration_s: float
) -> None:
    lead = next(iter(streams))
    for name, share in left_out.items():
        detail = f"it covers {share:.0%} of the time of {lead}; it was left out"
        _note(job, "clocks that disagree", "warning", detail, job.list_file, row.number, name)
    for name, stream in streams.items():
        length_s = float(stream.time_s[-1] - stream.time_s[0]) + 1 / stream.rate_hz
        if name not in left_out and duration_s < _CUT * length_s:
            detail = f"{length_s:.2f} s long, of which {duration_s:.2f} s are shared by all streams and were kept"
            _note(job, "recordings cut", "warning", detail, job.list_file, row.number, name)


def _report_duplicate(job: _Import, row: _Row, stream: str, file: str, data: bytes) -> None:
    """Identical content under two labels is wrong in one place; under one label it counts twice."""
    digest = hashlib.blake2b(data, digest_size=16).digest()
    label, subject = row.words["label"], row.words["subject"]
    other, other_label, other_subject = job.seen.setdefault(digest, (file, label, subject))
    if other == file and (label, subject) == (other_label, other_subject):
        return  # another camera's view of the same samples, or the first time
    if label != other_label:
        detail = f"the same samples as {other}, which is labelled {other_label} and this one {label}"
        _note(job, "duplicates under two labels", "warning", detail, job.list_file, row.number, stream)
    else:
        detail = f"the same samples as {other} (subject {other_subject})"
        _note(job, "duplicates", "warning", detail, job.list_file, row.number, stream)


def _nominal(job: _Import, rows: list[_Row], stream: str) -> float:
    """The stated rate, or that of the first file that can be read."""
    spec = job.spec.skeleton if stream == SKELETON else job.spec.sensors[stream]
    if spec is None or isinstance(spec.rate_hz, float):
        return spec.rate_hz if spec and isinstance(spec.rate_hz, float) else 1.0
    probe = _Import(job.files, job.spec, job.list_file, Findings(0))
    for row in rows:
        if stream in row.paths and (found := _read_streams(probe, row).get(stream)):
            return found.rate_hz if found.rate_hz < 10 else float(round(found.rate_hz))
    return 1.0
