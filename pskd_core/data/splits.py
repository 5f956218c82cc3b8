"""Which recordings train, validate and test in each fold of a job; nothing here reads a sample."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from pskd_core.backbones import Agcn
from pskd_core.config import (
    Distill,
    InnerLeaveOneSubjectOut,
    JobSpec,
    LeaveOneSubjectOut,
    NamedProtocol,
    Network,
    NoValidation,
    SubjectLists,
    ValidationSubjects,
    ValidationTrials,
)
from pskd_core.data.columnar import SKELETON, DatasetInfo, RecordingMeta, SplitBy
from pskd_core.errors import ProtocolError, SpecError

# Batch-norm has no variance to estimate from a single one.
FEWEST_SAMPLES = 2

Indices = tuple[int, ...]
Recordings = Sequence[RecordingMeta]


@dataclass(frozen=True, slots=True)
class Fold:
    """Indices into the dataset's recordings; the three parts are sorted and disjoint."""

    name: str
    train: Indices
    validation: Indices
    test: Indices
    inner: tuple[str, ...] = ()  # of a refit: the folds before it that held out parts of what it trains on


def plan_folds(spec: JobSpec, info: DatasetInfo, recordings: Recordings) -> tuple[Fold, ...]:
    """The folds of a job, in the order in which they run.

    A protocol gives one fold `all`, or one `loso:<subject>` for each subject. `inner_loso` puts in its place one
    `inner:<subject>` for each training subject (`inner:trial<last>`, `inner:camera<last>` … if the dataset splits by
    something else), which tests nothing, and, if there is a test part, a `refit` that trains on all of them and
    validates nothing; under `loso` their names nest, as in `loso:3/inner:1`.

    Every part is decided by the student's inputs alone, so that adding a teacher never changes what the student learns
    from and is tested on; a teacher that some training recordings lack the streams of learns from, and guides, the
    others.

    Raises:
        SpecError: the spec names a stream, protocol or validation part that is not there, or ties a sensor to a joint
            and the skeleton has none where it is worn.
        ProtocolError: subjects, trials, classes or a teacher's streams have no training recording (`missing` names
            them), or windows of one recording would stand in two parts.
    """
    _check_names(spec, info)
    outer_folds = _outer_folds(spec, info, recordings)
    folds = tuple(fold for outer in outer_folds for fold in _with_validation(spec, info, recordings, outer))
    windows = _windows(recordings)
    for fold in folds:
        _check_windows(fold, windows, recordings)
        _check_training_part(fold, info, recordings)
        _check_teachers(fold, spec, recordings)
    return folds


def complete(recordings: Recordings, indices: Iterable[int], streams: Iterable[str]) -> Indices:
    """Those of `indices` whose recording has every one of `streams`; how many fall away is what a report says."""
    needed = set(streams)
    return tuple(index for index in indices if needed <= recordings[index].streams.keys())


def natural_key(text: str) -> tuple[int | str, ...]:
    """Sort key that puts subject 2 before subject 10."""
    return tuple(int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", text)))


def _outer_folds(spec: JobSpec, info: DatasetInfo, recordings: Recordings) -> list[Fold]:
    """What the protocol says, still without validation."""
    match spec.protocol:
        case NamedProtocol(name=name):
            split = info.protocols[name]
            return [_outer_fold("all", spec, recordings, by=split.by, train=split.train, test=split.test)]
        case SubjectLists(train=train, test=test):
            return [_outer_fold("all", spec, recordings, by="subject", train=train, test=test)]
        case LeaveOneSubjectOut(subjects=chosen):
            trainable = complete(recordings, range(len(recordings)), spec.student.inputs)
            subjects = sorted(set(chosen or _values(recordings, "subject", trainable)), key=natural_key)
            if len(subjects) < 2:
                raise ProtocolError(f"leave-one-subject-out needs two subjects; there is {len(subjects)}")
            rest = {one: [other for other in subjects if other != one] for one in subjects}
            return [
                _outer_fold(f"loso:{one}", spec, recordings, by="subject", train=rest[one], test=[one])
                for one in subjects
            ]
        case _ as never:
            assert_never(never)


def _outer_fold(
    name: str, spec: JobSpec, recordings: Recordings, *, by: SplitBy, train: Iterable[str], test: Iterable[str]
) -> Fold:
    if both := sorted(set(train) & set(test), key=natural_key):
        raise ProtocolError(f"{by} {', '.join(both)} would both train and test")
    test = test if spec.test == "report" else ()
    training = _select(recordings, by, train, needed=spec.student.inputs)
    return Fold(name, training, (), _select(recordings, by, test, needed=spec.student.inputs))


def _with_validation(spec: JobSpec, info: DatasetInfo, recordings: Recordings, outer: Fold) -> list[Fold]:
    """The fold or folds that the validation choice makes of one fold of the protocol."""
    match spec.validation:
        case NoValidation():
            return [outer]
        case ValidationSubjects(subjects=subjects):
            _check_in_training(recordings, outer, "subject", subjects)
            return [_hold_out(recordings, outer, "subject", subjects)]
        case ValidationTrials(trials=trials):
            _check_in_training(recordings, outer, "trial", trials)
            return [_hold_out(recordings, outer, "trial", trials)]
        case InnerLeaveOneSubjectOut():
            return _inner_folds(spec, info, recordings, outer)
        case _ as never:
            assert_never(never)


def _inner_folds(spec: JobSpec, info: DatasetInfo, recordings: Recordings, outer: Fold) -> list[Fold]:
    prefix = "" if outer.name == "all" else f"{outer.name}/"
    by: SplitBy = "subject"
    held_out = {subject: subject for subject in _values(recordings, "subject", outer.train)}
    if isinstance(spec.protocol, NamedProtocol) and (own := info.protocols[spec.protocol.name].by) != "subject":
        # Subjects stand on both sides of such a protocol; the last training trial stands for an unseen one.
        by, last = own, _values(recordings, own, outer.train)[-1]
        held_out = {f"{by}{last}": last}
    folds = [
        replace(_hold_out(recordings, outer, by, [value]), name=f"{prefix}inner:{name}", test=())
        for name, value in held_out.items()
    ]
    inner = tuple(fold.name for fold in folds)
    return [*folds, replace(outer, name=f"{prefix}refit", inner=inner)] if outer.test else folds


def _hold_out(recordings: Recordings, outer: Fold, by: SplitBy, values: Iterable[str]) -> Fold:
    validation = _matching(recordings, by, outer.train, values)
    return replace(outer, train=tuple(sorted(set(outer.train) - set(validation))), validation=validation)


def _check_in_training(recordings: Recordings, outer: Fold, by: SplitBy, values: Iterable[str]) -> None:
    there = _values(recordings, by, outer.train)
    if outside := [value for value in values if value not in there]:
        raise SpecError(
            f"validation {by} {', '.join(outside)} is not in the training part of fold {outer.name}, "
            f"which holds {by} {', '.join(there)}",
            pointer=f"/validation/{by}s",
        )


def _select(recordings: Recordings, by: SplitBy, values: Iterable[str], *, needed: Sequence[str]) -> Indices:
    """Every recording of the named subjects, trials … that has the streams `needed`."""
    usable, wanted = complete(recordings, range(len(recordings)), needed), set(values)
    there = _values(recordings, by, usable)
    if absent := sorted(wanted.difference(there), key=natural_key):
        raise ProtocolError(
            f"no recording of {by} {', '.join(absent)} has {' and '.join(needed)}; "
            f"there is {by} {', '.join(there) or '(none)'}",
            missing=tuple(f"{by} {value}" for value in absent),
        )
    return _matching(recordings, by, usable, wanted)


def _matching(recordings: Recordings, by: SplitBy, indices: Indices, values: Iterable[str]) -> Indices:
    wanted = set(values)
    return tuple(index for index in indices if getattr(recordings[index], by) in wanted)


def _values(recordings: Recordings, by: SplitBy, indices: Indices) -> list[str]:
    stated = {getattr(recordings[index], by) for index in indices} - {None}
    return sorted(stated, key=natural_key)


def _check_names(spec: JobSpec, info: DatasetInfo) -> None:
    if isinstance(spec.protocol, NamedProtocol) and spec.protocol.name not in info.protocols:
        offered = ", ".join(sorted(info.protocols)) or "none; use kind `loso` or `subjects`"
        raise SpecError(
            f"the dataset has no protocol {spec.protocol.name!r}; it has {offered}", pointer="/protocol/name"
        )
    if isinstance(spec.protocol, SubjectLists) and not spec.protocol.test and isinstance(spec.validation, NoValidation):
        raise SpecError("no test subjects and no validation part: nothing would be measured", pointer="/protocol/test")
    teachers = spec.method.teachers if isinstance(spec.method, Distill) else ()
    pointers: list[tuple[str, Network]] = [(f"/method/teachers/{place}", each) for place, each in enumerate(teachers)]
    for pointer, network in [*pointers, ("/student", spec.student)]:
        if unknown := [stream for stream in network.inputs if stream not in info.streams]:
            raise SpecError(
                f"the dataset has no stream {', '.join(unknown)}; it has {', '.join(sorted(info.streams))}",
                pointer=f"{pointer}/inputs",
            )
        for sensor in tied_sensors(network):
            if info.joint_of(sensor) is None:
                raise SpecError(
                    f"fusion `node` ties {sensor} to the joint that it is worn at; the dataset says "
                    f"{info.streams[sensor].worn_at or 'nothing'}, no joint of its skeleton; use `node_center`",
                    pointer=f"{pointer}/backbone/fusion",
                )


def tied_sensors(network: Network) -> tuple[str, ...]:
    """The sensors that stand in a network's graph as nodes of the joints at which they are worn."""
    tied = isinstance(network.backbone, Agcn) and network.backbone.fusion == "node"
    return tuple(stream for stream in network.inputs if stream != SKELETON) if tied else ()


def _windows(recordings: Recordings) -> dict[int, str]:
    """Of each recording that shares its origin with another, that origin; nothing where nobody cut windows."""
    origins = {meta.cut_from for meta in recordings} - {None}
    if not origins:
        return {}
    named = ((index, meta.cut_from or meta.id) for index, meta in enumerate(recordings))
    return {index: origin for index, origin in named if origin in origins}


def _check_windows(fold: Fold, windows: dict[int, str], recordings: Recordings) -> None:
    """Windows of one recording overlap or adjoin: one that trains would give away another that tests."""
    sides: dict[str, tuple[str, int]] = {}
    for part, indices in (("train", fold.train), ("validation", fold.validation), ("test", fold.test)):
        for index in sorted(windows.keys() & indices):
            other, first = sides.setdefault(windows[index], (part, index))
            if other != part:
                raise ProtocolError(
                    f"fold {fold.name}: {recordings[first].id} ({other}) and {recordings[index].id} ({part}) are "
                    f"windows of one recording, {windows[index]}; split by subject, or by what keeps them together"
                )


def _check_training_part(fold: Fold, info: DatasetInfo, recordings: Recordings) -> None:
    seen = {recordings[index].label for index in fold.train}
    if not seen:
        raise ProtocolError(f"fold {fold.name} leaves no recording to train on")
    if unseen := [name for label, name in enumerate(info.classes) if label not in seen]:
        raise ProtocolError(
            f"fold {fold.name} has no training recording of class {', '.join(unseen)}",
            missing=tuple(f"class {name}" for name in unseen),
        )


def _check_teachers(fold: Fold, spec: JobSpec, recordings: Recordings) -> None:
    for name, network in spec.networks.items():
        if len(complete(recordings, fold.train, network.inputs)) < FEWEST_SAMPLES:
            raise ProtocolError(
                f"fold {fold.name}: {name} needs at least {FEWEST_SAMPLES} training recordings with "
                f"{' and '.join(network.inputs)}",
                missing=tuple(f"stream {stream}" for stream in network.inputs if stream not in spec.student.inputs),
            )
