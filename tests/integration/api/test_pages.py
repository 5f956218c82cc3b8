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
from tests.integration.api.test_conventions import problem
from tests.integration.api.test_sweeps import SWEEP

GUARDED = {operation: scope for operation, scope in PAGES.items() if scope is not None}


def addresses(service: TestClient, stored: Stored) -> dict[str, str]:
    """Every page that shows something, by its route."""
    dataset_id = stored.dataset()
    stored.judged_job({0: stored.truth(), 1: stored.truth()})
    job_id = service.get("/v1/jobs").json()["items"][0]["id"]
    row = service.get("/v1/leaderboard").json()["items"][0]["id"]
    sweep_id = service.post("/v1/sweeps", json=SWEEP).json()["id"]
    ids = {"job_id": job_id, "row_id": row, "dataset_id": dataset_id, "sweep_id": sweep_id, "name": "tiny"}
    shown = [operation.removeprefix("GET ") for operation in GUARDED if operation.startswith("GET ")]
    found = {path: path.format(**ids) for path in shown if not path.startswith("/changes/")}
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
        """Of all pages × scopes exactly those open whose scope it is; without a key a page asks for one."""
        made = Keys(stored)
        with TestClient(app := create_app(settings), base_url=HERE) as service:
            app.state.services.stopping.set()  # streams begin and end
            for operation, needed in GUARDED.items():
                method, path = operation.split(" ")
                address = re.sub(r"{\w+}", "nothing", path)
                answer = service.request(method, address)
                assert answer.status_code == 401, operation
                if method == "GET" and not path.startswith("/changes/"):
                    assert 'name="key"' in answer.text
                for scope in Scope:
                    status = service.request(method, address, headers=bearing(made.make(scope))).status_code
                    assert (status not in {401, 403}) is (scope is needed), (operation, scope)

    @ON_BOTH
    def test_a_browser_signs_in_and_out(self, settings: Settings, stored: Stored) -> None:
        """A key that holds becomes a cookie that no script sees, which opens pages and their events until sign-out."""
        made = Keys(stored)
        with TestClient(create_app(settings), base_url=HERE) as service:
            answer = service.post("/sign-in", data={"key": made.all, "then": "/models"}, follow_redirects=False)
            assert (answer.status_code, answer.headers["location"]) == (303, "/models")
            cookie = answer.headers["set-cookie"]
            assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
            assert "Secure" not in cookie
            stored.dataset()
            job = stored.finished_job()
            assert "Sign out" in service.get(f"/jobs/{job}").text
            events = service.get(f"/v1/jobs/{job}/events", headers={"Accept": "text/event-stream"})
            assert events.status_code == 200
            assert service.post("/sign-out").url.path == "/sign-in"
            assert service.get(f"/jobs/{job}").status_code == 401

    def test_a_cookie_alone_changes_nothing(self, settings: Settings, stored: Stored) -> None:
        """What another page could have sent lacks our page's token and is refused; with it the contract holds."""
        made, dataset = Keys(stored), {"name": "d", "source": {"kind": "synthetic"}}
        with TestClient(create_app(settings), base_url=HERE) as service:
            service.post("/sign-in", data={"key": made.all})
            for token in (b"", b"0" * 64, "\u00e9".encode()):
                answer = service.post("/v1/datasets", json=dataset, headers={b"X-CSRF-Token": token})
                problem(answer, 403, "forbidden")
            found = re.search(r'name="csrf" content="(\w{64})"', service.get("/datasets").text)
            assert found is not None
            assert service.post("/v1/datasets", json=dataset, headers={"X-CSRF-Token": found[1]}).status_code == 202
            other = service.post("/v1/keys", json={}, headers=bearing(made.make(Scope.READ)))
            assert "scope" in problem(other, 403, "out-of-scope")["detail"]

    def test_no_other_key_signs_in(self, settings: Settings, stored: Stored) -> None:
        """One that is none, never issued, revoked or expired gives no cookie, and nothing leads to another service."""
        made = Keys(stored)
        bad = ("", "x", "pskd_0000000000_" + "x" * 43, made.revoked(), made.make(*Scope, expires_in_s=-1))
        with TestClient(create_app(settings), base_url=HERE) as service:
            for key in bad:
                answer = service.post("/sign-in", data={"key": key})
                assert answer.status_code == 401, key
                assert "set-cookie" not in answer.headers
                assert "no API key that holds" in answer.text
            for then in ("//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nSet-Cookie: b=c"):
                sent = {"key": made.all, "then": then}
                answer = service.post("/sign-in", data=sent, follow_redirects=False)
                assert answer.headers["location"] == "/jobs", then

    def test_a_revoked_key_s_cookie_opens_nothing(self, settings: Settings, stored: Stored) -> None:
        """The page says why, and asks for another key."""
        made = Keys(stored)
        with TestClient(create_app(settings), base_url=HERE, cookies={"pskd_key": made.revoked()}) as service:
            answer = service.get("/jobs")
            assert answer.status_code == 401
            assert "this API key has been revoked" in answer.text
