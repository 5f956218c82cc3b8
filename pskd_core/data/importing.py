"""From what a user holds to a columnar dataset, with a report of what was understood and what is wrong."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import Field

from pskd_core.data.berkeley_mhad import is_berkeley_mhad, read_berkeley_mhad
from pskd_core.data.columnar import Dataset, DatasetInfo, NamedSplit, Recording, RecordingMeta, write_dataset
from pskd_core.data.manifest import is_manifest, read_manifest
from pskd_core.data.mmact import is_mmact, read_mmact
from pskd_core.data.problems import Problem, listed
from pskd_core.data.source import SourceFiles, open_source
from pskd_core.data.synthetic import SyntheticSource, generate
from pskd_core.data.utd_mhad import is_utd_mhad, read_utd_mhad
from pskd_core.errors import DataError
from pskd_core.fields import Frozen

_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar")  # datasets are handed out as one for each kind of file


class Spread(Frozen):
    """Smallest, middle and largest of a quantity over the recordings."""

    min: float
    median: float
    max: float


class StreamReport(Frozen):
    """How much of one stream there is."""

    recordings: int
    samples: Spread
    rate_hz: Spread


class ProtocolReport(Frozen):
    """Recordings on either side of a split, and which of its subjects, trials … are absent."""

    train: int
    test: int
    missing: tuple[str, ...] = Field(description="such as `subject 2`")


class ImportReport(Frozen):
    """What an import found."""

    name: str
    layout: str
    recordings: int
    classes: dict[str, int] = Field(description="recordings of each class")
    subjects: dict[str, int] = Field(description="recordings of each subject")
    protocols: dict[str, ProtocolReport]
    streams: dict[str, StreamReport]
    duration_s: Spread
    skeleton_substitute: str | None = Field(
        default=None, description="what stands in the place of the dataset's own skeleton; null: nothing does"
    )
    problems: tuple[Problem, ...]
    digest: str


def import_dataset(source: Path | SyntheticSource, destination: Path, *, label: str | None = None) -> ImportReport:
    """Write the dataset that `source` (a folder, a zip, or a recipe) holds to `destination`, whole or not at all.

    `label` is what messages call the source, such as the name that an upload came with.

    Raises:
        DataError: the layout is not recognised, no recording is usable, or `destination` exists.
    """
    with _opened(source, label) as (info, recordings, problems):
        try:
            dataset = write_dataset(destination, info, recordings)
        except DataError as error:
            faults = "; ".join(problem.detail for problem in problems if problem.severity == "error")
            raise DataError(
                f"nothing was imported: {error}{'; ' if faults else ''}{faults[:2000]}", file=label
            ) from error
    return _report(dataset, problems)


Opened = tuple[DatasetInfo, Iterator[Recording], list[Problem]]


@contextmanager
def _opened(source: Path | SyntheticSource, label: str | None) -> Iterator[Opened]:
    if isinstance(source, SyntheticSource):
        yield *generate(source), []
        return
    with open_source(source, label=label) as files:
        yield _read(files)


def _read(files: SourceFiles) -> Opened:
    """Recognise the layout by what the files are called, wherever they lie."""
    if is_manifest(files):
        return read_manifest(files)
    if is_utd_mhad(files):
        return read_utd_mhad(files)
    if is_berkeley_mhad(files):
        return read_berkeley_mhad(files)
    if is_mmact(files):
        return read_mmact(files)
    names = listed(files.names) or "nothing"
    if any(name.lower().endswith(_ARCHIVES) for name in files.names):
        names += "; archives within are not opened: unpack them first"
    raise DataError(
        "no known layout; looked for UTD-MHAD (files such as Inertial/a1_s1_t1_inertial.mat and "
        "Skeleton/a1_s1_t1_skeleton.mat, in any folder), Berkeley-MHAD (acc_h01_s01_a01_r01.txt), MMAct "
        "(acc_watch_clip/subject1/scene1/session1/walking.csv) and one's own data (dataset.yaml beside recordings.csv; "
        f"`pskd dataset template DIR` writes an example) and found {len(files.names)} files: {names}",
        file=files.place,
    )


def _report(dataset: Dataset, problems: Iterable[Problem]) -> ImportReport:
    info, metas = dataset.info, dataset.recordings
    labels = Counter(meta.label for meta in metas)
    return ImportReport(
        name=info.name,
        layout=info.layout,
        recordings=len(metas),
        classes={name: labels[label] for label, name in enumerate(info.classes)},
        subjects=dict(sorted(Counter(meta.subject for meta in metas).items())),
        protocols={name: _protocol_report(split, metas) for name, split in info.protocols.items()},
        streams={name: report for name in info.streams if (report := _stream_report(name, metas))},
        duration_s=_spread([meta.duration_s for meta in metas]),
        skeleton_substitute=info.skeleton.substitute if info.skeleton else None,
        problems=(*problems, *_absent_classes(info, labels)),
        digest=dataset.digest,
    )


def _protocol_report(split: NamedSplit, metas: Iterable[RecordingMeta]) -> ProtocolReport:
    groups = Counter(getattr(meta, split.by) for meta in metas)
    return ProtocolReport(
        train=sum(groups[name] for name in split.train),
        test=sum(groups[name] for name in split.test),
        missing=tuple(f"{split.by} {name}" for name in (*split.train, *split.test) if not groups[name]),
    )


def _stream_report(name: str, metas: Iterable[RecordingMeta]) -> StreamReport | None:
    having = [meta for meta in metas if name in meta.streams]
    if not having:
        return None
    return StreamReport(
        recordings=len(having),
        samples=_spread([meta.streams[name][1] for meta in having]),
        rate_hz=_spread([meta.rate_hz(name) for meta in having]),
    )


def _spread(values: Sequence[float]) -> Spread:
    lowest, middle, highest = np.quantile(values, (0, 0.5, 1)).round(6).tolist()
    return Spread(min=lowest, median=middle, max=highest)


def _absent_classes(info: DatasetInfo, labels: Counter[int]) -> Iterator[Problem]:
    if absent := [name for label, name in enumerate(info.classes) if not labels[label]]:
        yield Problem(severity="warning", detail=f"no recording of class {', '.join(absent)}")
