"""The model behind MLflow's scoring server: `python mlflow_server.py MODEL PORT`, in an environment of its own."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnxruntime
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

FLOAT = np.dtype(np.float32)


class Classifier(mlflow.pyfunc.PythonModel):
    """One window or more as nested lists in, their probabilities out."""

    def load_context(self, context: Any) -> None:
        """Called once in the process that judges."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(context.artifacts["model"], options)

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Probabilities."""
        return self._session.run(["probabilities"], {"windows": model_input})[0]


def main(model: str, port: str) -> None:
    """Write the model down as MLflow has it, and become its server."""
    folder = Path(tempfile.mkdtemp()) / "model"
    _, channels, frames = onnxruntime.InferenceSession(model).get_inputs()[0].shape
    signature = ModelSignature(
        Schema([TensorSpec(FLOAT, (-1, channels, frames))]), Schema([TensorSpec(FLOAT, (-1, -1))])
    )
    mlflow.pyfunc.save_model(
        folder, python_model=Classifier(), artifacts={"model": model}, signature=signature, pip_requirements=[]
    )
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(folder), "--env-manager", "local"]
    os.execv(sys.executable, [*command, "--host", "127.0.0.1", "--port", port, "--workers", "1"])  # nosec B606


if __name__ == "__main__":
    main(*sys.argv[1:])
