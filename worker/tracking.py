"""Tells MLflow what our tables say: runs with parameters and curves, reports, and registered models.

Invariant: all of it can be done twice. A run is found by its tag before it is made, points carry their stored time, and
a model is registered unless its run has one.
"""

import csv
import io
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# Read when MLflow is imported or first used. Nothing is reported to anyone but the tracking server; one that is down
# is noticed at once, and the outbox tries again: MLflow's own retries would block for minutes.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "30"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from pskd_core import plots
from pskd_core.config import JobSpec
from store import leaderboard, outbox, registry, runs
from store.engine import Database
from store.lifecycle import ENDED_RUN, RunState
from store.models import Dataset, Job, Model, Run
from store.objects import ObjectStore
from store.outbox import Message
from worker.tracked_model import register

logger = logging.getLogger(__name__)

EXPERIMENT = "pskd"
RUN_TAG = "pskd.run_id"

_AT_ONCE = 10
_HOLD_S = 120.0
_REFUSED = {400, 404, 409}
_MOST_PARAMS = 100  # a call
_LONGEST_PARAM = 6000
_STATUS = {
    RunState.QUEUED: "SCHEDULED",
    RunState.RETRYING: "SCHEDULED",
    RunState.PAUSED: "SCHEDULED",
    RunState.RUNNING: "RUNNING",
    RunState.SUCCEEDED: "FINISHED",
    RunState.FAILED: "FAILED",
    RunState.CANCELLED: "KILLED",
}


@dataclass(frozen=True)
class RegisteredAs:
    """The version that a run registered."""

    name: str
    version: int
    aliases: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """What our tables say of a run."""

    run: Run
    job: Job
    dataset: Dataset
    registered: RegisteredAs | None


class Tracker:
    """Delivers the outbox's notes to one tracking server, in order for each run."""

    def __init__(self, database: Database, objects: ObjectStore, url: str) -> None:
        self._database, self._objects = database, objects
        self._client = MlflowClient(tracking_uri=url, registry_uri=url)

    def send(self) -> bool:
        """Deliver what is due; says whether there was anything. Raises what the server's absence raises."""
        with self._database.write() as session:
            messages = outbox.take(session, "mlflow", limit=_AT_ONCE, hold_s=_HOLD_S)
        done: list[int] = []
        try:
            for message in messages:
                self._deliver(message)
                done.append(message.id)
        finally:
            if messages:
                with self._database.write() as session:
                    outbox.mark_sent(session, done)
                    outbox.postpone(session, [message.id for message in messages[len(done) :]], delay_s=0.0)
        return bool(messages)

    def _deliver(self, message: Message) -> None:
        try:
            if message.payload["op"] == "alias":
                self._move_alias(message.payload)
                return
            with self._database.read() as session:
                facts = _facts(session, message.key)
            tracking_id = facts.run.tracking_id or self._find_or_create(facts)
            if message.payload["op"] == "epoch":
                self._log_epoch(tracking_id, message.payload)
            else:
                self._log_state(tracking_id, facts, RunState(message.payload["state"]))
        except Exception as error:
            if _passes(error):
                raise
            # What the server refuses today it refuses tomorrow, and the run's later notes wait behind this one.
            logger.exception("note %s of %s is dropped", message.payload["op"], message.key)

    def _move_alias(self, change: Mapping[str, Any]) -> None:
        """Where the version is not known here yet, its registration will ask what names it."""
        name, alias, run_id = change["name"], change["alias"], change["run_id"]
        if run_id is None:
            self._client.delete_registered_model_alias(name, alias)
            return
        found = self._client.search_model_versions(f"name = '{name}' and tag.`{RUN_TAG}` = '{run_id}'", max_results=1)
        if found:
            self._client.set_registered_model_alias(name, alias, str(found[0].version))

    def _find_or_create(self, facts: Facts) -> str:
        experiment_id = self._experiment()
        found = self._client.search_runs([experiment_id], f"tags.`{RUN_TAG}` = '{facts.run.id}'", max_results=1)
        tracking_id = str(found[0].info.run_id) if found else self._create(experiment_id, facts)
        params = [Param(key, value[:_LONGEST_PARAM]) for key, value in flatten(facts.job.spec)]
        for start in range(0, len(params), _MOST_PARAMS):
            self._client.log_batch(tracking_id, params=params[start : start + _MOST_PARAMS])
        with self._database.write() as session:
            runs.set_tracking_id(session, facts.run.id, tracking_id)
        return tracking_id

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        return str(found.experiment_id if found else self._client.create_experiment(EXPERIMENT))

    def _create(self, experiment_id: str, facts: Facts) -> str:
        run, job, dataset = facts.run, facts.job, facts.dataset
        tags = {
            RUN_TAG: run.id,
            "pskd.job_id": job.id,
            "pskd.tenant": job.tenant,
            "pskd.seed": str(run.seed),
            "pskd.fold": run.fold,
            "pskd.dataset": dataset.name,
            "pskd.dataset_digest": dataset.content_digest or "",
            "pskd.configuration_hash": job.configuration_hash,
        }
        if substitute := leaderboard.skeleton_substitute(JobSpec.model_validate(job.spec), dataset):
            tags["pskd.skeleton_substitute"] = substitute
        name = f"{job.name or job.id} · seed {run.seed} · {run.fold}"
        start_time = _milliseconds(run.started_at or run.created_at)
        created = self._client.create_run(experiment_id, start_time=start_time, tags=tags, run_name=name)
        return str(created.info.run_id)

    def _log_epoch(self, tracking_id: str, point: Mapping[str, Any]) -> None:
        metrics = [Metric(name, value, point["at_ms"], point["epoch"]) for name, value in point["metrics"].items()]
        self._client.log_batch(tracking_id, metrics=metrics)

    def _log_state(self, tracking_id: str, facts: Facts, state: RunState) -> None:
        run = facts.run
        try:
            if state is RunState.SUCCEEDED:
                self._log_outcome(tracking_id, facts)
            if state is RunState.FAILED:
                self._client.set_tag(tracking_id, "pskd.cause", run.cause)
                self._client.set_tag(tracking_id, "pskd.detail", run.detail)
        finally:  # a report that is refused must not leave the run going on for ever
            if state in ENDED_RUN:
                ended_at = _milliseconds(run.finished_at) if run.finished_at else None
                self._client.set_terminated(tracking_id, _STATUS[state], end_time=ended_at)
            else:
                self._client.update_run(tracking_id, status=_STATUS[state])

    def _log_outcome(self, tracking_id: str, facts: Facts) -> None:
        run, report = facts.run, facts.run.report or {}
        self._client.log_dict(tracking_id, report, "result.json")
        at_ms = _milliseconds(run.finished_at or run.created_at)
        with self._database.read() as session:
            curves = runs.curves(session, run.id, of="student")
        title = f"{facts.job.name or facts.job.id}, seed {run.seed}, fold {run.fold}"
        losses = plots.curves(curves, title=f"Losses of the student: {title}", across="its epochs", up="loss")
        self._client.log_figure(tracking_id, losses, "plots/losses.png")
        for part in ("test", "validation"):
            if scores := report.get(part):
                self._client.log_text(tracking_id, confusion_csv(scores, report["classes"]), f"confusion_{part}.csv")
                matrix = plots.confusion(scores["confusion"], report["classes"], title=f"Student, {part}: {title}")
                self._client.log_figure(tracking_id, matrix, f"plots/confusion_{part}.png")
                known = {name: scores[name] for name in _FIGURES if scores[name] is not None}
                figures = [Metric(f"final/{part}/{name}", value, at_ms, run.epoch) for name, value in known.items()]
                self._client.log_batch(tracking_id, metrics=figures)
        if run.bundle_digest is not None:
            bundle = self._objects.get_tree(run.bundle_digest)
            self._client.log_artifacts(tracking_id, str(bundle), "bundle")
            if (model := facts.registered) is not None:
                tags = {RUN_TAG: run.id, "pskd.version": str(model.version)}
                register(self._client, bundle, tracking_id, name=model.name, tags=tags, aliases=model.aliases)


_FIGURES = ("accuracy", "macro_f1", "weighted_f1", "top5_accuracy", "ece", "paper_f")


def _facts(session: Session, run_id: str) -> Facts:
    run = session.get_one(Run, run_id)
    job = session.get_one(Job, run.job_id)
    dataset = session.get_one(Dataset, job.dataset_id)
    version = registry.version_of_run(session, run_id)
    if version is None:
        return Facts(run, job, dataset, None)
    model = session.get_one(Model, version.model_id)
    pointers = registry.get(session, model.name, tenant=job.tenant).aliases
    aliases = [alias for alias, number in pointers.items() if number == version.version]
    return Facts(run, job, dataset, RegisteredAs(registry.tracked_name(model), version.version, aliases))


def _passes(error: Exception) -> bool:
    """Whether trying again later may help: servers, disks and permissions come back, refusals do not."""
    if isinstance(error, MlflowException):
        return error.get_http_status_code() not in _REFUSED  # type: ignore[no-untyped-call]  # MLflow's own is untyped
    return isinstance(error, OSError | OperationalError | InterfaceError)


def flatten(spec: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of the spec by dotted path, in order; lists of plain values stay whole, as JSON."""
    for key, value in spec.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{path}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            yield from flatten({str(item.get("name", place)): item for place, item in enumerate(value)}, f"{path}.")
        else:
            yield path, value if isinstance(value, str) else json.dumps(value)


def confusion_csv(scores: Mapping[str, Any], classes: Sequence[str]) -> str:
    """The confusion matrix as a table; rows are the true classes."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["true \\ predicted", *classes])
    writer.writerows([name, *row] for name, row in zip(classes, scores["confusion"], strict=True))
    return table.getvalue()


def _milliseconds(time: datetime) -> int:
    return round(time.astimezone(UTC).timestamp() * 1000)
