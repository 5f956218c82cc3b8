"""The web pages as the service sends them: complete, for the right people, with nothing that a policy forbids."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.access import PAGES
from api.main import create_app
from store.keys import Scope
from store.settings import Settings
from tests.integration.api.conftest import HERE, ON_BOTH
from tests.integration.api.stored import SPEC, Stored
from tests.integration.api.test_access import Keys, bearing

GUARDED = {operation: scope for operation, scope in PAGES.items() if scope is not None}


def addresses(service: TestClient, stored: Stored) -> dict[str, str]:
    """Every page that shows something, by its route."""
    dataset_id = stored.dataset()
    stored.judged_job({0: stored.truth(), 1: stored.truth()})
    job_id = service.get("/v1/jobs").json()["items"][0]["id"]
    row = service.get("/v1/leaderboard").json()["items"][0]["id"]
    ids = {"job_id": job_id, "row_id": row, "dataset_id": dataset_id, "name": "tiny"}
    shown = [operation.partition(" ")[2] for operation in GUARDED if operation.startswith("GET ")]
    found = {path: path.format(**ids) for path in shown}
    found["/leaderboard/compare"] += f"?a={row}&b={row}"
    return found


@ON_BOTH
def test_every_page_keeps_its_own_policy(service: TestClient, stored: Stored) -> None:
    """Each page is whole HTML with one heading; no script, style or handler is in it, and all it loads is from here."""
    for path, address in addresses(service, stored).items():
        answer = service.get(address)
        assert answer.status_code == 200, (path, answer.text)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy, path
        assert "unsafe" not in policy, path
        text = answer.text
        assert text.count("<h1") == 1, path
        assert text.rstrip().endswith("</html>"), path
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:", text), path
        for loaded in re.findall(r'(?:src|href)="([^"]+)"', text):
            assert loaded.startswith(("/", "?", "#")), (path, loaded)
            assert not loaded.startswith("//"), (path, loaded)
        for file in set(re.findall(r'"(/static/[^"]+)"', text)):
            assert service.get(file).headers["cache-control"] == "public, max-age=31536000, immutable", file


def test_the_service_s_own_address_leads_to_the_jobs(service: TestClient) -> None:
    """Whoever opens what `pskd up` prints sees what is going on; an empty service says what to do first."""
    answer = service.get("/")
    assert answer.url.path == "/jobs"
    assert "Submit the first one" in answer.text


def test_a_job_s_page_tells_its_results(service: TestClient, stored: Stored) -> None:
    """The accuracy stands with its test's size, dataset and protocol, and the confusion matrix beside it."""
    stored.dataset()
    page = service.get(f"/jobs/{stored.finished_job()}").text
    told = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "75.0 % accuracy" in told
    assert "on 12 test recordings of tiny (cross subject)" in told
    assert re.search(r"along_z\s*</th><td class=\"wrong shade-0\"></td><td class=\"wrong shade-8\">3</td>", page)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/jobs/nothing", 404), ("/jobs?cursor=x", 422), ("/leaderboard?sort=luck", 422), ("/datasets/nothing", 404)],
)
def test_a_refusal_is_a_page(service: TestClient, path: str, status: int) -> None:
    """Who opens what is not there reads why, under the right status, and finds the way back."""
    answer = service.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-request-id"] in answer.text


def test_what_people_name_is_text(service: TestClient, stored: Stored) -> None:
    """A name that is markup is shown as it was given, and attributes stay closed."""
    stored.dataset()
    hostile = '"><img src=x onerror=alert(1)>'
    job = service.post("/v1/jobs", json={**SPEC, "name": hostile}).json()["id"]
    for path in ("/jobs", f"/jobs/{job}", f"/jobs/new?of={job}", f"/leaderboard?method={hostile}", "/static/%3Cimg"):
        assert "<img src=x" not in service.get(path).text, path


def test_a_file_outside_is_no_file(service: TestClient) -> None:
    """Only what lies among the pages' files is served."""
    assert service.get("/static/..%2faccess.py").status_code == 404
    assert service.get("/static/nothing.js").status_code == 404


def test_the_trace_comes_with_the_answer(service: TestClient, stored: Stored) -> None:
    """The page's own request answers as the contract does, and adds the samples as they were understood."""
    stored.dataset()
    stored.finished_job()
    rows = "\n".join(f"{second / 50},{9.81},0,0" for second in range(5000))
    kept = {"file": ("long.csv", f"t,x,y,z\n{rows}")}
    said: dict[str, Any] = service.post("/classify/tiny?unit=m/s^2", files=kept).json()
    plain = service.post("/v1/models/tiny/classify?unit=m/s^2&top_k=100", files=kept).json()
    assert said["answer"] == plain
    assert len(said["trace"]["t_s"]) == len(said["trace"]["x"]) == 2500
    assert said["trace"]["t_s"][:2] == [0.0, 0.04]
    assert said["trace"]["x"][0] == pytest.approx(1.0, abs=1e-3)


class TestWithKeys:
    """Where keys are asked for."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The same, with keys."""
        return settings.model_copy(update={"require_keys": True})

    @ON_BOTH
    def test_a_page_is_for_those_who_may_see_it(self, settings: Settings, stored: Stored) -> None:
        """Of all pages × scopes exactly those open whose scope it is; without a key a page says that one is needed."""
        made = Keys(stored)
        with TestClient(create_app(settings), base_url=HERE) as service:
            for operation, needed in GUARDED.items():
                method, path = operation.split(" ")
                address = re.sub(r"{\w+}", "nothing", path)
                answer = service.request(method, address)
                assert answer.status_code == 401, operation
                if method == "GET":
                    assert "bears an API key" in answer.text
                for scope in Scope:
                    status = service.request(method, address, headers=bearing(made.make(scope))).status_code
                    assert (status not in {401, 403}) is (scope is needed), (operation, scope)
