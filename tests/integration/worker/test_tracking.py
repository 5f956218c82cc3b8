"""What MLflow is told, on a real server: once, in order, and late rather than never."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as TrackedRun
from mlflow.exceptions import MlflowException
from sqlalchemy import update

from pskd_core.data.preprocess import prepare_sensor
from pskd_core.data.recordings import SensorRecording
from pskd_core.data.splits import plan_folds
from pskd_core.inference import Bundle, classify
from pskd_core.run import Run
from store import outbox, promotion, registry, runs, seedstats
from store.engine import Database
from store.lifecycle import FailureCause
from store.models import Model, Outbox
from store.models import Run as RunRow
from store.objects import ObjectStore
from store.runs import ClaimedRun, Finish
from tests.integration.worker.stack import small_spec
from tests.services import free_port
from tests.small import small_dataset
from tests.stored import add_ready_dataset, claim, submit
from worker import notes
from worker.settings import WorkerSettings
from worker.tracking import EXPERIMENT, RUN_TAG, Tracker, confusion_csv, flatten

RATE_HZ = 50.0  # of the synthetic accelerometer
CURVE = [{"student/total": 2.5 - epoch, "student/ce": 1.0} for epoch in range(2)]

LOAD = """
import sys, numpy, mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
numpy.savez(sys.argv[3], **model.predict(numpy.load(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the core, trained for an epoch."""
    data, spec = small_dataset(tmp_path_factory.mktemp("data") / "made"), small_spec(training={"epochs": 1})
    run = Run(data, spec, plan_folds(spec, data.info, data.recordings)[0], 0)
    list(run.epochs())
    return run


@pytest.fixture(scope="module")
def bundle(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its student."""
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    trained.export(folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path, database_url: str, mlflow_url: str) -> WorkerSettings:
    return WorkerSettings(home=tmp_path, database_url=database_url, mlflow_url=mlflow_url)


@pytest.fixture
def objects(settings: WorkerSettings) -> ObjectStore:
    return ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)


@pytest.fixture
def tracker(database: Database, objects: ObjectStore, mlflow_url: str) -> Tracker:
    return Tracker(database, objects, mlflow_url)


@pytest.fixture
def client(mlflow_url: str) -> MlflowClient:
    return MlflowClient(tracking_uri=mlflow_url, registry_uri=mlflow_url)


@pytest.fixture
def claimed(database: Database, settings: WorkerSettings, request: pytest.FixtureRequest) -> ClaimedRun:
    """A run under way, of a job named like its test, that has recorded two epochs."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, name=name, seeds=[7], **small_spec().model_dump(include={"method", "student"}))
        taken = claim(session)
        notes.state(session, settings, taken.run_id)
        for epoch, metrics in enumerate(CURVE):
            arguments = {"epoch": epoch, "epochs": 2, "phase": "student", "metrics": metrics}
            assert runs.record_epoch(session, taken.claim, **arguments)  # type: ignore[arg-type]
            notes.epoch(session, settings, taken.run_id, epoch=epoch, metrics=metrics)
    return taken


def succeed(
    database: Database, settings: WorkerSettings, objects: ObjectStore, claimed: ClaimedRun, bundle: Path, run: Run
) -> None:
    outcome = run.finish()
    assert outcome.test is not None
    test = seedstats.Tested(outcome.test.accuracy, outcome.test.macro_f1, outcome.test.n, outcome.test.confusion)
    finish = Finish(
        result={"parameters": outcome.parameters, "macs": outcome.macs},
        report={"classes": run.dataset.info.classes, **outcome.model_dump(mode="json")},
        test=test,
        predictions_digest=None,
        predictions_bytes=None,
        bundle_digest=objects.put_tree(bundle),
        bundle_bytes=1,
        register=True,
    )
    with database.write() as session:
        runs.succeed(session, claimed.claim, finish)
        notes.state(session, settings, claimed.run_id)


def deliver(tracker: Tracker) -> None:
    while tracker.send():
        pass


def tracked(client: MlflowClient, run_id: str) -> TrackedRun:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id], f"tags.`{RUN_TAG}` = '{run_id}'")
    return found


def curve(client: MlflowClient, tracking_id: str, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client.get_metric_history(tracking_id, name)]


def send_everything_again(database: Database) -> None:
    """As after a keeper that was killed between sending and noting that it had sent."""
    with database.write() as session:
        session.execute(update(Outbox).values(sent_at=None, available_at=Outbox.created_at))
        session.execute(update(RunRow).values(tracking_id=None))


def test_a_finished_run_is_told_whole_and_only_once(
    database: Database,
    settings: WorkerSettings,
    objects: ObjectStore,
    tracker: Tracker,
    client: MlflowClient,
    claimed: ClaimedRun,
    bundle: Path,
    trained: Run,
) -> None:
    """Parameters, curves, report, bundle and registered model are there; all of it sent twice adds nothing."""
    deliver(tracker)
    assert tracked(client, claimed.run_id).info.status == "RUNNING"
    succeed(database, settings, objects, claimed, bundle, trained)
    for _ in range(2):
        deliver(tracker)
        run = tracked(client, claimed.run_id)
        assert run.info.status == "FINISHED"
        assert run.data.params["method.loss.temperature"] == "4.0"
        assert run.data.params["method.teachers.fusion.inputs"] == '["skeleton", "accelerometer"]'
        assert run.data.tags["pskd.seed"] == "7"
        assert curve(client, run.info.run_id, "student/total") == [(0, 2.5), (1, 1.5)]
        assert len(curve(client, run.info.run_id, "final/test/accuracy")) == 1
        files = {entry.path for entry in client.list_artifacts(run.info.run_id)}
        assert files >= {"result.json", "confusion_test.csv", "bundle"}
        plots = {entry.path: entry.file_size or 0 for entry in client.list_artifacts(run.info.run_id, "plots")}
        assert plots.keys() == {"plots/losses.png", "plots/confusion_test.png"}
        assert min(plots.values()) > 5000  # a drawing, and no empty canvas
        versions = client.search_model_versions(f"run_id = '{run.info.run_id}'")
        assert [(version.version, version.tags[RUN_TAG]) for version in versions] == [("1", claimed.run_id)]
        assert client.get_model_version_by_alias(versions[0].name, "champion").version == "1"
        send_everything_again(database)


def test_the_registered_model_loads_in_a_fresh_process_and_agrees(
    database: Database,
    settings: WorkerSettings,
    objects: ObjectStore,
    tracker: Tracker,
    client: MlflowClient,
    claimed: ClaimedRun,
    bundle: Path,
    trained: Run,
    tmp_path: Path,
) -> None:
    """`mlflow.pyfunc.load_model`, which knows nothing of this package, gives the probabilities of `classify`."""
    succeed(database, settings, objects, claimed, bundle, trained)
    deliver(tracker)
    (version,) = client.search_model_versions(f"run_id = '{tracked(client, claimed.run_id).info.run_id}'")
    served = Bundle.load(bundle)
    longest = served.info.durations_s.max * RATE_HZ  # what is longer, `classify` cuts into windows
    streams = (np.array(trained.dataset.stream("accelerometer", row)) for row in trained.fold.test)
    values = [each for each in streams if len(each) <= longest]
    assert len(values) > 1
    np.save(tmp_path / "windows.npy", np.stack([prepare_sensor(each, served.info.frames) for each in values]))
    command = [sys.executable, "-c", LOAD, f"models:/{version.name}@champion", "windows.npy", "answers.npz"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": settings.mlflow_url or "", "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run(command, check=True, cwd=tmp_path, env=environment, capture_output=True)
    answers = np.load(tmp_path / "answers.npz")["probabilities"]
    for probabilities, each in zip(answers, values, strict=True):
        told = classify(served, recording(each), top_k=len(served.info.classes)).probabilities
        assert told == pytest.approx(dict(zip(served.info.classes, probabilities.tolist(), strict=True)), abs=1e-6)


def recording(values: np.ndarray) -> SensorRecording:
    return SensorRecording(
        values_g=values.astype(np.float32),
        rate_hz=RATE_HZ,
        rate_found="stated",
        format="table",
        unit="g",
        columns=("x", "y", "z"),
        time_column=None,
        gravity=True,
        gaps=(),
        repairs=(),
        warnings=(),
    )


def test_a_server_that_is_down_loses_nothing(
    database: Database, objects: ObjectStore, tracker: Tracker, client: MlflowClient, claimed: ClaimedRun
) -> None:
    """Notes stay due, in order, while nobody answers, and all arrive afterwards."""
    absent = Tracker(database, objects, f"http://127.0.0.1:{free_port()}")
    for _ in range(2):
        with pytest.raises(MlflowException):
            absent.send()
    with database.write() as session:
        waiting = outbox.take(session, "mlflow", hold_s=0)
    assert [message.payload["op"] for message in waiting] == ["state", "epoch", "epoch"]
    deliver(tracker)
    assert curve(client, tracked(client, claimed.run_id).info.run_id, "student/total") == [(0, 2.5), (1, 1.5)]


def test_what_the_server_refuses_holds_nothing_up(
    database: Database,
    settings: WorkerSettings,
    tracker: Tracker,
    client: MlflowClient,
    claimed: ClaimedRun,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A note that MLflow will never take is logged and dropped; those behind it arrive, and so does a failure."""
    with database.write() as session:
        notes.epoch(session, settings, claimed.run_id, epoch=2, metrics={"x" * 300: 1.0})
        notes.epoch(session, settings, claimed.run_id, epoch=3, metrics={"student/total": 0.5})
        runs.fail(session, claimed.claim, cause=FailureCause.NAN_LOSS, detail="loss term ce of student is nan")
        notes.state(session, settings, claimed.run_id)
    deliver(tracker)
    run = tracked(client, claimed.run_id)
    assert curve(client, run.info.run_id, "student/total")[-1] == (3, 0.5)
    assert run.info.status == "FAILED"
    assert run.data.tags["pskd.cause"] == "nan_loss"
    assert [record.getMessage() for record in caplog.records if record.name == "worker.tracking"] == [
        f"note epoch of {claimed.run_id} is dropped"
    ]


def test_without_a_server_there_are_no_notes(database: Database, tmp_path: Path) -> None:
    """An installation without tracking does not pile up what nobody fetches."""
    with database.write() as session:
        notes.state(session, WorkerSettings(home=tmp_path), "run_1")
        assert outbox.take(session, "mlflow") == []


@pytest.mark.parametrize(
    ("spec", "leaves"),
    [
        ({"training": {"epochs": 3}, "name": "x"}, {"training.epochs": "3", "name": "x"}),
        ({"seeds": [0, 1], "protocol": None}, {"seeds": "[0, 1]", "protocol": "null"}),
        ({"teachers": [{"name": "a", "width": 4}]}, {"teachers.a.name": "a", "teachers.a.width": "4"}),
    ],
)
def test_parameters_are_the_leaves_of_the_spec(spec: Mapping[str, Any], leaves: Mapping[str, str]) -> None:
    """Each field has a path of its own, teachers by their names."""
    assert dict(flatten(spec)) == leaves


def test_the_confusion_matrix_is_a_table_with_names() -> None:
    """Rows are the true classes, and names with commas stay whole."""
    table = confusion_csv({"confusion": [[3, 1], [0, 2]]}, ["wave", "sit, stand"])
    assert table == 'true \\ predicted,wave,"sit, stand"\nwave,3,1\n"sit, stand",0,2\n'


def test_an_alias_follows(
    database: Database, settings: WorkerSettings, objects: ObjectStore, tracker: Tracker, client: MlflowClient,
    claimed: ClaimedRun, bundle: Path, trained: Run,
) -> None:  # fmt: skip
    """A promoted alias names the same version in MLflow once the note is delivered, and a deleted one is gone there."""
    succeed(database, settings, objects, claimed, bundle, trained)
    deliver(tracker)
    with database.write() as session:
        version = registry.version_of_run(session, claimed.run_id)
        assert version is not None
        model = session.get_one(Model, version.model_id)
        candidacy = promotion.consider(session, model.name, "canary", version.version)
        gate = promotion.judge(candidacy, lambda _digest: None)
        promotion.promote(session, candidacy, gate, actor="me")
    deliver(tracker)
    assert client.get_model_version_by_alias(model.name, "canary").tags[RUN_TAG] == claimed.run_id
    with database.write() as session:
        promotion.remove(session, model.name, "canary", revision=None, actor="me")
    deliver(tracker)
    assert set(client.get_registered_model(model.name).aliases) == {"champion"}
