"""Promotion: what moves, what is refused with which figures, what the history keeps, and no request is lost."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from api.main import create_app
from store import keys
from store.keys import Scope
from store.settings import Settings
from tests.integration.api.conftest import HERE, ON_BOTH
from tests.integration.api.stored import Stored
from tests.integration.api.test_classify import as_csv, resting
from tests.integration.api.test_conventions import problem

CHAMPION = "/v1/models/tiny/aliases/champion"


def wrong_in(truth: Sequence[int], count: int, *, start: int = 0) -> list[int]:
    """The truth, but for `count` recordings from `start`."""
    return [(label + 1) % 3 if start <= place < start + count else label for place, label in enumerate(truth)]


@pytest.fixture
def versions(stored: Stored) -> None:
    """Version 1 is wrong in two of the test recordings, version 2 in one, version 3 in three."""
    stored.dataset()
    truth = stored.truth()
    stored.judged_job({0: wrong_in(truth, 2), 1: wrong_in(truth, 1), 2: wrong_in(truth, 3)})


def promote(service: TestClient, version: int, *, seen: str | None = None, **fields: Any) -> Response:
    """Asks for version `version` as champion, as it stands now unless `seen` says otherwise."""
    tag = seen or service.get(CHAMPION).headers["etag"]
    answer: Response = service.put(CHAMPION, json={"version": version, **fields}, headers={"If-Match": tag})
    return answer


def champion(service: TestClient) -> int:
    version: int = service.get(CHAMPION).json()["version"]
    return version


@ON_BOTH
@pytest.mark.usefixtures("versions")
def test_a_better_version_passes_and_the_history_tells(service: TestClient) -> None:
    """The alias and both ETags change, and the history says from where, to where, why and by which figures."""
    before, model = service.get(CHAMPION).headers["etag"], service.get("/v1/models/tiny").headers["etag"]
    moved = promote(service, 2, reason="fewer errors")
    assert (moved.status_code, moved.json()["version"], champion(service)) == (200, 2, 2)
    assert moved.headers["etag"] == service.get(CHAMPION).headers["etag"] != before
    assert service.get("/v1/models/tiny").headers["etag"] != model
    newest, first = service.get("/v1/models/tiny/history").json()["items"]
    assert (newest["from_version"], newest["to_version"], newest["reason"]) == (1, 2, "fewer errors")
    gate = newest["gate"]
    assert (gate["by"], gate["only_candidate"], gate["only_incumbent"], newest["forced"]) == ("paired", 1, 0, False)
    assert (first["from_version"], first["to_version"], first["actor"]) == (None, 1, "registration")


@pytest.mark.usefixtures("versions")
def test_the_history_names_the_key(settings: Settings, stored: Stored) -> None:
    """Moving and deleting an alias leave the key's name and beginning, but not the key; the registration had none."""
    with stored.database.write() as session:
        issued = keys.create(session, name="release robot", scopes=list(Scope))
    headers = {"Authorization": f"Bearer {issued.secret}", "If-Match": "*"}
    with TestClient(create_app(settings.model_copy(update={"require_keys": True})), base_url=HERE) as service:
        assert service.put(CHAMPION, json={"version": 2}, headers=headers).status_code == 200
        assert service.delete(CHAMPION, headers=headers).status_code == 204
        told = service.get("/v1/models/tiny/history", headers=headers)
    named = [(each["actor"], each["key_name"], each["key_prefix"]) for each in told.json()["items"]]
    ours = ("default", "release robot", issued.row.prefix)
    assert named == [ours, ours, ("registration", None, None)]
    assert issued.secret not in told.text


@ON_BOTH
@pytest.mark.usefixtures("versions")
def test_a_worse_version_is_refused_with_figures_and_can_be_forced(service: TestClient) -> None:
    """409 with both accuracies and McNemar's counts, and nothing moves; force wants a reason, which is kept."""
    refused = problem(promote(service, 3), 409, "gate-refused")
    assert (refused["gate"]["only_candidate"], refused["gate"]["only_incumbent"]) == (0, 1)
    assert refused["gate"]["candidate"]["accuracy"] < refused["gate"]["incumbent"]["accuracy"]
    assert "version 3" in refused["detail"]
    assert champion(service) == 1
    problem(promote(service, 3, force=True), 422, "invalid-request")
    assert promote(service, 3, force=True, reason="smaller sensor").status_code == 200
    newest = service.get("/v1/models/tiny/history", params={"limit": 1}).json()["items"][0]
    assert (newest["forced"], newest["reason"], newest["gate"]["passed"]) == (True, "smaller sensor", False)
    assert promote(service, 1).status_code == 200  # back: it is better than what it replaces


@pytest.mark.usefixtures("versions")
def test_a_promotion_says_which_state_it_changes(service: TestClient) -> None:
    """428 without a condition, 412 for another state; a repetition of the request that has moved it is no conflict."""
    body = {"version": 2}
    problem(service.put(CHAMPION, json=body), 428, "precondition-required")
    problem(service.put(CHAMPION, json=body, headers={"If-Match": '"99"'}), 412, "precondition-failed")
    problem(service.put(CHAMPION, json=body, headers={"If-None-Match": "*"}), 412, "precondition-failed")
    seen = service.get(CHAMPION).headers["etag"]
    assert [promote(service, 2, seen=seen).status_code for _ in range(2)] == [200, 200]
    problem(promote(service, 1, seen=seen), 412, "precondition-failed")
    assert len(service.get("/v1/models/tiny/history").json()["items"]) == 2


@pytest.mark.usefixtures("versions")
def test_aliases_are_made_and_deleted(service: TestClient) -> None:
    """A new alias says so by If-None-Match; a deleted one is gone, what it named stays, and both are in the history."""
    url = "/v1/models/tiny/aliases/canary"
    made = service.put(url, json={"version": 3}, headers={"If-None-Match": "*"})
    assert (made.status_code, made.json()["version"]) == (200, 3)
    problem(service.put(url, json={"version": 3}, headers={"If-Match": '"77"'}), 412, "precondition-failed")
    problem(service.delete(url), 428, "precondition-required")
    assert service.delete(url, headers={"If-Match": made.headers["etag"]}).status_code == 204
    problem(service.get(url), 404, "not-found")
    assert service.get("/v1/models/tiny/versions/3").status_code == 200
    happened = [
        (each["from_version"], each["to_version"]) for each in service.get("/v1/models/tiny/history").json()["items"]
    ]
    assert happened == [(3, None), (None, 3), (None, 1)]


@pytest.mark.parametrize(("alias", "status"), [("latest", 422), ("v3", 422), ("a%20b", 422), ("none", 404)])
@pytest.mark.usefixtures("versions")
def test_names_that_no_alias_has(service: TestClient, alias: str, status: int) -> None:
    """What reads as a version, or is no name, is refused; what is not there is not found."""
    assert service.get(f"/v1/models/tiny/aliases/{alias}").status_code == status


@pytest.mark.parametrize("wrong", [{"force": 1}, {"force": "true"}, {"version": "2"}, {"version": True}, {"reason": 5}])
def test_nothing_is_taken_for_what_it_is_not(service: TestClient, wrong: dict[str, Any]) -> None:
    """`force` overrules a gate, so only true and false are read; the refusal names the field."""
    body = {"version": 2, "force": True, "reason": "because", **wrong}
    content = problem(service.put(CHAMPION, json=body, headers={"If-Match": "*"}), 422, "invalid-request")
    assert content["errors"][0]["pointer"] == f"/{next(iter(wrong))}"


def test_versions_tested_otherwise_are_not_compared(service: TestClient, stored: Stored) -> None:
    """Another protocol is another test: the gate refuses, whatever the figures, and says why."""
    stored.dataset()
    stored.finished_job(accuracy=0.5)
    split = {"kind": "subjects", "train": ["1", "2", "3"], "test": ["4"]}
    stored.finished_job(accuracy=0.9, protocol=split)
    refused = problem(promote(service, 2), 409, "gate-refused")
    assert refused["gate"]["by"] == "not_comparable"
    assert "protocol" in refused["detail"]


@pytest.mark.parametrize(("accuracy", "status"), [(0.7, 409), (0.75, 200), (0.8, 200)])
def test_without_predictions_the_stated_scores_decide(
    service: TestClient, stored: Stored, accuracy: float, status: int
) -> None:
    """Where no predictions can be read, the accuracies that both versions were registered with are compared."""
    stored.dataset()
    stored.finished_job(accuracy=0.75)
    stored.finished_job(accuracy=accuracy, seeds=[1])
    assert promote(service, 2).status_code == status


@ON_BOTH
@pytest.mark.usefixtures("versions")
def test_an_alias_moves_without_a_lost_request(service: TestClient) -> None:
    """While the champion moves to and fro all answers are 200 of one of both, and then the new one's."""
    recording, stop, wrong = as_csv(np.asarray(resting(2))), threading.Event(), list[object]()

    def classify() -> int:
        answer = service.post("/v1/models/tiny/classify", content=recording, headers={"Content-Type": "text/csv"})
        if answer.status_code != 200 or answer.json()["model"]["version"] not in {1, 2}:
            wrong.append(answer.text)
        served: int = answer.json().get("model", {}).get("version", 0)
        return served

    def go_on() -> None:
        while not stop.is_set():
            classify()

    threads = [threading.Thread(target=go_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(10):
            version = 2 - turn % 2
            assert promote(service, version, force=True, reason="to and fro").status_code == 200
            assert classify() == version
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
