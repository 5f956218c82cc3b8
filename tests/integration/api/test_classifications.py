"""Long recordings over HTTP: taken in, labelled as a worker would, read, cancelled and deleted."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from api.main import create_app
from store import classifications
from store.collect import collect
from store.settings import Settings
from tests.integration.api.conftest import HERE, ON_BOTH
from tests.integration.api.stored import Stored
from tests.integration.api.test_conventions import problem
from worker.labelling import label_claimed
from worker.limits import UploadLimits
from worker.settings import WorkerSettings

PATH = "/v1/classifications"
CSV = b"time,x,y,z\n" + b"".join(b"%.2f,0.02,0.01,1.0\n" % (number / 50) for number in range(1500))
KEY = {"Idempotency-Key": "once"}


@pytest.fixture
def served(stored: Stored) -> Stored:
    """A store with a model that serves under the name `tiny`."""
    stored.dataset()
    stored.finished_job()
    return stored


def post(service: TestClient, *, content: bytes = CSV, headers: dict[str, str] | None = None, **asked: Any) -> Response:
    """Hands a recording in."""
    return service.post(
        PATH, params={"model": "tiny"} | asked, files={"file": ("day.csv", content)}, headers=headers or {}
    )


def work(stored: Stored, folder: Path) -> None:
    """What a worker does with the recording that waits longest, in this process."""
    with stored.database.write() as session:
        claimed = classifications.claim(session, worker="w", lease_s=60)
    assert claimed is not None
    folder.mkdir()
    with suppress(SystemExit):  # of the process that a worker would have for it
        label_claimed(stored.database, stored.objects, claimed, folder, UploadLimits.of(WorkerSettings()))


def lines(answer: Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


@ON_BOTH
def test_a_recording_is_labelled_as_classify_would(service: TestClient, served: Stored, tmp_path: Path) -> None:
    """Handed in it waits, then has an overview, segments and windows: those of the answer to the same file at once."""
    options: dict[str, Any] = {"overlap": 0.25, "smooth_s": 3, "top_k": 2, "unit": "g"}
    answer = post(service, **options)
    assert answer.status_code == 202
    created = answer.json()
    path = answer.headers["location"]
    assert path == f"{PATH}/{created['id']}"
    assert (created["state"], created["progress"], created["overview"]) == ("queued", 0, None)
    assert (created["model"], created["version"], created["filename"]) == ("tiny", 1, "day.csv")
    assert service.get(path).json() == created
    assert "once it has succeeded" in problem(service.get(f"{path}/segments"), 409, "conflict")["detail"]
    work(served, tmp_path / "work")
    done = service.get(path).json()
    assert (done["state"], done["progress"], done["detail"]) == ("succeeded", 1, None)
    whole = service.post("/v1/models/tiny/classify", params=options, files={"file": ("day.csv", CSV)}).json()
    assert lines(service.get(f"{path}/segments")) == whole.pop("segments")
    assert lines(service.get(f"{path}/windows")) == whole.pop("windows")
    counted = {name: done["overview"].pop(name) for name in ("windows", "segments", "shares")}
    assert done["overview"] == whole
    assert counted["shares"] == {"along_z": 1}
    (listed,) = service.get(PATH).json()["items"]
    assert listed == {name: value for name, value in done.items() if name not in {"reading", "overview"}}


def test_a_file_that_cannot_be_read_says_where(service: TestClient, served: Stored, tmp_path: Path) -> None:
    """It fails with cause, detail and place, under its own name; there is no timeline to be read."""
    path = post(service, content=b"t,x,y,z\n0,1,1,1\n1,oops,1,1\n2,1,1,1\n").headers["location"]
    work(served, tmp_path / "work")
    failed = service.get(path).json()
    assert (failed["state"], failed["cause"]) == ("failed", "data")
    assert "oops" in failed["detail"]
    assert failed["place"] == {"file": "day.csv", "row": 3, "column": "x"}
    problem(service.get(f"{path}/windows"), 409, "conflict")
    problem(service.post(f"{path}/cancel"), 409, "illegal-transition")


@pytest.mark.parametrize(
    ("asked", "kind", "status"),
    [
        ({"model": "nothing"}, "not-found", 404),
        ({"version": 7}, "not-found", 404),
        ({"version": 1, "alias": "champion"}, "invalid-request", 422),
        ({"overlap": 1}, "invalid-request", 422),
        ({"rate_hz": "nan"}, "invalid-request", 422),
        ({"unit": "stone"}, "invalid-request", 422),
        ({"model": ""}, "invalid-request", 422),
    ],
)
def test_what_nobody_could_label_is_not_taken_in(
    service: TestClient, served: Stored, asked: dict[str, Any], kind: str, status: int
) -> None:
    """A model that is not there and options that mean nothing are refused, and nothing is stored."""
    before = {each.digest for each in served.objects.stored()}
    problem(post(service, **asked), status, kind)
    assert {each.digest for each in served.objects.stored()} == before
    assert service.get(PATH).json()["items"] == []


@pytest.mark.usefixtures("served")
def test_a_body_that_is_no_form_or_has_no_file_is_refused(service: TestClient) -> None:
    """415, and 422 with a pointer, as of every upload."""
    raw = service.post(PATH, params={"model": "tiny"}, content=CSV, headers={"Content-Type": "text/csv"})
    problem(raw, 415, "unsupported-media-type")
    problem(service.post(PATH, params={"model": "tiny"}, files={"file": ("a.csv", b"")}), 422, "invalid-request")
    more = service.post(PATH, params={"model": "tiny"}, files={"file": ("a.csv", CSV)}, data={"unit": "g"})
    assert problem(more, 422, "invalid-request")["errors"][0]["pointer"] == "/unit"


@ON_BOTH
@pytest.mark.usefixtures("served")
def test_a_repeated_request_creates_once(service: TestClient) -> None:
    """The same key with the same file and options answers as before, also once the model is gone; others are 422."""
    first = post(service, headers=KEY)
    problem(post(service, headers=KEY, overlap=0.25), 422, "idempotency-key-reused")
    problem(post(service, headers=KEY, content=CSV + b"30,0,0,1\n"), 422, "idempotency-key-reused")
    assert service.delete("/v1/models/tiny", params={"force": True}).status_code == 200
    again = post(service, headers=KEY)
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (202, first.content, "true")
    assert len(service.get(PATH).json()["items"]) == 1


def test_a_model_that_is_deleted_meanwhile_still_answers(service: TestClient, served: Stored, tmp_path: Path) -> None:
    """Whoever was taken in is labelled by the version that the name stood for then."""
    path = post(service).headers["location"]
    assert service.delete("/v1/models/tiny", params={"force": True}).status_code == 200
    work(served, tmp_path / "work")
    assert service.get(path).json()["state"] == "succeeded"


def test_cancelling_and_deleting(service: TestClient, served: Stored, settings: Settings) -> None:
    """What waits is cancelled at once and then deleted; its upload goes with the next collection."""
    content = CSV + b"30,1,0,0\n"
    path = post(service, content=content).headers["location"]
    problem(service.delete(path), 409, "illegal-transition")
    assert service.get("/v1/usage").json()["kinds"]["classifications"] == {
        "count": 1,
        "size_bytes": len(content),
        "unmeasured": 0,
    }
    assert service.post(f"{path}/cancel").json()["state"] == "cancelled"
    assert service.post(f"{path}/cancel").json()["state"] == "cancelled"
    assert service.get(PATH, params={"state": "cancelled"}).json()["items"][0]["id"] == path.rpartition("/")[2]
    assert service.delete(path).json() == {"removed": {"classifications": 1}}
    for ask in (service.get, service.delete):
        problem(ask(path), 404, "not-found")
    assert collect(served.database, served.objects, grace_s=0.0, dry_run=True).objects >= 1
    assert list((settings.cache_dir / "uploads").iterdir()) == []


@pytest.fixture
def limited(settings: Settings) -> Iterator[TestClient]:
    """The service with little room for a tenant."""
    with TestClient(create_app(settings.model_copy(update={"tenant_storage_bytes": 50_000})), base_url=HERE) as client:
        yield client


@pytest.mark.usefixtures("served")
def test_a_recording_that_does_not_fit_is_refused_with_figures(limited: TestClient) -> None:
    """As a dataset's upload: 507, and no row is left."""
    refused = problem(post(limited, content=CSV * 2), 507, "storage-full")
    assert refused["storage"]["limit_bytes"] == 50_000
    assert limited.get(PATH).json()["items"] == []
