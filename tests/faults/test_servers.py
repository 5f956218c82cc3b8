"""The broker, the tracking server and the database go away and come back: nothing is lost, nothing is done twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from mlflow import MlflowClient

from tests.integration.worker.stack import running, until
from tests.services import free_port, mlflow, short_folder, valkey
from worker.tracking import EXPERIMENT, RUN_TAG


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """A broker behind a unix socket can be stopped and started under the same address."""
    with short_folder("pskd-broker-") as folder:
        yield folder / "socket"


def test_a_broker_that_stops_or_forgets_delays_jobs_and_loses_none(
    tmp_path: Path, sqlite_url: str, socket_path: Path
) -> None:
    """Jobs submitted while the broker is down, and those whose nudges it forgot, run when it is back."""
    with running(tmp_path / "home", database_url=sqlite_url, broker_url=f"redis+socket://{socket_path}") as stack:
        stack.start("worker.keeper")
        stack.start("worker")
        stack.add_dataset()
        early = stack.submit()
        with valkey("--unixsocket", str(socket_path)):
            stack.wait_for_job(early, "succeeded")
        meanwhile = stack.submit()
        with valkey("--unixsocket", str(socket_path)):
            stack.wait_for_job(meanwhile, "succeeded")
            stack.processes[1].terminate()
            stack.processes[1].wait(20)
            forgotten = stack.submit()
            with redis.Redis(unix_socket_path=str(socket_path)) as client:
                until(lambda: client.llen("cpu"), what="the nudge")
                client.flushall()
            stack.start("worker")
            stack.wait_for_job(forgotten, "succeeded")


@pytest.mark.timeout(400)
def test_a_tracking_server_that_is_down_fails_nothing_and_catches_up(
    tmp_path: Path, sqlite_url: str, redis_url: str
) -> None:
    """A run succeeds without MLflow; when it comes, it gets the whole run and the registered model."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(tmp_path / "home", database_url=sqlite_url, broker_url=redis_url, mlflow_url=url) as stack:
        stack.start("worker")
        stack.start("worker.keeper")
        stack.add_dataset()
        job_id = stack.submit()
        stack.wait_for_job(job_id, "succeeded")
        (run,) = stack.runs(job_id)
        with mlflow(tmp_path / "mlflow", port=port):
            client = MlflowClient(tracking_uri=url, registry_uri=url)
            until(lambda: client.search_model_versions(f"tags.`{RUN_TAG}` = '{run.id}'"), what="the model")
            experiment = client.get_experiment_by_name(EXPERIMENT)
            assert experiment is not None
            finished = "attributes.status = 'FINISHED'"
            (tracked,) = until(lambda: client.search_runs([experiment.experiment_id], finished), what="the run's end")
            points = client.get_metric_history(tracked.info.run_id, "student/total")
            stored = {step: value for (name, step), value in stack.metrics(run.id).items() if name == "student/total"}
            assert {point.step: point.value for point in points} == stored
            assert len(points) == len(stored)
