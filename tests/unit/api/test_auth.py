"""Who gets in without a key: this machine's programs and our own pages."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.types import Message, Receive, Scope, Send

from api.auth import NotLoopback, OriginGuard, check_listening, own_hosts
from store.settings import Settings

HERE = {"host": "127.0.0.1:8750"}


def status_for(headers: dict[str, str], *, method: str = "GET", hosts: Collection[str] = ()) -> int:
    """The status of a request with these headers; 200 if it gets past the guard."""
    answered: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])

    async def receive() -> Message:
        return {"type": "http.request"}

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope: dict[str, Any] = {
        "type": "http", "method": method, "path": "/v1/jobs", "headers": raw, "state": {"request_id": "r"}
    }  # fmt: skip
    asyncio.run(OriginGuard(app, hosts=hosts)(scope, receive, send))
    return answered[0]


@pytest.mark.parametrize("host", ["localhost", "localhost:8750", "127.0.0.1:8750", "127.8.9.1", "[::1]:8750"])
def test_every_name_of_this_machine_is_answered(host: str) -> None:
    """Programs may call loopback by any of its names."""
    assert status_for({"host": host}) == 200


@pytest.mark.parametrize("host", ["", "evil.example:8750", "192.168.0.2", "localhost.evil.example", "[::1", "[]"])
def test_a_name_that_was_bound_to_this_machine_is_refused(host: str) -> None:
    """A foreign name that resolves to 127.0.0.1 would make a foreign page our origin (DNS rebinding)."""
    assert status_for({"host": host}) == 403


def test_our_own_pages_are_answered() -> None:
    """A page served from here sends its origin along."""
    assert status_for(HERE | {"origin": "http://127.0.0.1:8750", "sec-fetch-site": "same-origin"}, method="POST") == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:3000", "http://localhost:8750", ""]
)
def test_a_foreign_page_is_refused(origin: str) -> None:
    """A page of another origin, also one on this machine, must not submit jobs with its visitor's rights."""
    assert status_for(HERE | {"origin": origin}, method="POST") == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_without_origin_from_a_foreign_page_is_refused(site: str) -> None:
    """A picture or script tag sends no Origin, but browsers say where it stands."""
    assert status_for(HERE | {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}) == 403


def test_a_link_from_elsewhere_may_be_followed() -> None:
    """Opening our pages from a bookmark or another page shows them to the visitor, not to the other page."""
    followed = HERE | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert status_for(followed) == 200
    assert status_for(followed, method="POST") == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_listening_on_loopback_needs_no_key(host: str) -> None:
    """Embedded mode starts as it is."""
    check_listening(Settings(host=host))


@pytest.mark.parametrize("host", ["::", "192.168.0.2", "example.org", ""])
def test_listening_elsewhere_is_refused(host: str) -> None:
    """Without keys nothing would keep strangers out, so the service does not start; the message says what to set."""
    with pytest.raises(NotLoopback, match="PSKD_HOST"):
        check_listening(Settings(host=host))


def test_listening_elsewhere_with_keys_is_allowed() -> None:
    """A container listens on all its addresses once keys are asked for; it must be said, never guessed."""
    check_listening(Settings(host="::", require_keys=True, allowed_hosts=("pskd.example.org",)))
    with pytest.raises(ValidationError):
        Settings.model_validate({"require_keys": "perhaps"})


def test_foreign_names_without_keys_are_refused() -> None:
    """Whoever allows hosts and forgets the keys is told so at the start."""
    with pytest.raises(NotLoopback, match="PSKD_REQUIRE_KEYS"):
        check_listening(Settings(allowed_hosts=("pskd.example.org",)))
    assert own_hosts(Settings(allowed_hosts=("pskd.example.org",))) == frozenset()


def test_own_names_are_answered_with_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """With keys the service answers to the names that its operator lists, and still to no foreign page."""
    monkeypatch.setenv("PSKD_ALLOWED_HOSTS", "pskd.example.org, 10.0.0.5")
    hosts = own_hosts(Settings(host="192.0.2.7", require_keys=True))
    for host in ("pskd.example.org", "PSKD.example.org:8443", "10.0.0.5:8000", "192.0.2.7:8000", "127.0.0.1:8000"):
        assert status_for({"host": host, "origin": f"https://{host}"}, hosts=hosts) == 200
        assert status_for({"host": host, "origin": "https://evil.example"}, hosts=hosts) == 403
    assert status_for({"host": "evil.example"}, hosts=hosts) == 403


@pytest.mark.parametrize("host", ["https://pskd.example.org", "pskd.example.org:8000", "*"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    """A host that would never match is found when the service starts."""
    with pytest.raises(ValidationError, match="without scheme and port"):
        Settings(allowed_hosts=(host,))
