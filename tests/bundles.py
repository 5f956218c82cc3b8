"""A real ONNX model that is known by heart, as a bundle, and recordings to ask it about."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pskd_core.bundle import MODEL_FILE, BundleInfo, Durations, Figures
from pskd_core.data.recordings import SensorRecording
from pskd_core.inference import Bundle
from pskd_core.shapes import FloatArray

RATE_HZ = 50.0
FRAMES = 128
SHARPNESS = 4.0


def bundle_info(**fields: Any) -> BundleInfo:
    given: dict[str, Any] = {
        "classes": ("x", "y", "z"),
        "inputs": ("accelerometer",),
        "frames": FRAMES,
        "durations_s": Durations(min=2.14, median=3.6, max=6.52),
        "gravity": True,
        "dataset": "made",
        "dataset_digest": "0" * 64,
        "protocol": {"kind": "named", "name": "cross_subject"},
        "spec": {"seeds": [0]},
        "seed": 0,
        "fold": "all",
        "test": Figures(accuracy=0.9, macro_f1=0.88, n=430),
        "parameters": 9,
        "macs": 9,
        "opset": 20,
        "created_by": "tests",
    }
    return BundleInfo(**(given | fields))


def write_model(file: Path, *, channels: int = 3, frames: int = FRAMES, distance: bool = False) -> None:
    """A model that names the axis with the largest mean: logits are 4 g⁻¹ times the mean vector.

    The distance, if it has that output, is the largest mean in g.
    """
    weights = np.zeros((channels, 3), np.float32)
    weights[:3] = SHARPNESS * np.eye(3, dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["windows", "time_axis"], ["means"], keepdims=0),
            helper.make_node("MatMul", ["means", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
            *([helper.make_node("ReduceMax", ["means", "channel_axis"], ["distance"], keepdims=0)] if distance else []),
        ],
        "mean_axis",
        [helper.make_tensor_value_info("windows", TensorProto.FLOAT, ["N", channels, frames])],
        [
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in ("logits", "probabilities")),
            *([helper.make_tensor_value_info("distance", TensorProto.FLOAT, ["N"])] if distance else []),
        ],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([2]), "time_axis"),
            numpy_helper.from_array(np.array([1]), "channel_axis"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), file)


def made_bundle(directory: Path, **fields: Any) -> Bundle:
    info = bundle_info(**fields)
    info.write(directory)
    write_model(directory / MODEL_FILE, channels=3 * len(info.inputs), distance=info.calibration is not None)
    return Bundle.load(directory)


def recording(values_g: FloatArray, *, rate_hz: float = RATE_HZ, **fields: Any) -> SensorRecording:
    given: dict[str, Any] = {
        "rate_found": "stated",
        "format": "table",
        "unit": "g",
        "columns": ("x", "y", "z"),
        "time_column": None,
        "gravity": True,
        "gaps": (),
        "repairs": (),
        "warnings": (),
    }
    return SensorRecording(values_g=values_g, rate_hz=rate_hz, **(given | fields))


def still(axis: int, seconds: float) -> FloatArray:
    """1 g along one axis."""
    return np.tile(np.eye(3, dtype=np.float32)[axis], (round(seconds * RATE_HZ), 1))


def noise(n: int) -> FloatArray:
    return np.random.default_rng(0).standard_normal((n, 3), np.float32)


def softmax(logits: FloatArray) -> FloatArray:
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))
