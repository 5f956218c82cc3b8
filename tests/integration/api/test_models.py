"""Registered models over HTTP."""

import io
import zipfile
from pathlib import Path

import onnxruntime
import pytest
from fastapi.testclient import TestClient
from safetensors.numpy import load

from pskd_core.inference import Bundle
from tests.integration.api.conftest import ON_BOTH
from tests.integration.api.stored import CLASSES, Stored
from tests.integration.api.test_conventions import problem


@ON_BOTH
def test_finished_runs_are_versions(service: TestClient, stored: Stored) -> None:
    """Each run of a job becomes a version of one model; the first is the champion until somebody promotes."""
    stored.dataset()
    stored.finished_job(seeds=[0, 1])
    (model,) = service.get("/v1/models").json()["items"]
    assert (model["name"], model["aliases"], model["latest"]["version"]) == ("tiny", {"champion": 1}, 2)
    shown = service.get("/v1/models/tiny").json()
    assert [version["version"] for version in shown["items"]] == [2, 1]
    assert shown["items"][0]["metrics"]["test"] == {"accuracy": 0.75, "macro_f1": 0.75, "n": 12}


@ON_BOTH
def test_a_version_says_where_it_comes_from(service: TestClient, stored: Stored) -> None:
    """Job, run, seed, fold, dataset and classes lead back to what made the model."""
    stored.dataset()
    job_id = stored.finished_job(seeds=[5])
    shown = service.get("/v1/models/tiny/versions/1").json()
    (run,) = service.get(f"/v1/jobs/{job_id}/runs").json()["items"]
    assert (shown["job_id"], shown["run_id"], shown["seed"], shown["fold"]) == (job_id, run["id"], 5, "all")
    assert (shown["dataset_name"], shown["protocol"], shown["aliases"]) == ("tiny", "cross_subject", ["champion"])
    assert shown["classes"] == list(CLASSES)


@pytest.mark.parametrize("path", ["nobody", "nobody/versions/1", "tiny/versions/9", "tiny/versions/9/download"])
def test_unknown_models_and_versions(service: TestClient, stored: Stored, path: str) -> None:
    """What is not registered is a 404."""
    stored.dataset()
    stored.finished_job()
    problem(service.get(f"/v1/models/{path}"), 404, "not-found")


def test_downloads_are_the_files_that_were_exported(
    service: TestClient, stored: Stored, tiny_bundle: Path, tmp_path: Path
) -> None:
    """The network runs, the weights load, and the bundle classifies anywhere; equal requests get equal bytes."""
    stored.dataset()
    stored.finished_job()
    url = "/v1/models/tiny/versions/1/download"
    network = service.get(url, params={"format": "onnx"})
    assert network.content == (tiny_bundle / "model.onnx").read_bytes()
    assert network.headers["content-length"] == str(len(network.content))
    assert network.headers["content-disposition"] == 'attachment; filename="tiny-1.onnx"'
    assert onnxruntime.InferenceSession(network.content).get_inputs()[0].name == "windows"
    assert list(load(service.get(url, params={"format": "safetensors"}).content)) == ["scale"]
    bundle = service.get(url)
    assert bundle.headers["content-type"] == "application/zip"
    assert bundle.content == service.get(url, params={"format": "bundle"}).content
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as archive:
        archive.extractall(tmp_path)
    assert Bundle.load(tmp_path).info.classes == CLASSES


@pytest.mark.parametrize(("query", "parameter"), [("?format=pickle", "format"), ("?format=", "format")])
def test_an_unknown_format_is_refused(service: TestClient, query: str, parameter: str) -> None:
    """Only what is safe to load is offered."""
    faults = problem(service.get(f"/v1/models/m/versions/1/download{query}"), 422, "invalid-request")["errors"]
    assert [fault["parameter"] for fault in faults] == [parameter]


@pytest.mark.parametrize("version", ["0", "-1", "x", "99999999999"])
def test_a_version_is_a_number(service: TestClient, version: str) -> None:
    """What cannot be a version is refused before the database is asked."""
    problem(service.get(f"/v1/models/m/versions/{version}"), 422, "invalid-request")
