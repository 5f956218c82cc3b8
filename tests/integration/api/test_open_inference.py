"""The Open Inference Protocol: metadata, readiness, and the probabilities that classify gives."""

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.integration.api.stored import CLASSES, FRAMES
from tests.integration.api.test_classify import resting, service  # noqa: F401
from tests.integration.api.test_conventions import problem
from tests.integration.api.test_floats import ask

MODEL = "/v2/models/tiny"


def windows(count: int) -> np.ndarray:
    """Along x, y, z, x, … as a prepared window has it, (n, 3, T)."""
    return np.stack([np.tile(np.eye(3)[place % 3][:, None], (1, FRAMES)) for place in range(count)])


def request_of(values: np.ndarray, *, flat: bool = True, **fields: Any) -> dict[str, Any]:
    data = values.ravel().tolist() if flat else values.tolist()
    given = {"name": "windows", "shape": list(values.shape), "datatype": "FP32", "data": data}
    return {"id": "42", "inputs": [given]} | fields


def test_the_server_and_its_models_describe_themselves(service: TestClient) -> None:  # noqa: F811
    """Names, versions, shapes with any number of windows; what is ready says so."""
    assert service.get("/v2").json() == {"name": "pskd", "version": "2", "extensions": []}
    assert service.get("/v2/health/live").json() == {"live": True}
    assert service.get("/v2/health/ready").json() == {"ready": True}
    told = service.get(MODEL).json()
    assert (told["name"], told["platform"]) == ("tiny", "onnxruntime_onnx")
    assert told["inputs"] == [{"name": "windows", "datatype": "FP32", "shape": [-1, 3, FRAMES]}]
    assert {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(CLASSES)]} in told["outputs"]
    for version in ("1", "2"):
        assert service.get(f"{MODEL}/versions/{version}").json()["versions"] == [version]
        assert service.get(f"{MODEL}/versions/{version}/ready").json() == {"name": "tiny", "ready": True}
    assert service.get(f"{MODEL}/ready").json()["ready"]


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("count", [1, 3, 1024])
def test_windows_get_the_network_s_probabilities(
    service: TestClient,  # noqa: F811
    flat: bool,
    count: int,
) -> None:
    """Flat or nested, one or a thousand: what the network itself says, in order and under the request's id."""
    values = windows(count)
    told = service.post(f"{MODEL}/versions/1/infer", json=request_of(values, flat=flat)).json()
    assert (told["model_name"], told["model_version"], told["id"]) == ("tiny", "1", "42")
    found = {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in told["outputs"]}
    assert found["probabilities"].argmax(axis=1).tolist() == [place % 3 for place in range(count)]
    assert found["probabilities"].sum(axis=1) == pytest.approx(1)
    if count == 1:
        same = ask(service, resting(0, seconds=2.0)).json()["windows"][0]["probabilities"]
        assert dict(zip(CLASSES, found["probabilities"][0], strict=True)) == pytest.approx(same, abs=1e-5)


def test_only_the_outputs_that_are_wanted_come(service: TestClient) -> None:  # noqa: F811
    """In the order in which they are wanted."""
    told = service.post(f"{MODEL}/infer", json=request_of(windows(2), outputs=[{"name": "probabilities"}])).json()
    assert [each["name"] for each in told["outputs"]] == ["probabilities"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": "window"}, "/inputs"),
        ({"datatype": "FP64"}, "/inputs/0/datatype"),
        ({"shape": [2, 3, FRAMES + 1]}, "/inputs/0/shape"),
        ({"shape": [0, 3, FRAMES]}, "/inputs/0/shape"),
        ({"shape": [1025, 3, FRAMES]}, "/inputs/0/shape"),
        ({"data": [0.0]}, "/inputs/0/data"),
        ({"data": [[1.0], [1.0, 2.0]]}, "/inputs/0/data"),
        ({"data": ["1"] * (2 * 3 * FRAMES)}, "/inputs/0/data"),
        ({"data": [1e9] * (2 * 3 * FRAMES)}, "/inputs/0/data"),
        ({"shape": None}, "/inputs/0/shape"),
    ],
)
def test_a_wrong_tensor_is_pointed_at(service: TestClient, change: dict[str, Any], pointer: str) -> None:  # noqa: F811
    """Name, type, shape and numbers; the pointer leads to what is wrong."""
    body = request_of(windows(2))
    body["inputs"][0] |= change
    faults = problem(service.post(f"{MODEL}/infer", json=body), 422, "invalid-request")["errors"]
    assert faults[0]["pointer"] == pointer


def test_what_is_not_there_or_not_json_is_refused(service: TestClient) -> None:  # noqa: F811
    """An unknown model, version or output, a body that is none, and numbers that JSON does not have."""
    for path in ("/v2/models/none", f"{MODEL}/versions/9", f"{MODEL}/versions/x", f"{MODEL}/versions/0"):
        problem(service.get(path), 404, "not-found")
    body = request_of(windows(1), outputs=[{"name": "colour"}])
    (fault,) = problem(service.post(f"{MODEL}/infer", json=body), 422, "invalid-request")["errors"]
    assert fault["pointer"] == "/outputs/0/name"
    headers = {"Content-Type": "application/json"}
    for content in (b"{", b'{"inputs": [NaN]}', b"\xff"):
        problem(service.post(f"{MODEL}/infer", content=content, headers=headers), 400, "malformed-request")
    problem(
        service.post(f"{MODEL}/infer", content=b"{}", headers={"Content-Type": "text/plain"}),
        415,
        "unsupported-media-type",
    )
