"""Datasets: import, list, look at recordings."""

import hashlib
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from pskd_core.data.columnar import Dataset
from store import datasets
from store.settings import Settings
from tests.integration.api.conftest import HERE, ON_BOTH
from tests.integration.api.stored import Stored, Trees
from tests.integration.api.test_conventions import problem


def a_zip(*, size: int = 1000) -> bytes:
    """A small zip; the API does not look into it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("Inertial/a1_s1_t1_inertial.mat", bytes(size))
    return buffer.getvalue()


@ON_BOTH
def test_an_uploaded_zip_waits_for_its_import(service: TestClient, stored: Stored) -> None:
    """The upload's bytes are in the object store under their digest, and a worker is woken with the dataset."""
    content = a_zip()
    answer = service.post("/v1/datasets", files={"file": ("UTD MHAD.zip", content)}, data={"name": "utd"})
    assert answer.status_code == 202
    created = answer.json()
    assert answer.headers["location"] == f"/v1/datasets/{created['id']}"
    assert (created["name"], created["state"], created["report"]) == ("utd", "validating", None)
    assert service.get(answer.headers["location"]).json() == created
    with stored.database.write() as session:
        claimed = datasets.claim_import(session, worker="w", lease_s=60)
    assert claimed is not None
    assert claimed.source == {"kind": "upload", "filename": "UTD MHAD.zip"}
    assert claimed.upload_digest is not None
    assert stored.objects.get_bytes(claimed.upload_digest) == content


def test_an_upload_without_a_name_takes_the_file_s(service: TestClient, settings: Settings) -> None:
    """A browser's form needs one field, and nothing of it stays on the disk beside the object store."""
    created = service.post("/v1/datasets", files={"file": ("../../etc/UTD-MHAD.zip", a_zip())}).json()
    assert created["name"] == "UTD-MHAD"
    assert list((settings.cache_dir / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("form", "pointer"),
    [
        ({"files": {"file": ("d.zip", b"")}}, "/file"),
        ({"files": {"other": ("d.zip", b"PK")}}, "/file"),
        ({"files": {"file": ("d.zip", b"PK")}, "data": {"name": "a/b"}}, "/name"),
        ({"files": {"file": ("d.zip", b"PK")}, "data": {"name": "x" * 201}}, "/name"),
        ({"files": {"file": ("d.zip", b"PK")}, "data": {"name": "utd", "layuot": "utd"}}, "/layuot"),
    ],
)
def test_a_wrong_form_is_pointed_at(service: TestClient, form: dict[str, dict[str, object]], pointer: str) -> None:
    """An empty or missing file, an unusable name and a field that nobody reads are refused; nothing is stored."""
    answer = service.post("/v1/datasets", **form)  # type: ignore[arg-type]
    faults = problem(answer, 422, "invalid-request")["errors"]
    assert [fault["pointer"] for fault in faults] == [pointer]


def test_names_in_an_odd_encoding_can_be_stored_and_shown(service: TestClient) -> None:
    """A form in UTF-7 can name half a surrogate pair, which neither a database nor an answer can hold."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="+2AA-.zip"\r\n\r\nPK\r\n--b--\r\n'
    kind = "multipart/form-data; boundary=b; charset=utf-7"
    answer = service.post("/v1/datasets", content=part, headers={"Content-Type": kind})
    assert answer.status_code == 202
    assert service.get(answer.headers["location"]).json()["source"]["filename"] == "?.zip"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=b", b"no form"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
    ],
)
def test_a_damaged_form_is_malformed(service: TestClient, kind: str, body: bytes) -> None:
    """A form that cannot be read is told so."""
    answer = service.post("/v1/datasets", content=body, headers={"Content-Type": kind})
    problem(answer, 400, "malformed-request")


def test_an_upload_is_counted_while_it_streams(settings: Settings) -> None:
    """An upload beyond the operator's limit is cut off, and leaves nothing behind."""
    small = settings.model_copy(update={"max_upload_bytes": 100_000})
    with TestClient(create_app(small), base_url=HERE) as service:
        answer = service.post("/v1/datasets", files={"file": ("d.zip", a_zip(size=200_000))})
        problem(answer, 413, "body-too-large")
        assert service.post("/v1/datasets", files={"file": ("d.zip", a_zip(size=50_000))}).status_code == 202
    assert list((settings.cache_dir / "uploads").iterdir()) == []


def test_a_recipe_is_kept_as_it_was_given(service: TestClient) -> None:
    """The synthetic dataset is asked for by its recipe, with defaults filled in."""
    source = {"kind": "synthetic", "subjects": 4, "trials": 2}
    created = service.post("/v1/datasets", json={"name": "made", "source": source}).json()
    assert created["source"] == {"kind": "synthetic", "subjects": 4, "trials": 2, "classes": 6, "seed": 0}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "d", "source": {"kind": "synthetic", "subjects": 1}}, "/source/subjects"),
        ({"name": "d", "source": {"kind": "synthetic", "colour": "red"}}, "/source/colour"),
        ({"name": "d", "source": {"kind": "path", "path": "relative/folder"}}, "/source/path"),
        ({"name": "d", "source": {"kind": "path"}}, "/source/path"),
        ({"name": "d", "source": {"kind": "web"}}, "/source"),
        ({"name": "", "source": {"kind": "synthetic"}}, "/name"),
        ({"source": {"kind": "synthetic"}}, "/name"),
    ],
)
def test_a_wrong_source_is_pointed_at(service: TestClient, body: dict[str, object], pointer: str) -> None:
    """Each fault of an import request has its place."""
    faults = problem(service.post("/v1/datasets", json=body), 422, "invalid-request")["errors"]
    assert [fault["pointer"] for fault in faults] == [pointer]


def test_paths_are_the_operator_s_to_allow(settings: Settings, tmp_path: Path) -> None:
    """A request may name a folder of the server only where that was allowed."""
    body = {"name": "d", "source": {"kind": "path", "path": str(tmp_path)}}
    with TestClient(create_app(settings), base_url=HERE) as service:
        problem(service.post("/v1/datasets", json=body), 403, "forbidden")
    allowing = settings.model_copy(update={"allow_path_import": True})
    with TestClient(create_app(allowing), base_url=HERE) as service:
        assert service.post("/v1/datasets", json=body).json()["source"]["path"] == str(tmp_path)


@ON_BOTH
def test_a_name_is_taken_until_its_import_fails(service: TestClient, stored: Stored) -> None:
    """Two live datasets of one name would make `dataset: name` ambiguous; a failed one may be tried again."""
    body = {"name": "d", "source": {"kind": "synthetic"}}
    failed = service.post("/v1/datasets", json=body).json()
    problem(service.post("/v1/datasets", json=body), 409, "conflict")
    stored.fail_import("Inertial/a1_s1_t1_inertial.mat: not a MAT file")
    assert service.post("/v1/datasets", json=body).status_code == 202
    shown = service.get(f"/v1/datasets/{failed['id']}").json()
    assert (shown["state"], shown["cause"]) == ("failed", "data")
    assert "not a MAT file" in shown["detail"]
    assert [dataset["id"] for dataset in service.get("/v1/datasets?state=failed").json()["items"]] == [failed["id"]]


@ON_BOTH
def test_a_ready_dataset_says_what_is_in_it(service: TestClient, stored: Stored) -> None:
    """Classes, subjects, protocols with their sizes and problems are there for a person to judge."""
    shown = service.get(f"/v1/datasets/{stored.dataset()}").json()
    report = shown["report"]
    assert shown["recordings"] == report["recordings"] == 24
    assert sum(report["classes"].values()) == sum(report["subjects"].values()) == 24
    assert report["protocols"]["cross_subject"] == {"train": 12, "test": 12, "missing": []}
    assert report["problems"] == []
    assert shown["digest"] == report["digest"]


def test_recordings_come_in_pages(service: TestClient, stored: Stored, trees: Trees) -> None:
    """Pages hold every recording once, in the order of the import."""
    dataset_id, seen, cursor = stored.dataset(), [], ""
    while True:
        page = service.get(f"/v1/datasets/{dataset_id}/recordings?limit=10{cursor}").json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    opened = Dataset.open(trees.dataset)
    assert [each["id"] for each in seen] == [meta.id for meta in opened.recordings]
    assert seen[0]["label"] == opened.info.classes[opened.recordings[0].label]


def test_a_recording_is_the_one_on_disk(service: TestClient, stored: Stored, trees: Trees) -> None:
    """The series that a plot gets are the dataset's own samples."""
    dataset_id, opened = stored.dataset(), Dataset.open(trees.dataset)
    meta = opened.recordings[5]
    shown = service.get(f"/v1/datasets/{dataset_id}/recordings/{meta.id}?points=5000").json()
    np.testing.assert_allclose(shown["series"]["accelerometer"]["values"], opened.stream("accelerometer", 5), atol=1e-5)
    np.testing.assert_allclose(shown["series"]["skeleton"]["values"], opened.stream("skeleton", 5), atol=1e-5)
    assert len(shown["skeleton"]["joints"]) == np.shape(shown["series"]["skeleton"]["values"])[1]
    problem(service.get(f"/v1/datasets/{dataset_id}/recordings/nobody"), 404, "not-found")


def test_recordings_of_a_dataset_that_is_not_ready(service: TestClient) -> None:
    """There is nothing to see yet, and the answer says why."""
    created = service.post("/v1/datasets", json={"name": "d", "source": {"kind": "synthetic"}}).json()
    answer = service.get(f"/v1/datasets/{created['id']}/recordings")
    assert "validating" in problem(answer, 409, "conflict")["detail"]


@ON_BOTH
@pytest.mark.parametrize("form", [{"data": {"name": "utd"}}, {}])
def test_an_upload_of_a_taken_name_is_not_stored(
    service: TestClient, stored: Stored, form: dict[str, dict[str, str]]
) -> None:
    """Whether a field or the file names the dataset, it is refused before its bytes go to the object store."""
    service.post("/v1/datasets", files={"file": ("utd.zip", a_zip())}, data={"name": "utd"})
    content = os.urandom(1000)  # all tests share one object store
    answer = service.post("/v1/datasets", files={"file": ("utd.zip", content)}, **form)  # type: ignore[arg-type]
    problem(answer, 409, "conflict")
    assert not stored.objects.exists(hashlib.sha256(content).hexdigest())
    stored.fail_import("not a MAT file")
    assert service.post("/v1/datasets", files={"file": ("utd.zip", content)}).status_code == 202


def test_a_repeated_upload_is_no_conflict_with_itself(service: TestClient) -> None:
    """The early look at the name does not stand between a repetition and the first answer."""
    upload = {"files": {"file": ("d.zip", a_zip())}, "data": {"name": "utd"}, "headers": {"Idempotency-Key": "k"}}
    first = service.post("/v1/datasets", **upload)  # type: ignore[arg-type]
    again = service.post("/v1/datasets", **upload)  # type: ignore[arg-type]
    assert (again.status_code, again.content) == (202, first.content)
    other = upload | {"headers": {"Idempotency-Key": "other"}}
    problem(service.post("/v1/datasets", **other), 409, "conflict")  # type: ignore[arg-type]


def test_damage_on_this_disk_is_not_the_caller_s(
    service: TestClient, stored: Stored, trees: Trees, settings: Settings
) -> None:
    """A spoilt local copy is a fault of the service that tells no path, and the next request has a fresh copy."""
    url = f"/v1/datasets/{stored.dataset()}/recordings"
    copy = stored.objects.get_tree(trees.dataset_digest)
    (copy / "accelerometer.f32").unlink()
    fault = problem(service.get(url), 500, "internal-error")
    assert "file" not in fault
    assert str(settings.cache_dir) not in str(fault)
    assert service.get(url).status_code == 200


def test_an_encoding_that_decodes_nothing_is_the_sender_s(service: TestClient) -> None:
    """Python knows an encoding that fails on anything; a form that names it cannot be read."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="d.zip"\r\n\r\nPK\r\n--b--\r\n'
    kind = "multipart/form-data; boundary=b; charset=undefined"
    answer = service.post("/v1/datasets", content=part, headers={"Content-Type": kind})
    assert "charset" in problem(answer, 400, "malformed-request")["detail"]
