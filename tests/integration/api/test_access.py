"""The access matrix: each operation of the contract, asked with every kind of key, answers exactly as documented."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from httpx2 import Response

from api.access import PAGES, SCOPES
from api.keyring import REMEMBERED_S
from api.main import create_app
from api.routing import Route, check_guarded
from store import keys
from store.keys import Scope
from store.models import ApiKey
from store.settings import Settings
from tests.integration.api.conftest import HERE, ON_BOTH
from tests.integration.api.stored import SPEC, Stored
from tests.integration.api.test_conventions import problem
from tests.stored import counted

ROOT = Path(__file__).resolve().parents[3]
CONTRACT: dict[str, Any] = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in CONTRACT["paths"].items()
    for method, operation in operations.items()
}
GUARDED = {
    name: operation["security"][0]["api_key"][0] for name, operation in OPERATIONS.items() if operation["security"]
}
OPEN = set(OPERATIONS) - set(GUARDED)
OTHER = "other"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The same, with keys."""
    return settings.model_copy(update={"require_keys": True})


class Keys:
    """Keys of every kind, in one database."""

    def __init__(self, stored: Stored) -> None:
        self._database = stored.database
        self.all = self.make(*Scope)

    def make(self, *scopes: Scope, expires_in_s: float | None = None, tenant: str = "default") -> str:
        """A new key."""
        until = None if expires_in_s is None else datetime.now(UTC) + timedelta(seconds=expires_in_s)
        with self._database.write() as session:
            return keys.create(session, name="test", scopes=scopes, expires_at=until, tenant=tenant).secret

    def revoked(self) -> str:
        """A key with all scopes that holds no more."""
        secret = self.make(*Scope)
        with self._database.write() as session:
            known = keys.recognise(session, secret)
            assert known is not None
            keys.revoke(session, known.id)
        return secret

    def row(self, secret: str) -> ApiKey:
        """What is stored of a key."""
        with self._database.read() as session:
            known = keys.recognise(session, secret)
            assert known is not None
            return keys.get(session, known.id, tenant=known.tenant)


@pytest.fixture
def made(stored: Stored) -> Keys:
    """Keys of this test's database."""
    return Keys(stored)


def bearing(secret: str) -> dict[str, str]:
    """The header that bears a key."""
    return {"Authorization": f"Bearer {secret}"}


def ask(service: TestClient, operation: str, headers: dict[str, str], **ids: str) -> Response:
    """The operation with no body, on things that are not there unless `ids` names them."""
    method, path = operation.split(" ")
    for part in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
        path = path.replace(f"{{{part}}}", ids.get(part, "1" if part == "version" else "nothing"))
    return service.request(method, path, headers=headers)


def test_the_contract_and_the_table_name_the_same_operations() -> None:
    """Neither an operation without a scope nor a line without an operation; pages are no operations."""
    assert set(SCOPES) == set(OPERATIONS)
    assert not set(SCOPES) & set(PAGES)
    assert {name: scope.value for name, scope in SCOPES.items() if scope is not None} == GUARDED
    assert {"GET /livez", "GET /readyz", "GET /v2", "GET /v2/health/live", "GET /v2/health/ready"} == OPEN


def test_a_route_that_nobody_has_decided_on_cannot_be_made() -> None:
    """A new route without a line in the table, or past the table, ends the start with what to do."""
    router = APIRouter(route_class=Route)
    with pytest.raises(LookupError, match=r"api/access\.py does not say .*`GET /v1/new`"):
        router.get("/v1/new")(lambda: None)
    unguarded = APIRouter()
    unguarded.get("/v1/jobs")(lambda: None)
    with pytest.raises(LookupError, match="route_class=Route"):
        check_guarded([unguarded])


@ON_BOTH
def test_nobody_gets_in_without_a_key_that_holds(service: TestClient, made: Keys) -> None:
    """Every guarded operation answers 401, and says why, to no key and to each that does not hold."""
    expired, revoked = made.make(*Scope, expires_in_s=-1), made.revoked()
    forged = made.all[:-1] + ("A" if made.all[-1] != "A" else "B")
    unknown = "pskd_0000000000_" + "x" * 43
    cases = {
        None: ("send an API key", None),
        "Basic YTpi": ("no `Bearer", "invalid_token"),
        "Bearer": ("no `Bearer", "invalid_token"),
        f"Bearer {made.all}x": ("no `Bearer", "invalid_token"),
        f"Bearer {unknown}": ("nobody has issued", "invalid_token"),
        f"Bearer {forged}": ("nobody has issued", "invalid_token"),
        f"Bearer {expired}": ("has expired", "invalid_token"),
        f"Bearer {revoked}": ("has been revoked", "invalid_token"),
    }
    for operation in GUARDED:
        for header, (detail, code) in cases.items():
            answer = ask(service, operation, {} if header is None else {"Authorization": header})
            assert detail in problem(answer, 401, "unauthenticated")["detail"], (operation, header)
            challenge = answer.headers["www-authenticate"]
            assert challenge == 'Bearer realm="pskd"' + (f', error="{code}"' if code else ""), (operation, header)


@ON_BOTH
def test_a_scope_opens_what_names_it_and_nothing_else(service: TestClient, made: Keys) -> None:
    """Of all operations × single scopes exactly those pass whose scope it is; the others are 403 and name it."""
    single = {scope.value: made.make(scope) for scope in Scope}
    for operation, needed in GUARDED.items():
        for scope, secret in single.items():
            answer = ask(service, operation, bearing(secret))
            if scope == needed:
                assert answer.status_code not in {401, 403}, (operation, scope)
                assert answer.status_code < 500, (operation, scope)
            else:
                assert f"scope '{needed}'" in problem(answer, 403, "out-of-scope")["detail"], (operation, scope)
                assert f'scope="{needed}"' in answer.headers["www-authenticate"]
        assert ask(service, operation, bearing(made.all)).status_code not in {401, 403}, operation


@pytest.mark.parametrize("operation", [*sorted(OPEN), "GET /docs", "GET /openapi.json"])
def test_what_is_open_asks_nobody(service: TestClient, operation: str) -> None:
    """Health and the contract are told without a key, and with one that does not hold."""
    for headers in ({}, bearing("pskd_nonsense")):
        assert ask(service, operation, headers).status_code in {200, 204}


@ON_BOTH
def test_another_tenant_s_things_are_not_there(service: TestClient, stored: Stored, made: Keys) -> None:
    """With ids of another tenant every operation answers as if there were none, and lists are empty."""
    ids = _things(service, stored, bearing(made.all))
    foreign = bearing(made.make(*Scope, tenant=OTHER))
    own = {
        "GET /metrics",
        "GET /v1/system",
        "GET /v1/usage",
        "POST /v1/keys",
        "POST /v1/datasets",
        "POST /v1/jobs",
        "POST /v1/sweeps",
        "POST /v1/webhooks",
    }
    listed = {
        "GET /v1/keys",
        "GET /v1/datasets",
        "GET /v1/jobs",
        "GET /v1/sweeps",
        "GET /v1/leaderboard",
        "GET /v1/models",
        "GET /v1/webhooks",
        "GET /v1/classifications",
    }
    for operation in GUARDED:
        if operation in own | listed:
            continue
        problem(_ask_whole(service, operation, foreign, ids), 404, "not-found")
    for operation in listed - {"GET /v1/keys"}:
        assert ask(service, operation, foreign).json()["items"] == [], operation
    assert service.get("/v1/usage", headers=foreign).json()["size_bytes"] == 0
    mine = [key["id"] for key in service.get("/v1/keys", headers=foreign).json()["items"]]
    assert (len(mine), ids["key_id"] in mine) == (1, False)
    # What refers to another tenant's dataset in its body names nothing that is there.
    problem(service.post("/v1/jobs", json=SPEC, headers=foreign), 422, "invalid-spec")
    by_id = SPEC | {"dataset": ids["dataset_id"]}
    problem(service.post("/v1/jobs", json=by_id, headers=foreign), 422, "invalid-spec")
    for spec in (SPEC, by_id):
        problem(service.post("/v1/sweeps", json=sweep_of(spec), headers=foreign), 422, "invalid-spec")
    # Nor does what refers to it in the address.
    rows = "/v1/leaderboard"
    for dataset in ("tiny", ids["dataset_id"]):
        assert service.get(rows, params={"dataset": dataset}, headers=foreign).json()["items"] == []
    problem(service.get(rows, params={"against": ids["row_id"]}, headers=foreign), 404, "not-found")


def test_pages_show_nothing_of_another_tenant(service: TestClient, stored: Stored, made: Keys) -> None:
    """Pages of another tenant's things are not found, as if there were none; lists and forms name none of them."""
    ids = _things(service, stored, bearing(made.all))
    foreign = bearing(made.make(*Scope, tenant=OTHER)) | {"Accept": "text/html"}
    guarded = {name for name, scope in PAGES.items() if scope is not None and not name.startswith("GET /changes")}
    one = {name for name in guarded if "{" in name and name.startswith("GET")}
    asked = service.post("/classify/tiny", content=b"0,0,1\n" * 64, headers=foreign | CSV)
    assert asked.status_code == 404
    assert len(one) >= 5
    for operation in one:
        answer = ask(service, operation, foreign, **ids)
        assert answer.status_code == 404, (operation, answer.text)
    compare = "/leaderboard/compare"
    assert service.get(compare, params={"a": ids["row_id"], "b": ids["row_id"]}, headers=foreign).status_code == 404
    for page in guarded - one - {f"GET {compare}", "POST /classify/{name}"}:
        answer = service.get(page.removeprefix("GET "), headers=foreign)
        assert answer.status_code == 200, page
        assert [value for value in ids.values() if "_" in value and value in answer.text] == [], page
    for name, thing in [("of", "job_id"), ("best_of", "sweep_id")]:
        assert service.get("/jobs/new", params={name: ids[thing]}, headers=foreign).status_code == 404
    assert service.get(f"/changes/sweeps/{ids['sweep_id']}", headers=foreign).status_code == 404


def sweep_of(spec: dict[str, Any]) -> dict[str, Any]:
    """A sweep of two trials over a spec."""
    base = {**spec, "validation": {"kind": "trials", "trials": ["1"]}}
    return {"base": base, "space": {"training.epochs": {"choices": [2, 4]}}}


ANY = {"If-Match": "*"}
CSV = {"Content-Type": "text/csv"}


def _ask_whole(service: TestClient, operation: str, headers: dict[str, str], ids: dict[str, str]) -> Response:
    """The operation on these things, with all that it takes to come as far as looking for them."""
    if operation == "GET /v1/leaderboard/comparison":
        row = ids["row_id"]
        return service.get(f"/v1/leaderboard/comparison?a={row}&b={row}", headers=headers)
    if operation == "POST /v1/classifications":
        return _hand_in(service, headers)
    if operation.endswith("/classify"):
        return service.post("/v1/models/tiny/classify", content=b"0,0,1\n" * 64, headers=headers | CSV)
    if operation.endswith("/infer"):
        return service.post("/v2/models/tiny/infer", json={}, headers=headers)
    if operation.startswith("PUT"):
        return service.put("/v1/models/tiny/aliases/champion", json={"version": 1}, headers=headers | ANY)
    return ask(service, operation, headers | ANY, **ids)


def _hand_in(service: TestClient, headers: dict[str, str]) -> Response:
    """A recording that is to be labelled by the model `tiny`."""
    form = {"file": ("day.csv", b"0,0,1\n" * 64)}
    return service.post("/v1/classifications", params={"model": "tiny"}, files=form, headers=headers)


def _things(service: TestClient, stored: Stored, headers: dict[str, str]) -> dict[str, str]:
    """One of everything, of the default tenant; answers their ids."""
    dataset_id, job_id = stored.dataset(), stored.finished_job()
    run = service.get(f"/v1/jobs/{job_id}/runs", headers=headers).json()["items"][0]
    row = service.get("/v1/leaderboard", headers=headers).json()["items"][0]
    sweep = service.post("/v1/sweeps", json=sweep_of(SPEC), headers=headers).json()
    key = service.get("/v1/keys", headers=headers).json()["items"][0]
    hook = service.post("/v1/webhooks", json={"url": "https://hooks.example/"}, headers=headers).json()
    files = service.get(f"/v1/datasets/{dataset_id}/recordings", headers=headers).json()["items"]
    classification = _hand_in(service, headers).json()
    return {
        "dataset_id": dataset_id, "recording_id": files[0]["id"], "job_id": job_id, "run_id": run["id"], "epoch": "1",
        "sweep_id": sweep["id"], "name": "tiny", "alias": "champion", "version": "1", "row_id": row["id"],
        "key_id": key["id"], "webhook_id": hook["id"], "classification_id": classification["id"],
    }  # fmt: skip


@ON_BOTH
def test_two_tenants_use_one_name(service: TestClient, stored: Stored, made: Keys) -> None:
    """Each tenant has a dataset, and a repeat under an Idempotency-Key, of the same name, and sees its own."""
    stored.dataset()
    foreign = bearing(made.make(*Scope, tenant=OTHER))
    body = {"name": "tiny", "source": {"kind": "synthetic"}}
    same_key = {"Idempotency-Key": "one"}
    problem(service.post("/v1/datasets", json=body, headers=bearing(made.all) | same_key), 409, "conflict")
    assert service.post("/v1/datasets", json=body, headers=foreign | same_key).status_code == 202
    stored.finish_import()
    assert service.post("/v1/jobs", json=SPEC, headers=foreign).status_code == 202
    stored.succeed(stored.claim())
    stored.finished_job()
    for headers in (foreign, bearing(made.all)):
        assert [model["name"] for model in service.get("/v1/models", headers=headers).json()["items"]] == ["tiny"]
        assert [row["latest"]["version"] for row in service.get("/v1/models", headers=headers).json()["items"]] == [1]
        assert len(service.get("/v1/leaderboard", headers=headers).json()["items"]) == 1


@ON_BOTH
def test_a_key_is_made_once_and_shown_once(service: TestClient, stored: Stored, made: Keys) -> None:
    """A repeated request gets the same key's answer without the key, which no table holds in clear."""
    headers = bearing(made.all) | {"Idempotency-Key": "make"}
    body = {"name": "watch", "scopes": ["submit", "read", "read"]}
    first, again = (service.post("/v1/keys", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code, again.headers["idempotent-replayed"]) == (201, 201, "true")
    secret = first.json()["key"]
    assert again.json() == first.json() | {"key": None}
    assert service.get(first.headers["location"], headers=headers).json()["scopes"] == ["read", "submit"]
    assert service.get("/v1/jobs", headers=bearing(secret)).status_code == 200
    with stored.database.read() as session:
        tables = ApiKey.metadata.sorted_tables
        told = [str(tuple(row)) for table in tables for row in session.execute(table.select())]
    assert len([text for text in told if first.json()["prefix"] in text]) == 2
    assert [text for text in told if secret in text or secret[-20:] in text] == []


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["read", "root"]}, "/scopes/1"),
        ({"name": "a\tb"}, "/name"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2099-01-01T00:00:00"}, "/expires_at"),
        ({"expires_at": 4070908800}, "/expires_at"),
        ({"expires_at": "4070908800"}, "/expires_at"),
        ({"name": 5}, "/name"),
        ({"tenant": OTHER}, "/tenant"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    service: TestClient, made: Keys, fields: dict[str, Any], pointer: str
) -> None:
    """Unknown scopes, none, an end in the past or without a zone, and another tenant are named."""
    body = {"name": "watch", "scopes": ["read"]} | fields
    refused = problem(service.post("/v1/keys", json=body, headers=bearing(made.all)), 422, "invalid-request")
    assert [fault["pointer"] for fault in refused["errors"]] == [pointer]


@ON_BOTH
def test_a_key_costs_one_query_and_soon_is_known_no_more(service: TestClient, made: Keys) -> None:
    """A request takes one query for its key, the next none; revoking reaches a process that remembers it in seconds."""
    secret = made.make(Scope.READ)
    database = service.app.state.services.database  # type: ignore[attr-defined]
    with counted(database) as queries:
        service.get("/v1/jobs", headers=bearing(secret))
    with counted(database) as fewer:
        service.get("/v1/jobs", headers=bearing(secret))
    assert (sum("api_key" in text for text in queries), sum("api_key" in text for text in fewer)) == (1, 0)
    assert made.row(secret).last_used_at is not None
    key_id = made.row(secret).id
    assert service.post(f"/v1/keys/{key_id}/revoke", headers=bearing(made.all)).json()["revoked_at"]
    time.sleep(REMEMBERED_S)
    problem(service.get("/v1/jobs", headers=bearing(secret)), 401, "unauthenticated")


def test_an_open_stream_ends_with_its_key(service: TestClient, stored: Stored, made: Keys) -> None:
    """Whoever streams a job's events hears no more once the key is revoked, and is told so when asking again."""
    stored.dataset()
    job_id, secret = stored.job(), made.make(Scope.READ)
    accept = bearing(secret) | {"Accept": "text/event-stream"}
    with service.stream("GET", f"/v1/jobs/{job_id}/events", headers=accept) as answer:
        lines: Iterator[str] = answer.iter_lines()
        assert next(lines) == "event: job.state"
        service.post(f"/v1/keys/{made.row(secret).id}/revoke", headers=bearing(made.all))
        assert not any(line.startswith("event: ") for line in lines)


def test_an_operator_makes_the_first_key(settings: Settings, service: TestClient) -> None:
    """`python -m api keys` on the server makes, lists and revokes keys of any tenant without one."""
    first = operate(settings, "create", "ops", "--scope", "admin", "--tenant", "acme", "--days", "30")
    assert first.returncode == 0, first.stderr
    secret = first.stdout.strip()
    made = service.post("/v1/keys", json={"name": "w", "scopes": ["read"]}, headers=bearing(secret)).json()
    listed = operate(settings, "list", "--tenant", "acme").stdout
    assert [line.split()[2] for line in listed.splitlines()] == ["read", "admin"]
    assert secret not in listed
    assert operate(settings, "revoke", made["id"], "--tenant", "acme").returncode == 0
    problem(service.get("/v1/jobs", headers=bearing(made["key"])), 401, "unauthenticated")
    absent = operate(settings, "revoke", made["id"])
    assert (absent.returncode, "there is no key" in absent.stderr) == (1, True)


def test_an_operator_without_a_database_is_told(tmp_path: Path) -> None:
    """Before the first migration there is nowhere to put a key, and the command says what to do."""
    refused = operate(Settings(home=tmp_path), "create", "ops", "--scope", "admin")
    assert (refused.returncode, "python -m store.migrate" in refused.stderr) == (1, True)
    assert "Traceback" not in refused.stderr


def operate(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`python -m api keys …`."""
    environment = os.environ | {"PSKD_HOME": str(settings.home), "PSKD_DATABASE_URL": settings.database_url}
    command = [sys.executable, "-m", "api", "keys", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_without_keys_embedded_mode_is_as_before(settings: Settings) -> None:
    """On loopback nobody is asked for a key, one that is sent is not looked at, and keys can be made beforehand."""
    open_settings = settings.model_copy(update={"require_keys": False})
    with TestClient(create_app(open_settings), base_url=HERE) as service:
        for headers in ({}, bearing("pskd_nonsense")):
            assert service.get("/v1/jobs", headers=headers).status_code == 200
        assert service.post("/v1/keys", json={"name": "first", "scopes": ["admin"]}).status_code == 201
