"""An imported dataset on disk: a raw little-endian float32 file a stream, and `dataset.json` saying what lies where."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Annotated, Final, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from pskd_core.data.mapped import release
from pskd_core.data.overlaps import Groups
from pskd_core.errors import DataError
from pskd_core.fields import Frozen, Positive, Slug
from pskd_core.files import atomic_directory
from pskd_core.shapes import FloatArray

SKELETON = "skeleton"
_FORMAT: Final = 1
_MANIFEST = "dataset.json"
_FLOAT = np.dtype("<f4")

Index = Annotated[int, Field(ge=0)]
SplitBy = Literal["subject", "trial", "session", "scene", "camera"]  # fields of a recording


def _single(persons: int) -> bool:
    return persons == 1


def _unstated(value: str | None) -> bool:
    return value is None


class StreamInfo(Frozen):
    """One kind of measurement that recordings of a dataset carry."""

    channels: Annotated[int, Field(ge=1)] | None = Field(description="null for the skeleton, whose joints say it")
    unit: str = Field(description="`g`, `deg/s`, `m`")
    rate_hz: Positive = Field(description="nominal; a recording's own rate is its length over its duration")
    worn_at: str | None = Field(default=None, description="joint; one per dataset and never an input")


class SkeletonInfo(Frozen):
    """The graph of the dataset's skeleton."""

    joints: tuple[str, ...] = Field(min_length=1)
    bones: tuple[tuple[Index, Index], ...] = Field(description="(child, parent), away from the centre")
    centre: Index = Field(description="joint on which clips are centred")
    dims: Literal[2, 3] = 3
    up: Literal[0, 1, 2] = Field(default=1, description="coordinate axis that is vertical")
    # Left out where there is one, so that datasets without others keep their digests.
    persons: int = Field(
        default=1, ge=1, le=8, exclude_if=_single, description="M; one who is not there is all 0 throughout a recording"
    )
    substitute: str | None = Field(
        default=None,
        exclude_if=_unstated,
        description="what stands here in the place of the dataset's own skeleton; figures of networks that read it are "
        "none of the benchmark's",
    )

    @model_validator(mode="after")
    def _joints_exist(self) -> "SkeletonInfo":
        named = {self.centre, *(joint for bone in self.bones for joint in bone)}
        if max(named) >= len(self.joints):
            raise ValueError(f"joint {max(named)} is named, but there are {len(self.joints)} joints")
        return self


class NamedSplit(Frozen):
    """A split that the dataset itself defines: which subjects, trials, sessions, scenes or cameras train and test."""

    by: SplitBy
    train: tuple[str, ...] = Field(min_length=1)
    test: tuple[str, ...] = Field(min_length=1)


class DatasetInfo(Frozen):
    """What is true of a whole dataset."""

    name: str
    layout: str = Field(description="the form it was imported from, such as `utd_mhad`")
    classes: tuple[str, ...] = Field(min_length=1)
    streams: dict[Slug, StreamInfo] = Field(min_length=1)
    skeleton: SkeletonInfo | None = None
    protocols: dict[Slug, NamedSplit] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> "DatasetInfo":
        if (self.skeleton is None) == (SKELETON in self.streams):
            raise ValueError("a `skeleton` stream and a skeleton description come together or not at all")
        if lacking := [name for name, info in self.streams.items() if name != SKELETON and info.channels is None]:
            raise ValueError(f"stream {lacking[0]} does not say how many channels it has")
        return self

    def joint_of(self, sensor: str) -> int | None:
        """The joint at which a sensor is worn; null if the skeleton has none that is called so."""
        joints = self.skeleton.joints if self.skeleton else ()
        worn_at = self.streams[sensor].worn_at
        return joints.index(worn_at) if worn_at in joints else None

    def item_shape(self, stream: str) -> tuple[int, ...]:
        """Shape of one sample of a stream: (channels,), or (V, dims) for the skeleton, (M, V, dims) for several."""
        if stream == SKELETON and self.skeleton is not None:
            body = (len(self.skeleton.joints), self.skeleton.dims)
            return body if self.skeleton.persons == 1 else (self.skeleton.persons, *body)
        channels = self.streams[stream].channels
        return () if channels is None else (channels,)


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Samples in time order: a sensor's (n, channels), or the skeleton's (F, V, dims) or (F, M, V, dims)."""

    values: FloatArray
    rate_hz: float

    @property
    def duration_s(self) -> float:
        """Every sample stands for one sampling period."""
        return len(self.values) / self.rate_hz


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One trial. All its streams span the same time.

    `shares_with` names those before it, or what they were cut from, with whose samples some of its own agree.
    """

    id: str
    subject: str
    trial: str
    label: int
    streams: Mapping[str, Stream]
    session: str | None = None
    scene: str | None = None
    camera: str | None = None
    cut_from: str | None = None
    shares_with: tuple[str, ...] = ()


class RecordingMeta(Frozen):
    """What `dataset.json` lists of one recording."""

    id: str
    subject: str
    trial: str
    label: Index
    duration_s: Positive = Field(description="of every stream")
    streams: dict[Slug, tuple[Index, Index]] = Field(description="(offset, length) in samples, within the stream file")
    # Left out where nobody states them, so that datasets without them keep their digests.
    session: str | None = Field(default=None, exclude_if=_unstated)
    scene: str | None = Field(default=None, exclude_if=_unstated)
    camera: str | None = Field(default=None, exclude_if=_unstated)
    cut_from: str | None = Field(
        default=None, exclude_if=_unstated, description="of what this is a window; a recording by that name is one too"
    )

    def rate_hz(self, stream: str) -> float:
        """Samples a second of one stream of this recording."""
        return self.streams[stream][1] / self.duration_s


class _StreamFile(Frozen):
    samples: Index
    sha256: str


class _Manifest(Frozen):
    format: Literal[1]
    info: DatasetInfo
    files: dict[Slug, _StreamFile]
    recordings: tuple[RecordingMeta, ...]


class Dataset:
    """An opened columnar dataset; arrays are views of memory-mapped files and are read-only."""

    def __init__(self, path: Path, manifest: _Manifest, digest: str) -> None:
        self.path = path
        self.digest = digest
        self._manifest = manifest

    @classmethod
    def open(cls, path: Path) -> "Dataset":
        """Open what `write_dataset` wrote.

        Raises:
            DataError: there is no dataset, its format is unknown, or a stream file is missing or has another size.
        """
        manifest_file = path / _MANIFEST
        try:
            text = manifest_file.read_bytes()
        except OSError as missing:
            raise DataError(f"no dataset here: {_MANIFEST} cannot be read ({missing.strerror})", file=path) from missing
        try:
            manifest = _Manifest.model_validate_json(text)
        except ValidationError as invalid:
            first = invalid.errors()[0]
            place = "/".join(map(str, first["loc"]))
            raise DataError(f"not a dataset of format {_FORMAT}: {place}: {first['msg']}", file=manifest_file) from None
        dataset = cls(path, manifest, hashlib.sha256(text).hexdigest())
        dataset._check_sizes()
        return dataset

    @property
    def info(self) -> DatasetInfo:
        """What is true of the whole dataset."""
        return self._manifest.info

    @property
    def recordings(self) -> tuple[RecordingMeta, ...]:
        """Every recording, in the order of import; functions elsewhere name recordings by index into this."""
        return self._manifest.recordings

    def stream(self, name: str, index: int) -> FloatArray:
        """Samples of one stream of recording `index`: (n, channels), or (F, V, dims), (F, M, V, dims) for the skeleton.

        Raises:
            DataError: the recording lacks the stream.
        """
        meta = self.recordings[index]
        if name not in meta.streams:
            raise DataError(f"recording {meta.id} has no stream {name}; it has {', '.join(sorted(meta.streams))}")
        offset, length = meta.streams[name]
        return self._maps[name][offset : offset + length]

    def release(self) -> None:
        """Give back the memory of what was read; views stay good."""
        for values in self._maps.values():
            release(values)

    @cached_property
    def _maps(self) -> dict[str, FloatArray]:
        return {
            name: np.memmap(
                _stream_file(self.path, name), _FLOAT, "r", shape=(file.samples, *self.info.item_shape(name))
            )
            for name, file in self._manifest.files.items()
            if file.samples
        }

    def _check_sizes(self) -> None:
        for name, file in self._manifest.files.items():
            path = _stream_file(self.path, name)
            expected = file.samples * int(np.prod(self.info.item_shape(name))) * _FLOAT.itemsize
            found = path.stat().st_size if path.is_file() else None
            if found != expected:
                raise DataError(f"{expected} bytes expected, {found or 0} found; import the dataset again", file=path)


def write_dataset(path: Path, info: DatasetInfo, recordings: Iterable[Recording]) -> Dataset:
    """Write a dataset whole or not at all, one recording in memory at a time.

    Recordings that share samples, be it through others, get one origin once all are there.
    The same recordings in the same order give the same bytes, hence the same digest.

    Raises:
        DataError: `path` exists, nothing was given, or a recording does not fit `info`.
    """
    if path.exists():
        raise DataError("something exists there already; remove it or choose another place", file=path)
    with atomic_directory(path) as partial, ExitStack() as files:
        columns = {name: _Column(files.enter_context(_stream_file(partial, name).open("wb"))) for name in info.streams}
        metas, groups = list[RecordingMeta](), Groups()
        for recording in recordings:
            metas.append(_append(columns, info, recording))
            groups.join(recording.cut_from or recording.id, recording.shares_with)
        if not metas:
            raise DataError("the dataset has no recording")
        if len({meta.id for meta in metas}) < len(metas):
            raise DataError("two recordings have the same id")
        stream_files = {name: column.finish() for name, column in columns.items()}
        grouped = tuple(_grouped(meta, groups) for meta in metas)
        manifest = _Manifest(format=_FORMAT, info=info, files=stream_files, recordings=grouped)
        text = json.dumps(manifest.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        (partial / _MANIFEST).write_text(text, encoding="utf-8")
    return Dataset.open(path)


class _Column:
    """A stream file that grows, and the digest of what it holds."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.samples = 0
        self._hash = hashlib.sha256()

    def append(self, values: FloatArray) -> tuple[int, int]:
        data = np.ascontiguousarray(values, _FLOAT).tobytes()
        self.file.write(data)
        self._hash.update(data)
        offset, self.samples = self.samples, self.samples + len(values)
        return offset, len(values)

    def finish(self) -> _StreamFile:
        return _StreamFile(samples=self.samples, sha256=self._hash.hexdigest())


def _append(columns: dict[str, _Column], info: DatasetInfo, recording: Recording) -> RecordingMeta:
    _check(info, recording)
    return RecordingMeta(
        id=recording.id,
        subject=recording.subject,
        trial=recording.trial,
        label=recording.label,
        duration_s=next(iter(recording.streams.values())).duration_s,
        streams={name: columns[name].append(stream.values) for name, stream in recording.streams.items()},
        session=recording.session,
        scene=recording.scene,
        camera=recording.camera,
        cut_from=recording.cut_from,
    )


def _grouped(meta: RecordingMeta, groups: Groups) -> RecordingMeta:
    name = meta.cut_from or meta.id
    origin = groups.head(name)
    return meta if origin == name else meta.model_copy(update={"cut_from": origin})


def _check(info: DatasetInfo, recording: Recording) -> None:
    if not recording.streams:
        raise DataError(f"recording {recording.id} has no stream")
    if not 0 <= recording.label < len(info.classes):
        raise DataError(f"recording {recording.id} has label {recording.label} of {len(info.classes)} classes")
    durations = [stream.duration_s for stream in recording.streams.values()]
    if max(durations) - min(durations) > 1e-6 * max(durations):
        raise DataError(f"the streams of recording {recording.id} span different times: {durations} s")
    for name, stream in recording.streams.items():
        if name not in info.streams:
            raise DataError(f"recording {recording.id} has a stream {name} that the dataset does not describe")
        if len(stream.values) == 0 or stream.values.shape[1:] != info.item_shape(name):
            shape = (len(stream.values), *info.item_shape(name))
            raise DataError(f"{name} of {recording.id} has shape {stream.values.shape}, not {shape} with samples")
        if not np.isfinite(stream.values).all():
            raise DataError(f"{name} of {recording.id} holds values that are not finite")


def _stream_file(directory: Path, name: str) -> Path:
    return directory / f"{name}.f32"
