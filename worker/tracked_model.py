"""A bundle as a model of MLflow: ONNX with a signature, which `mlflow.pyfunc.load_model` loads anywhere."""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of its own types when it is imported
    import mlflow.onnx
    import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.types import Schema, TensorSpec

from pskd_core.bundle import MODEL_FILE, BundleInfo

_NAME = "student"
_FLOAT = np.dtype(np.float32)


def register(
    client: MlflowClient,
    bundle: Path,
    tracking_id: str,
    *,
    name: str,
    tags: Mapping[str, str],
    aliases: Sequence[str],
) -> None:
    """Log the bundle under its run and make it the next version of `name`, unless the run has one already."""
    found = client.search_model_versions(f"name = '{name}' and run_id = '{tracking_id}'", max_results=1)
    number = found[0].version if found else _register(client, bundle, tracking_id, name, tags)
    for alias in aliases:
        client.set_registered_model_alias(name, alias, str(number))


def _register(client: MlflowClient, bundle: Path, tracking_id: str, name: str, tags: Mapping[str, str]) -> str:
    _ensure_model(client, name)
    model_id = _log(client, bundle, tracking_id, tags)
    made = client.create_model_version(
        name, f"models:/{model_id}", run_id=tracking_id, tags=dict(tags), model_id=model_id
    )
    return str(made.version)


def _ensure_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


def _log(client: MlflowClient, bundle: Path, tracking_id: str, tags: Mapping[str, str]) -> str:
    run = client.get_run(tracking_id)
    logged = client.create_logged_model(
        run.info.experiment_id, name=_NAME, source_run_id=tracking_id, tags=dict(tags), model_type="classifier"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        save(bundle, folder)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(tracking_id, [LoggedModelOutput(logged.model_id, step=0)])
    return str(logged.model_id)


def save(bundle: Path, folder: Path) -> None:
    """Write the bundle's network as an MLflow model folder."""
    info = BundleInfo.read(bundle)
    channels, network = 3 * len(info.inputs), onnx.load(bundle / MODEL_FILE)
    widths = {"logits": (len(info.classes),), "probabilities": (len(info.classes),), "distance": ()}
    signature = ModelSignature(
        inputs=Schema([TensorSpec(_FLOAT, (-1, channels, info.frames), "windows")]),
        outputs=Schema([TensorSpec(_FLOAT, (-1, *widths[each.name]), each.name) for each in network.graph.output]),
    )
    mlflow.onnx.save_model(
        network,
        str(folder),
        signature=signature,
        input_example=np.zeros((2, channels, info.frames), np.float32),
        pip_requirements=[f"{package}=={version(package)}" for package in ("mlflow", "numpy", "onnx", "onnxruntime")],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
        metadata=info.model_dump(mode="json", include={"classes", "inputs", "frames", "unit", "dataset", "test"}),
    )
