"""A recording in, a labelled timeline out."""

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from scipy.io import savemat

from api.main import create_app
from pskd_core.data.recordings import read_recording
from pskd_core.inference import Bundle, classify
from store.settings import Settings
from tests.integration.api.conftest import HERE
from tests.integration.api.stored import CLASSES, Stored, Trees
from tests.integration.api.test_conventions import problem

URL = "/v1/models/tiny/classify"
RATE_HZ = 50.0


@pytest.fixture(scope="module")
def service(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, trees: Trees) -> Iterator[TestClient]:
    """A service with two versions of the model `tiny`, for all tests of this file: none of them changes anything."""
    home = tmp_path_factory.mktemp("home")
    url = f"sqlite:///{shutil.copy(sqlite_template, home / 'pskd.db')}"
    settings = Settings(home=home, database_url=url, object_store_url=trees.url)
    stored = Stored(settings, trees)
    stored.dataset()
    stored.finished_job(seeds=[0, 1])
    stored.database.dispose()
    with TestClient(create_app(settings), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def resting(*axes: int, seconds: float = 3.0) -> np.ndarray:
    """A sensor at rest, for some seconds along each of these axes, in g."""
    return np.concatenate([np.tile(np.eye(3)[axis], (int(seconds * RATE_HZ), 1)) for axis in axes])


def as_csv(values: np.ndarray) -> bytes:
    """A table with times."""
    rows = [f"{place / RATE_HZ:.3f},{x},{y},{z}" for place, (x, y, z) in enumerate(values)]
    return "\n".join(["time (s),x (g),y (g),z (g)", *rows]).encode()


def as_npy(values: np.ndarray) -> bytes:
    """One array."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def as_npz(values: np.ndarray) -> bytes:
    """An archive of arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, accelerometer=values)
    return buffer.getvalue()


def as_mat(values: np.ndarray) -> bytes:
    """A file of UTD-MHAD's form: accelerometer and gyroscope."""
    buffer = io.BytesIO()
    savemat(buffer, {"d_iner": np.hstack([values, np.zeros_like(values)])})  # type: ignore[arg-type]  # the stub knows no files
    return buffer.getvalue()


FORMATS = {"walk.csv": as_csv, "walk.npy": as_npy, "walk.npz": as_npz, "walk.mat": as_mat}


@pytest.mark.parametrize("filename", FORMATS)
def test_every_format_is_read_as_a_form_and_as_a_body(service: TestClient, filename: str) -> None:
    """The same recording gets the same labels whatever file it comes in and however it is sent."""
    content = FORMATS[filename](resting(1))
    as_form = service.post(URL, files={"file": (filename, content)}, params={"rate_hz": RATE_HZ})
    kind = "text/csv" if filename.endswith("csv") else "application/octet-stream"
    as_body = service.post(URL, content=content, headers={"Content-Type": kind}, params={"rate_hz": RATE_HZ})
    assert as_form.status_code == 200, as_form.text
    assert as_form.json()["label"] == "along_y"
    assert as_form.json() == as_body.json()


def test_the_answer_is_the_offline_one(service: TestClient, tiny_bundle: Path) -> None:
    """Served probabilities are those of the bundle on this machine, and the model that answered is named."""
    content = as_csv(resting(0, 2, seconds=4.0))
    answer = service.post(URL, files={"file": ("walk.csv", content)}).json()
    offline = classify(Bundle.load(tiny_bundle), read_recording(content, filename="walk.csv")).model_dump(mode="json")
    model = answer.pop("model")
    assert answer == {name: value for name, value in offline.items() if name != "model"}
    assert {"name": "tiny", "version": 1, **offline["model"]} == model
    assert [segment["label"] for segment in answer["segments"]] == ["along_x", "along_z"]
    assert answer["input"]["rate_found"] == "timestamps"
    assert answer["warnings"]


def test_the_caller_may_know_better(service: TestClient) -> None:
    """Rate and unit can be stated, and how many classes are named can be chosen."""
    metres = as_npy(resting(0) * 9.80665)
    parameters: dict[str, Any] = {"rate_hz": 25, "unit": "m/s^2", "top_k": 2}
    headers = {"Content-Type": "application/octet-stream"}
    answer = service.post(URL, content=metres, params=parameters, headers=headers).json()
    understood = answer["input"]
    assert (understood["rate_hz"], understood["rate_found"], understood["unit"]) == (25, "stated", "m/s^2")
    assert understood["duration_s"] == pytest.approx(6.0)
    assert len(answer["probabilities"]) == 2
    assert answer["probabilities"]["along_x"] == pytest.approx(np.exp(10) / (np.exp(10) + 2), abs=1e-5)


def test_a_version_or_an_alias_may_be_asked(service: TestClient) -> None:
    """The champion answers unless another version is named."""
    content = {"file": ("walk.csv", as_csv(resting(0)))}
    for query, version in (("", 1), ("?version=2", 2), ("?alias=champion", 1)):
        assert service.post(URL + query, files=content).json()["model"]["version"] == version
    problem(service.post(URL + "?version=9", files=content), 404, "not-found")
    problem(service.post(URL + "?alias=nobody", files=content), 404, "not-found")
    both = problem(service.post(URL + "?alias=champion&version=1", files=content), 422, "invalid-request")
    assert both["errors"][0]["parameter"] == "alias"
    problem(service.post("/v1/models/nobody/classify", files=content), 404, "not-found")


def test_a_wrong_cell_is_named(service: TestClient) -> None:
    """A file that cannot be read names its row and column, so that its owner can mend it."""
    lines = as_csv(resting(0)).decode().splitlines()
    lines[40] = "0.78,0.1,oops,0.3"
    content = problem(service.post(URL, files={"file": ("walk.csv", "\n".join(lines).encode())}), 422, "unusable-data")
    assert (content["file"], content["row"]) == ("walk.csv", 41)
    assert "y" in content["column"]


@pytest.mark.parametrize(
    "content", [b"\x00" * 64, b"PK\x03\x04" + b"\x00" * 60, b"\x93NUMPY\x01\x00\xff\xff", b"x,y,z\n1,2,3\n", b"hello"]
)
def test_what_is_no_recording_is_refused(service: TestClient, content: bytes) -> None:
    """Damaged and foreign files are the sender's to mend, never a crash."""
    problem(service.post(URL, files={"file": ("walk.bin", content)}), 422, "unusable-data")


def test_a_pickle_is_never_loaded(service: TestClient, tmp_path: Path) -> None:
    """An array of objects would run its sender's code."""

    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[str, str]]:
            return (open, (str(tmp_path / "boom"), "w"))

    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb()], dtype=object), allow_pickle=True)
    problem(service.post(URL, files={"file": ("walk.npy", buffer.getvalue())}), 422, "unusable-data")
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("kind", ["application/json", "image/png", ""])
def test_another_type_is_refused(service: TestClient, kind: str) -> None:
    """415 names what is read here."""
    answer = service.post(URL, content=as_csv(resting(0)), headers={"Content-Type": kind})
    assert "text/csv" in problem(answer, 415, "unsupported-media-type")["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "rate_hz=0",
        "rate_hz=nan",
        "rate_hz=inf",
        "unit=furlong",
        "top_k=0",
        "version=0",
        "alias=",
        "overlap=1",
        "overlap=-0.1",
        "overlap=nan",
        "smooth_s=-1",
        "smooth_s=inf",
    ],
)
def test_wrong_parameters_are_named(service: TestClient, query: str) -> None:
    """Each parameter is checked before the recording is read."""
    answer = service.post(f"{URL}?{query}", files={"file": ("walk.csv", as_csv(resting(0)))})
    faults = problem(answer, 422, "invalid-request")["errors"]
    assert [fault["parameter"] for fault in faults] == [query.partition("=")[0]]


def test_an_empty_body_is_refused(service: TestClient) -> None:
    """Nothing is not a recording."""
    problem(service.post(URL, content=b"", headers={"Content-Type": "text/csv"}), 422, "invalid-request")
    problem(service.post(URL, files={"file": ("walk.csv", b"")}), 422, "invalid-request")


def test_labels_are_the_model_s_classes(service: TestClient) -> None:
    """All classes are named if asked for, and their probabilities sum to one."""
    answer = service.post(URL + "?top_k=100", files={"file": ("walk.csv", as_csv(resting(0, 1, 2)))}).json()
    assert set(answer["probabilities"]) == set(CLASSES)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("filename", FORMATS)
@pytest.mark.parametrize("value", [3e38, -3e38, 1e29])
def test_huge_values_are_the_sender_s(service: TestClient, filename: str, value: float) -> None:
    """A finite value in which every network would overflow is named in any format, and never a fault of the service."""
    values = resting(0)
    values[7, 2] = value
    answer = service.post(f"{URL}?rate_hz=50&unit=g", files={"file": (filename, FORMATS[filename](values))})
    assert problem(answer, 422, "unusable-data")["row"] == (9 if filename.endswith("csv") else 8)


def test_a_damaged_bundle_on_this_disk_is_not_the_caller_s(settings: Settings, stored: Stored, trees: Trees) -> None:
    """A spoilt local copy of a model is a fault of the service that tells no path, and the next request is answered."""
    stored.dataset()
    stored.finished_job(seeds=[0])
    (stored.objects.get_tree(trees.bundle_digest) / "bundle.json").unlink()
    content = {"file": ("walk.csv", as_csv(resting(0)))}
    with TestClient(create_app(settings), base_url=HERE, raise_server_exceptions=False) as fresh:
        fault = problem(fresh.post(URL, files=content), 500, "internal-error")
        assert "file" not in fault
        assert fresh.post(URL, files=content).status_code == 200


def test_segments_are_a_table_if_asked_for(service: TestClient) -> None:
    """`Accept: text/csv` gives a row a segment, the same that JSON has; what the model cannot say stays empty."""
    content = {"file": ("walk.csv", as_csv(resting(0, 2, seconds=4.0)))}
    table = service.post(URL, files=content, headers={"Accept": "text/csv"})
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    segments = service.post(URL, files=content).json()["segments"]
    assert [row["label"] for row in rows] == ["along_x", "along_z"]
    for row, segment in zip(rows, segments, strict=True):
        assert row == {name: "" if value is None else str(value) for name, value in segment.items()}


def test_overlap_and_smoothing_are_the_caller_s(service: TestClient) -> None:
    """More overlap makes more windows, and smoothing over the whole recording leaves one segment."""
    content = {"file": ("walk.csv", as_csv(resting(0, 0, 2, seconds=4.0)))}
    counts = [len(service.post(f"{URL}?overlap={each}", files=content).json()["windows"]) for each in (0, 0.5, 0.9)]
    assert counts == [6, 11, 51]
    assert len(service.post(f"{URL}?smooth_s=60", files=content).json()["segments"]) == 1
