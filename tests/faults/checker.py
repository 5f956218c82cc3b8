"""Checks what a fault campaign has recorded; a pure function of plain data, so that it can be tested by itself.

What a client was told and what the database and the object store hold in the end must agree, and every write in
between must have been made by whoever owned the run.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isclose, nan
from typing import Any, NamedTuple

ENDED = frozenset({"succeeded", "failed", "cancelled"})
CANCELLED = frozenset({"cancelling", "cancelled"})


@dataclass(frozen=True)
class Request:
    """What a client asked for, and what it was answered."""

    kind: str  # "submit", "cancel", …
    key: str | None  # its idempotency key, which is the name of the job too
    job_id: str | None  # that it asks something of; of a submit, as it was answered
    status: int | None  # null: there was no answer
    state: str | None  # of the job, as it was answered
    answered_at: float  # seconds, on the clock that the database reads too


@dataclass(frozen=True)
class Write:
    """One write to a run or to its metrics, as a trigger saw it, in the order of the writes to that run."""

    run_id: str
    what: str  # "run" or "metric"
    session: str  # of the database: one process has it, for as long as it lives
    process: str  # whose session it is: "worker", "api", "keeper" and a number
    at: float
    state_before: str
    state: str
    token_before: int
    token: int
    owner: str | None  # the process that held the run before the write


@dataclass(frozen=True)
class Job:
    """A job's row."""

    id: str
    name: str
    state: str
    event_seq: int


@dataclass(frozen=True)
class Run:
    """A run's row."""

    id: str
    job_id: str
    state: str
    seed: int
    fold: str
    epochs: int | None
    finished_at: float | None
    configuration: str  # the row of the leaderboard that its result counts for
    test: Mapping[str, Any] | None  # what it reports of the test part


@dataclass(frozen=True)
class Event:
    """An event of a job."""

    job_id: str
    seq: int
    kind: str
    data: Mapping[str, Any]


class Point(NamedTuple):
    """A value of a curve."""

    run_id: str
    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Standing:
    """A configuration on the leaderboard."""

    id: str
    folds: Sequence[str]
    n_seeds: int
    n_test: int | None
    accuracy_mean: float | None
    accuracy_sd: float | None
    macro_f1_mean: float | None
    macro_f1_sd: float | None


@dataclass(frozen=True)
class History:
    """All that was recorded of a campaign: requests and writes as they came, everything else as it was in the end."""

    healed_at: float  # when the last fault had passed
    patience_s: float  # lease, reaper period and the deadline of what was still to do
    requests: Sequence[Request] = ()
    writes: Sequence[Write] = ()
    jobs: Sequence[Job] = ()
    runs: Sequence[Run] = ()
    events: Sequence[Event] = ()
    points: Sequence[Point] = ()
    standings: Sequence[Standing] = ()
    counted: Mapping[tuple[str, int, str], str] = field(default_factory=dict)  # (row, seed, fold): the run's id
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by row: the objects that it names
    stored: frozenset[str] = frozenset()  # whole objects


class Violation(NamedTuple):
    """What is broken, and where."""

    invariant: str
    detail: str


def check(history: History) -> list[Violation]:
    """Every violation of every invariant."""
    return [Violation(name, detail) for name, broken in INVARIANTS.items() for detail in broken(history)]


def _lost_submits(history: History) -> Iterator[str]:
    jobs = {job.id: job for job in history.jobs}
    for request in history.requests:
        if request.kind != "submit" or request.status != 202:
            continue
        job = jobs.get(request.job_id or "")
        if job is None:
            yield f"{request.job_id} was acknowledged under key {request.key} and is not there"
        elif job.name != request.key:
            yield f"key {request.key} was answered with {job.id}, which is named {job.name}"


def _keys_with_several_jobs(history: History) -> Iterator[str]:
    made, told = defaultdict(set), defaultdict(set)
    for job in history.jobs:
        made[job.name].add(job.id)
    for request in history.requests:
        if request.kind == "submit" and request.status == 202:
            told[request.key].add(request.job_id)
    for key in sorted(request.key for request in history.requests if request.kind == "submit" and request.key):
        if len(ids := made.pop(key, set()) | told.pop(key, set())) > 1:
            yield f"key {key} has the jobs {sorted(map(str, ids))}"


def _second_finishes(history: History) -> Iterator[str]:
    seen = {
        "rows": Counter(each.run_id for each in history.writes if enters(each, "succeeded")),
        "events": Counter(each.data["run_id"] for each in history.events if _tells(each, "succeeded")),
    }
    for where, finishes in seen.items():
        yield from (f"{run_id} has finished {n} times, say its {where}" for run_id, n in finishes.items() if n > 1)
    for run in history.runs:
        if run.state == "succeeded" and not all(finishes[run.id] for finishes in seen.values()):
            yield f"{run.id} has succeeded, and no write or no event has made it"


def _stale_writes(history: History) -> Iterator[str]:
    highest, of_session = Counter[str](), dict[tuple[str, str], int]()
    for write in history.writes:
        takes = write.what == "run" and write.owner is None and write.token > write.token_before
        if write.token < write.token_before or (takes and write.token <= highest[write.run_id]):
            yield f"{write.run_id}: a token fell or came again, {highest[write.run_id]} to {write.token}"
        highest[write.run_id] = max(highest[write.run_id], write.token)
        if takes or not write.process.startswith("worker"):
            continue
        if write.owner != write.process or (write.what == "metric" and write.state_before != "running"):
            yield (
                f"{write.run_id}: {write.process} wrote its {write.what} when it was {write.state_before} and "
                f"{write.owner or 'nobody'} held it"
            )
        # A run's process makes one claim's writes to metrics; a supervisor, which serves many claims, writes none.
        if write.what == "metric":
            token = of_session.setdefault((write.run_id, write.session), write.token)
            if token != write.token:
                yield f"{write.run_id}: one session wrote metrics under the tokens {token} and {write.token}"


def _cancelled_that_went_on(history: History) -> Iterator[str]:
    jobs, of_run = {job.id: job for job in history.jobs}, {run.id: run.job_id for run in history.runs}
    cancelled_at: dict[str, float] = {}
    for request in history.requests:
        if request.kind == "cancel" and request.status == 200 and request.state in CANCELLED and request.job_id:
            cancelled_at.setdefault(request.job_id, request.answered_at)
    for job_id in cancelled_at:
        if job_id in jobs and jobs[job_id].state != "cancelled":
            yield f"{job_id} was cancelled and is {jobs[job_id].state}"
    for write in history.writes:
        if write.state_before == "cancelled" and write.state != "cancelled":
            yield f"{write.run_id} was cancelled and became {write.state}"
        if enters(write, "succeeded") and write.at > cancelled_at.get(of_run.get(write.run_id, ""), float("inf")):
            yield f"{write.run_id} succeeded after its job's cancellation had been acknowledged"


def _endless(history: History) -> Iterator[str]:
    last_s = history.healed_at + history.patience_s
    for run in history.runs:
        if run.state not in ENDED:
            yield f"{run.id} is still {run.state}"
        elif run.finished_at is None or run.finished_at > last_s:
            yield f"{run.id} ended at {run.finished_at}, and {last_s} was the latest time"
    states = defaultdict(set)
    for run in history.runs:
        states[run.job_id].add(run.state)
    for job in history.jobs:
        if job.state not in ENDED:
            yield f"{job.id} is still {job.state}"
        elif job.state == "succeeded" and states[job.id] != {"succeeded"}:
            yield f"{job.id} has succeeded, and its runs are {sorted(states[job.id])}"


def _wrong_curves(history: History) -> Iterator[str]:
    points: dict[str, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for point in history.points:
        if point.name in points[point.run_id][point.step]:
            yield f"{point.run_id} has {point.name} of epoch {point.step} twice"
        points[point.run_id][point.step][point.name] = point.value
    told: dict[str, list[Event]] = defaultdict(list)
    for event in sorted(history.events, key=lambda event: (event.job_id, event.seq)):
        if event.kind == "run.epoch":
            told[event.data["run_id"]].append(event)
    for run in history.runs:
        epochs = [event.data["epoch"] for event in told[run.id]]
        if epochs != list(range(len(epochs))):
            yield f"{run.id} tells of the epochs {epochs}"
        if run.state == "succeeded" and not (len(epochs) == len(points[run.id]) == run.epochs):
            yield f"{run.id} has {len(epochs)} events and {len(points[run.id])} epochs of metrics, not {run.epochs}"
        for event in told[run.id]:
            if points[run.id].get(event.data["epoch"]) != event.data["metrics"]:
                yield f"{run.id} has other metrics of epoch {event.data['epoch']} than it told"


def _wrong_standings(history: History) -> Iterator[str]:
    runs = {run.id: run for run in history.runs}
    finished = {
        (run.configuration, run.seed, run.fold) for run in history.runs if run.state == "succeeded" and run.test
    }
    if wrong := finished ^ set(history.counted):
        yield f"results and successful runs differ in {sorted(wrong)}"
        return
    for (row, seed, fold), run_id in history.counted.items():
        if run_id not in runs or (row, seed, fold) != (
            runs[run_id].configuration,
            runs[run_id].seed,
            runs[run_id].fold,
        ):
            yield f"seed {seed}, fold {fold} of {row} is counted for {run_id}"
            return
    if astray := {row for row, _, _ in finished} ^ {standing.id for standing in history.standings}:
        yield f"the rows {sorted(astray)} have no results, or stand nowhere"
    for standing in history.standings:
        tests = {place[1:]: runs[run_id].test for place, run_id in history.counted.items() if place[0] == standing.id}
        for name, stands, counts in _compared(standing, tests):
            if not isclose(stands, counts, rel_tol=1e-12) and not (stands != stands and counts != counts):
                yield f"{name} of {standing.id} is {stands} and counts up to {counts}"


def _compared(
    standing: Standing, tests: Mapping[tuple[int, str], Mapping[str, Any] | None]
) -> Iterator[tuple[str, float, float]]:
    """A row's figures and those recomputed from the reports of the runs: name, as it stands, as it counts up."""
    seeds = [
        seed for seed in sorted({seed for seed, _ in tests}) if all((seed, fold) in tests for fold in standing.folds)
    ]
    pooled = [_pooled([tests[seed, fold] or {} for fold in standing.folds]) for seed in seeds]
    yield "n_seeds", standing.n_seeds, len(seeds)
    yield "n_test", _or_nan(standing.n_test), pooled[0][0] if pooled else nan
    for place, name in enumerate(("accuracy", "macro_f1"), start=1):
        values = [each[place] for each in pooled]
        yield f"{name}_mean", _or_nan(getattr(standing, f"{name}_mean")), statistics.fmean(values) if values else nan
        sd = statistics.stdev(values) if len(values) > 1 else nan
        yield f"{name}_sd", _or_nan(getattr(standing, f"{name}_sd")), sd


def _pooled(tests: Sequence[Mapping[str, Any]]) -> tuple[int, float, float]:
    """Number tested, accuracy and macro-F1 of the summed confusion matrices."""
    confusion = [
        [sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*(t["confusion"] for t in tests), strict=True)
    ]
    n, hits = sum(map(sum, confusion)), [confusion[k][k] for k in range(len(confusion))]
    seen = [sum(row) + sum(column) for row, column in zip(confusion, zip(*confusion, strict=True), strict=True)]
    f1 = [2 * hit / both for hit, both in zip(hits, seen, strict=True) if both]
    return n, sum(hits) / n, statistics.fmean(f1)


def _or_nan(value: float | None) -> float:
    return nan if value is None else value


def _gaps(history: History) -> Iterator[str]:
    numbers = defaultdict(list)
    for event in history.events:
        numbers[event.job_id].append(event.seq)
    for job in history.jobs:
        if sorted(numbers[job.id]) != list(range(1, job.event_seq + 1)):
            yield f"{job.id} has the events {sorted(numbers[job.id])} and counts {job.event_seq}"


def _own_failures(history: History) -> Iterator[str]:
    for request in history.requests:
        if request.status is not None and request.status >= 500 and request.status != 503:
            yield f"{request.kind} of {request.job_id or request.key} was answered {request.status}"


def _missing_objects(history: History) -> Iterator[str]:
    for row, digests in history.named.items():
        for digest in digests:
            if digest not in history.stored:
                yield f"{row} names {digest}, which is not stored"


def enters(write: Write, state: str) -> bool:
    """Whether it brings its run into the state."""
    return write.what == "run" and write.state == state != write.state_before


def _tells(event: Event, state: str) -> bool:
    return event.kind == "run.state" and event.data["state"] == state


INVARIANTS: Mapping[str, Callable[[History], Iterator[str]]] = {
    "an acknowledged submit is never lost": _lost_submits,
    "one idempotency key, one job": _keys_with_several_jobs,
    "at most one accepted finish a run": _second_finishes,
    "no write with a stale token": _stale_writes,
    "a cancelled run never succeeds afterwards": _cancelled_that_went_on,
    "every run reaches an end state in time": _endless,
    "metrics have no duplicate or missing epoch": _wrong_curves,
    "the leaderboard equals its recomputation from raw rows": _wrong_standings,
    "events are numbered without gaps": _gaps,
    "what fails is answered 503 and never as a fault of the service": _own_failures,
    "nothing that a row names is missing in the object store": _missing_objects,
}
