"""Webhooks over HTTP: made once, shown without their secret, kept from places that they may not reach."""

import base64

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from api.main import create_app
from store import webhooks
from store.settings import Settings
from tests.integration.api.conftest import HERE, ON_BOTH
from tests.integration.api.stored import Stored
from tests.integration.api.test_conventions import problem

URL = "https://hooks.example/pskd"


def add(service: TestClient, url: str = URL, **headers: str) -> Response:
    answer: Response = service.post("/v1/webhooks", json={"url": url}, headers=headers)
    return answer


@ON_BOTH
def test_a_webhook_is_made_listed_and_deleted(service: TestClient, stored: Stored) -> None:
    """The secret has 256 bits and is in the first answer alone; a job's end is then due, until the webhook is gone."""
    made = add(service)
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    path = made.headers["location"]
    stored.dataset()
    job_id = stored.finished_job()
    (listed,) = service.get("/v1/webhooks").json()["items"]
    assert (listed["url"], listed["waiting"], listed["dead"]) == (URL, 1, 0)
    shown = service.get(path)
    assert [(each["kind"], each["state"], each["attempts"]) for each in shown.json()["items"]] == [
        ("job.succeeded", "waiting", 0)
    ]
    assert secret not in shown.text + service.get("/v1/webhooks").text
    with stored.database.read() as session:
        (due,) = webhooks.deliveries(session, made.json()["id"]).items
    assert job_id in due.body
    assert service.delete(path).status_code == 204
    problem(service.get(path), 404, "not-found")
    problem(service.delete(path), 404, "not-found")
    assert service.get("/v1/webhooks").json()["items"] == []


@ON_BOTH
def test_a_repeated_request_makes_one_webhook(service: TestClient) -> None:
    """Under one Idempotency-Key there is one webhook, and its secret is not stored beside the key."""
    first, again = (add(service, **{"Idempotency-Key": "one"}) for _ in range(2))
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json() | {"secret": None}
    assert len(service.get("/v1/webhooks").json()["items"]) == 1


def test_a_test_message_is_due_at_once(service: TestClient, stored: Stored) -> None:
    """It is a message like others, of its own kind; repeated under a key it is one; of no webhook it is a 404."""
    path = add(service).headers["location"]
    sent = [service.post(f"{path}/test", headers={"Idempotency-Key": "try"}).json() for _ in range(2)]
    assert sent[0] == sent[1]
    assert (sent[0]["kind"], sent[0]["state"]) == ("webhook.test", "waiting")
    assert [each["id"] for each in service.get(path).json()["items"]] == [sent[0]["id"]]
    problem(service.post("/v1/webhooks/whk_none/test"), 404, "not-found")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://hooks.example/", "https://"),
        ("ftp://hooks.example/", "https://"),
        ("hooks.example/pskd", "https://"),
        ("https://", "names no host"),
        ("https:///path", "names no host"),
        ("https://münchen.example/", "visible ASCII"),
        ("https://hooks.example/a b", "visible ASCII"),
        ("https://hooks.exa\nmple/", "visible ASCII"),
        ("https://hooks.example/" + "a" * 1990, "at most 2000"),
        ("https://me:secret@hooks.example/", "name or password"),
        ("https://hooks.example\\@127.0.0.1/", "name or password"),
        ("https://hooks.example/#part", "#"),
        ("https://hooks.example:0/", "port 0"),
        ("https://hooks.example:99999/", "cannot be read"),
        ("https://[::1/", "cannot be read"),
        ("https://127.0.0.1/", "not public"),
        ("https://10.1.2.3:8443/", "not public"),
        ("https://[::1]/", "not public"),
        ("https://[::ffff:192.168.1.1]/", "not public"),
        ("https://169.254.169.254/latest/meta-data", "not public"),
    ],
)
def test_a_url_that_may_not_be_is_refused_with_the_place(service: TestClient, url: str, told: str) -> None:
    """What is no https URL of a public host says what to change, points at `url`, and nothing is made."""
    refused = problem(add(service, url), 422, "invalid-request")
    assert [fault["pointer"] for fault in refused["errors"]] == ["/url"]
    assert told in refused["detail"]
    assert service.get("/v1/webhooks").json()["items"] == []


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://10.1.2.3/", 201),
        ("https://10.1.2.3/", 201),
        ("http://internal.example/", 201),  # where its host is, each attempt asks
        ("http://10.2.0.1/", 422),
        ("https://10.2.0.1/", 422),
        ("http://93.184.216.34/", 422),
        ("https://93.184.216.34/", 201),
    ],
)
def test_an_operator_allows_networks(settings: Settings, url: str, status: int) -> None:
    """Inside an allowed network both http and https go; outside it nothing changes, and http goes nowhere else."""
    allowed = Settings.model_validate({**settings.model_dump(), "webhook_networks": "10.1.0.0/16, fd00::/8"})
    with TestClient(create_app(allowed), base_url=HERE) as service:
        assert add(service, url).status_code == status


def test_a_tenant_has_so_many_webhooks(service: TestClient) -> None:
    """One more than may be is refused with the figure, and fits again once another is deleted."""
    made = [add(service) for _ in range(webhooks.MOST)]
    refused = problem(add(service), 429, "quota-exceeded")
    assert str(webhooks.MOST) in refused["detail"]
    service.delete(made[0].headers["location"])
    assert add(service).status_code == 201


@pytest.mark.parametrize("networks", ["10.0.0.1/8", "all", "10.0.0.0/8;fd00::/8"])
def test_a_network_that_is_none_ends_the_start(networks: str) -> None:
    """An operator's slip is named before anything listens."""
    with pytest.raises(ValueError, match="webhook_networks"):
        Settings.model_validate({"webhook_networks": networks})
