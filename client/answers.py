"""What the service answers, as typed records; members that a newer service adds are ignored."""

from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class Answer(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Page(Answer, Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    next_cursor: str | None


# --- Datasets -----------------------------------------------------------------------------------------------------


class Finding(Answer):
    """Something that an import found amiss."""

    severity: str
    detail: str
    file: str | None = None
    row: int | None = None
    column: str | None = None


class SplitSizes(Answer):
    """Recordings on either side of a protocol's split, and what is absent from it."""

    train: int
    test: int
    missing: tuple[str, ...]


class Spread(Answer):
    """Smallest, middle and largest."""

    min: float
    median: float
    max: float


class StreamAmount(Answer):
    """How much of one stream there is."""

    recordings: int
    samples: Spread
    rate_hz: Spread


class ImportReport(Answer):
    """What an import found."""

    layout: str
    recordings: int
    classes: dict[str, int]
    subjects: dict[str, int]
    protocols: dict[str, SplitSizes]
    streams: dict[str, StreamAmount]
    duration_s: Spread
    skeleton_substitute: str | None = None  # of a service that does not tell yet
    problems: tuple[Finding, ...]


class DatasetSummary(Answer):
    """A dataset in a list."""

    id: str
    name: str
    state: str
    cause: str | None
    detail: str | None
    created_at: datetime
    recordings: int | None
    digest: str | None = None


class Dataset(DatasetSummary):
    """A dataset with what its import found."""

    report: ImportReport | None


class RecordingSummary(Answer):
    """A recording in a list."""

    id: str
    subject: str
    trial: str
    label: str
    duration_s: float


class Series(Answer):
    """Samples of one stream."""

    unit: str
    rate_hz: float
    axes: tuple[str, ...]
    t_s: tuple[float, ...]
    values: list[Any]


class Recording(Answer):
    """One recording's series."""

    recording: RecordingSummary
    series: dict[str, Series]


# --- Jobs ---------------------------------------------------------------------------------------------------------


class Progress(Answer):
    """How far a job is, over all its runs."""

    runs: dict[str, int]
    epochs_done: int
    epochs: int
    fraction: float


class JobSummary(Answer):
    """A job in a list."""

    id: str
    name: str
    state: str
    cause: str | None
    detail: str | None
    dataset_id: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: Progress | None
    eta_s: float | None
    checkpoints_removed_at: datetime | None = None
    curves_removed_at: datetime | None = None
    events_removed_at: datetime | None = None


class Job(JobSummary):
    """A job with its whole spec."""

    spec: dict[str, Any]


class Fold(Answer):
    """One split that each seed trains on."""

    fold: str


class Estimate(Answer):
    """What a job would do."""

    spec: dict[str, Any]
    folds: tuple[Fold, ...] | None = None
    runs: int | None
    epochs: int
    steps: int | None


class Run(Answer):
    """One training: a seed on a fold."""

    id: str
    job_id: str
    seed: int
    fold: str
    state: str
    epoch: int
    epochs: int | None
    attempts: int
    cause: str | None
    detail: str | None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: dict[str, Any] | None


class RunReport(Run):
    """One run with everything that was measured."""

    report: dict[str, Any]


class Event(Answer):
    """Something that happened to a job."""

    seq: int
    kind: str
    at: datetime
    data: dict[str, Any]


class Curve(Answer):
    """One measured value over epochs."""

    steps: list[int]
    values: list[float]


class RunCurves(Answer):
    """The curves of one run."""

    run_id: str
    seed: int
    fold: str
    curves: dict[str, Curve]


class JobMetrics(Answer):
    """Every curve of a job."""

    runs: tuple[RunCurves, ...]


# --- Sweeps -------------------------------------------------------------------------------------------------------


class TrialCounts(Answer):
    """How many trials a sweep has, how many are not proposed yet, and the states of the others."""

    total: int
    to_come: int
    states: dict[str, int]


class SweepSummary(Answer):
    """A sweep in a list."""

    id: str
    name: str
    state: str
    search: str
    metric: str
    dataset_id: str
    counts: TrialCounts
    created_at: datetime
    finished_at: datetime | None


class TrialScore(Answer):
    """A trial's metric on the validation part, over its runs; one run has no standard deviation."""

    mean: float
    sd: float | None
    runs: int


class TrialCost(Answer):
    """What a trial's student costs, and how long its runs took together."""

    parameters: int | None
    macs: int | None
    seconds: float


class Trial(Answer):
    """One trial; without a job its point made no valid spec."""

    number: int
    parameters: dict[str, Any]
    job_id: str | None
    state: str
    cause: str | None
    detail: str | None
    score: TrialScore | None
    cost: TrialCost


class BestTrial(Answer):
    """The best trial so far, and the spec to submit."""

    number: int
    parameters: dict[str, Any]
    score: TrialScore
    spec: dict[str, Any]


class HeatMap(Answer):
    """Two parameters against the metric; rows are `y`, columns `x`."""

    x: str
    y: str
    x_values: tuple[Any, ...]
    y_values: tuple[Any, ...]
    mean: tuple[tuple[float | None, ...], ...]
    best: tuple[tuple[float | None, ...], ...]


class Sweep(SweepSummary):
    """A sweep with all its trials."""

    spec: dict[str, Any]
    trials: tuple[Trial, ...]
    best: BestTrial | None
    heat_map: HeatMap | None


class SweepEstimate(Answer):
    """What a sweep would do."""

    spec: dict[str, Any]
    trials: int
    most_trials: int
    runs: int | None


# --- Models -------------------------------------------------------------------------------------------------------


class ModelVersion(Answer):
    """One registered student."""

    version: int
    run_id: str
    dataset_name: str
    protocol: str
    metrics: dict[str, Any]
    created_at: datetime


class Model(Answer):
    """A model in a list."""

    name: str
    created_at: datetime
    aliases: dict[str, int]
    latest: ModelVersion | None


class ModelAlias(Answer):
    """What an alias names."""

    alias: str
    version: int
    updated_at: datetime


class Gate(Answer):
    """How a version compared with the one that it was to replace."""

    passed: bool
    by: str
    detail: str


class AliasChange(Answer):
    """An alias came to name another version."""

    alias: str
    from_version: int | None
    to_version: int | None
    at: datetime
    actor: str
    key_prefix: str | None = None
    key_name: str | None = None
    reason: str | None
    forced: bool
    gate: Gate | None


# --- Classification -----------------------------------------------------------------------------------------------


class Window(Answer):
    """What a model says about one window."""

    start_s: float
    end_s: float
    label: str
    confidence: float | None = None  # an older service does not say, as of models that are not calibrated
    probabilities: dict[str, float]


class Segment(Answer):
    """A stretch of one label; segments touch and cover the recording."""

    start_s: float
    end_s: float
    label: str
    confidence: float | None = None
    novelty: float | None = None
    probability: float


class Figures(Answer):
    """What a model reached on the test part of its fold."""

    accuracy: float
    macro_f1: float
    n: int


class Served(Answer):
    """The model that answered."""

    name: str
    version: int
    dataset: str
    protocol: dict[str, Any]
    seed: int
    fold: str
    test: Figures | None


class Understood(Answer):
    """How a recording was read."""

    format: str = "unknown"  # an older service does not say
    samples: int
    duration_s: float
    rate_hz: float
    rate_found: str
    unit: str
    columns: Any
    gravity: bool | None
    gaps: Any
    repairs: Any


class Overview(Answer):
    """What a recording shows as a whole; probabilities are the most likely classes, largest first."""

    label: str
    confidence: float | None = None
    probabilities: dict[str, float]
    model: Served
    input: Understood
    warnings: tuple[str, ...]


class Classification(Overview):
    """A labelled timeline."""

    windows: tuple[Window, ...]
    segments: tuple[Segment, ...]
