"""The model behind LitServe: `python litserve_server.py MODEL PORT`, in an environment of its own."""

import sys
from typing import Any

import litserve
import numpy as np
import onnxruntime


class Classifier(litserve.LitAPI):
    """One window or more as nested lists in, their probabilities out."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model

    def setup(self, device: str) -> None:
        """Called once in the process that judges."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self._model, options)

    def decode_request(self, request: dict[str, Any]) -> Any:
        """The windows of a request."""
        return np.asarray(request["windows"], np.float32)

    def predict(self, windows: Any) -> Any:
        """Their probabilities."""
        return self._session.run(["probabilities"], {"windows": windows})[0]

    def encode_response(self, output: Any) -> dict[str, Any]:
        """The answer."""
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(sys.argv[1]), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False)
