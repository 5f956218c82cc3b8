"""The model behind BentoML: `bentoml serve bentoml_server:Classifier`, in an environment of its own."""

import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1)
class Classifier:
    """One window or more as nested lists in, their probabilities out."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["MODEL"], options)

    @bentoml.api
    def classify(self, windows: np.ndarray) -> np.ndarray:
        """Probabilities."""
        return self._session.run(["probabilities"], {"windows": windows.astype(np.float32)})[0]
