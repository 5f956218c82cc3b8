"""The cluster, process by process: whichever of them is killed, jobs and requests go on."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import fsspec
import httpx
import numpy as np
import psycopg
import pytest
from mlflow import MlflowClient

from store.collect import collect
from tests.faults import audit
from tests.faults.checker import History, Request, check
from tests.integration.worker.stack import Stack, running, until
from tests.services import free_port, s3_server
from tests.small import SMALL_SOURCE, SMALL_SPEC
from worker.tracking import EXPERIMENT

pytestmark = pytest.mark.timeout(400)  # two workers, MLflow, and a machine that is busy with other tests

PARTS = ("api0", "api1", "worker0", "worker1", "keeper0")
MODULES = {"api": "api", "worker": "worker", "keeper": "worker.keeper"}
SPEC = {**SMALL_SPEC, "method": {"kind": "none"}, "dataset": "made", "training": {"epochs": 12, "batch_size": 8}}
RECORDING = "x (g),y (g),z (g)\n" + "\n".join(f"{np.sin(n / 4):.4f},0,1" for n in range(200))


@dataclass
class Cluster:
    """Each process as on a machine of its own: with its own caches and unfinished files."""

    stack: Stack
    ports: dict[str, int] = field(default_factory=lambda: {"api0": free_port(), "api1": free_port()})
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # by what a run calls its worker: its process's name
    requests: list[Request] = field(default_factory=list)

    def start(self, part: str) -> None:
        home = self.stack.settings.home / part
        own = {"home": home, "cache_dir": home / "cache", "scratch_dir": home / "scratch"}
        port = {"port": self.ports[part]} if part in self.ports else {}
        self.running[part] = process = self.stack.start(MODULES[part[:-1]], **own, **port)
        if part.startswith("worker"):
            self.names[f"{socket.gethostname()}:{process.pid}"] = f"worker-{len(self.stack.processes) - 1}"

    def answers(self, part: str) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.ports[part]}/livez").is_success
        return False

    def kill(self, part: str) -> None:
        self.running[part].kill()
        self.running[part].wait()

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Of whichever API answers, as a client behind a gateway does."""

        def answered() -> httpx.Response | None:
            for port in self.ports.values():
                with suppress(httpx.TransportError):
                    return httpx.request(method, f"http://127.0.0.1:{port}{path}", timeout=10, **more)
            return None

        answer = until(answered, what="an API that answers")
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def submit(self, name: str) -> str:
        told = self.ask("POST", "/v1/jobs", json=SPEC | {"name": name}, headers={"Idempotency-Key": name})
        self.requests.append(Request("submit", name, told["id"], 202, told["state"], time.time()))
        return str(told["id"])

    def classify(self, part: str) -> dict[str, Any]:
        """By one API in particular."""
        url = f"http://127.0.0.1:{self.ports[part]}/v1/models/first/classify"
        answer = httpx.post(url, content=RECORDING, params={"rate_hz": 50}, headers={"Content-Type": "text/csv"})
        assert answer.is_success, answer.text
        told: dict[str, Any] = answer.json()
        return told


@pytest.fixture
def cluster(
    tmp_path: Path, postgresql_url: str, redis_url: str, mlflow_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """Everything runs, and a dataset is ready."""
    with ExitStack() as ends:
        s3 = ends.enter_context(s3_server())
        process = s3.launch()
        ends.callback(s3.stop)
        for name, value in environment(s3.url).items():
            monkeypatch.setenv(name, value)
        fsspec.filesystem("s3").clear_instance_cache()  # what another test made keeps its endpoint
        ends.callback(fsspec.filesystem("s3").clear_instance_cache)
        with psycopg.connect(postgresql_url.replace("+psycopg", "")) as connection:
            audit.install(connection)
        urls = {
            "object_store_url": "s3://pskd/cluster",
            "mlflow_url": mlflow_url,
            "checkpoint_every_s": 0.3,
            "collect_s": 1.0,
        }
        broker = f"{redis_url.removesuffix('/0')}/15"
        stack = ends.enter_context(running(tmp_path / "home", database_url=postgresql_url, broker_url=broker, **urls))
        cluster = Cluster(stack)
        for part in PARTS:
            cluster.start(part)
        until(s3.answers, what="the S3 server")
        assert process.poll() is None
        boto3.client("s3", endpoint_url=s3.url).create_bucket(Bucket="pskd")
        cluster.ask("POST", "/v1/datasets", json={"name": "made", "source": SMALL_SOURCE.model_dump(mode="json")})
        yield cluster


def environment(s3_url: str) -> dict[str, str]:
    """What operators tell of their S3 server."""
    return {
        "AWS_ENDPOINT_URL_S3": s3_url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def test_whichever_process_is_killed_jobs_and_requests_go_on(cluster: Cluster, mlflow_url: str) -> None:
    """Each of the five is killed in turn while runs train: all end with the same bits, and nothing is left over."""
    stack = cluster.stack
    jobs = [cluster.submit("first")]
    stack.wait_for_job(jobs[0], "succeeded", "failed")
    expected = cluster.classify("api0")
    assert cluster.classify("api1") == expected
    for part in PARTS:
        # One for each worker, so that the one which is killed has one.
        mine = [cluster.submit(f"{part}-{number}") for number in range(2 if part.startswith("worker") else 1)]
        for job_id in mine:
            stack.wait_for_epoch(job_id, 1)
        cluster.kill(part)
        for other in cluster.ports.keys() - {part}:
            until(lambda other=other: cluster.answers(other), what="an API that was started again")  # type: ignore[misc]
            assert cluster.classify(other) == expected
        assert cluster.ask("GET", f"/v1/jobs/{mine[0]}")["id"] == mine[0]
        jobs += mine
        for job_id in mine:
            stack.wait_for_job(job_id, "succeeded", "failed")
        cluster.start(part)
    assert [stack.job(job_id).state for job_id in jobs] == ["succeeded"] * len(jobs)
    runs = [run for job_id in jobs for run in stack.runs(job_id)]
    assert len({run.predictions_digest for run in runs}) == 1
    assert len({json.dumps(run.result, sort_keys=True) for run in runs}) == 1
    assert sum(run.attempts > 1 for run in runs) == 2
    assert_in_tracker(mlflow_url, runs[0].id)
    assert_nothing_is_broken(cluster)
    assert_caches_forget(cluster, jobs)
    assert_nothing_is_left(cluster)


def assert_in_tracker(url: str, run_id: str) -> None:
    """MLflow has the run's end."""
    client = MlflowClient(tracking_uri=url, registry_uri=url)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    ended = f"attributes.status = 'FINISHED' and tags.`pskd.run_id` = '{run_id}'"
    until(lambda: client.search_runs([experiment.experiment_id], ended), what="the run's end in MLflow")


def history_of(cluster: Cluster) -> History:
    recorded = audit.Recorded(cluster.requests, cluster.names, healed_at=time.time(), patience_s=0.0)
    return audit.history(cluster.stack.database, cluster.stack.objects, recorded)


def assert_nothing_is_broken(cluster: Cluster) -> None:
    assert check(history_of(cluster)) == []


def assert_caches_forget(cluster: Cluster, jobs: list[str]) -> None:
    """Each process removes its copies of what was deleted, and only those: workers keep the dataset's."""

    def copies() -> dict[str, int]:
        return {part: len(list(trees_of(part))) for part in PARTS}

    def trees_of(part: str) -> Iterator[Path]:
        return (cluster.stack.settings.home / part / "cache").glob("trees/[0-9a-f]*")

    assert min(copies()[part] for part in ("api0", "api1")) > 1  # the dataset, to plan with, and a model
    for part in PARTS:
        for tree in trees_of(part):
            os.utime(tree, (0, 0))
    models = [model["name"] for model in cluster.ask("GET", "/v1/models")["items"]]
    for path in [f"models/{name}" for name in models] + [f"jobs/{job_id}" for job_id in jobs]:
        cluster.ask("DELETE", f"/v1/{path}", params={"force": "true"})
    until(lambda: max(copies().values()) == 1, what="the end of copies")


def assert_nothing_is_left(cluster: Cluster) -> None:
    for part in cluster.running:
        cluster.kill(part)
    collect(cluster.stack.database, cluster.stack.objects, grace_s=0.0)
    named = {digest for digests in history_of(cluster).named.values() for digest in digests}
    assert {each.digest for each in cluster.stack.objects.stored()} == named
