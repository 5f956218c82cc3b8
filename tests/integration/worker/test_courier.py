"""Webhooks delivered by the keeper's courier to real servers, from both databases."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from client.webhooks import BadSignature, verify
from store import census, jobs, runs, tally, webhooks
from store.engine import Database
from store.lifecycle import FailureCause
from store.outward import Webhook, WebhookDelivery
from tests.integration.worker.stack import Stack
from tests.receiver import certified, receiving, status
from tests.stored import add_ready_dataset, claim, finish, submit
from worker.courier import Courier

LOOPBACK = (ip_network("127.0.0.0/8"),)
PATIENCE_S = 30.0


@contextmanager
def courier(database: Database, **options: Any) -> Iterator[Courier]:
    """A courier of this test, which sends nothing yet."""
    made = Courier(database, **({"networks": LOOPBACK, "pauses_s": (0.0, 0.0)} | options))
    try:
        yield made
    finally:
        made.close()


@contextmanager
def delivering(database: Database, **options: Any) -> Iterator[None]:
    """A courier that sends whatever is due."""
    stopping = threading.Event()
    with courier(database, **options) as made:

        def go_on() -> None:
            while not stopping.is_set():
                made.send_due()

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()


def hook(database: Database, url: str, *, tenant: str = "default") -> Webhook:
    with database.write() as session:
        return webhooks.create(session, url=url, tenant=tenant)


def probe(database: Database, made: Webhook) -> str:
    with database.write() as session:
        return webhooks.probe(session, made.id, tenant=made.tenant).id


def sent(database: Database, made: Webhook) -> list[WebhookDelivery]:
    """The webhook's messages, oldest first."""
    with database.read() as session:
        found = select(WebhookDelivery).where(WebhookDelivery.webhook_id == made.id).order_by(WebhookDelivery.id)
        return list(session.scalars(found))


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.01)


def ended(database: Database, made: Webhook) -> list[WebhookDelivery]:
    """The webhook's messages, once none of them waits."""
    wait(lambda: all(each.due_at is None for each in sent(database, made)))
    return sent(database, made)


def test_the_end_of_a_job_is_told_once_to_its_own_tenant(database: Database) -> None:
    """Each way a job ends is one signed message that the receiver's helper accepts; another tenant hears nothing."""
    with receiving(status(204)) as receiver, receiving(status(204)) as stranger:
        ours, theirs = hook(database, receiver.url()), hook(database, stranger.url(), tenant="other")
        with database.write() as session:
            add_ready_dataset(session)
            well, badly, never = (submit(session, name=name).id for name in ("well", "badly", "näver"))
            runs.succeed(session, claim(session).claim, finish())
            runs.fail(session, claim(session).claim, cause=FailureCause.NAN_LOSS, detail="loss is NaN")
            jobs.cancel(session, never)
        with delivering(database):
            messages = ended(database, ours)
        told = [verify(each.body, each.headers, ours.secret) for each in receiver.received]
        assert {message.id for message in told} == {row.id for row in messages}
        assert {(message.type, message.data["job_id"], message.data["cause"]) for message in told} == {
            ("job.succeeded", well, None),
            ("job.failed", badly, "nan_loss"),
            ("job.cancelled", never, None),
        }
        assert {message.data["name"] for message in told} == {"well", "badly", "näver"}
        assert {(row.attempts, row.status, row.detail) for row in messages} == {(1, 204, None)}
        assert receiver.received[0].path == "/hook?a=1"
        assert receiver.received[0].headers["host"] == f"127.0.0.1:{receiver.port}"
        assert (stranger.received, sent(database, theirs)) == ([], [])
        first = receiver.received[0]
        with pytest.raises(BadSignature):
            verify(first.body, first.headers, theirs.secret)


def test_a_rolled_back_end_is_not_told(database: Database) -> None:
    """A message belongs to the transaction that ends the job."""
    made = hook(database, "https://hooks.example/")
    with database.write() as session:
        add_ready_dataset(session)
        job = submit(session)

    def cancel_and_fail(session: Session) -> None:
        jobs.cancel(session, job.id)
        raise LookupError

    with pytest.raises(LookupError), database.write() as session:
        cancel_and_fail(session)
    assert sent(database, made) == []


def test_a_repetition_bears_the_same_id(database: Database) -> None:
    """Failures are repeated with id and body unchanged until one attempt is accepted, and every attempt is counted."""
    with receiving(status(500, 404, 200)) as receiver:
        made = hook(database, receiver.url())
        probe(database, made)
        with delivering(database):
            (row,) = ended(database, made)
        told = [verify(each.body, each.headers, made.secret) for each in receiver.received]
    assert [message.id for message in told] == [row.id] * 3
    assert len({each.body for each in receiver.received}) == 1
    assert (row.attempts, row.status, row.detail, row.dead_at) == (3, 200, None, None)
    with database.read() as session:
        counts = {total.label: total.count for total in tally.totals(session)}
        assert census.look(session).messages["webhook"].count == 0
    assert counts == {"failed": 2, "delivered": 1}


def test_what_nobody_accepts_is_given_up_and_shown(database: Database) -> None:
    """After the last attempt the message is dead, with the last reason, and counts in the webhook's backlog."""
    with receiving(status(500, 500, 503)) as receiver:
        made = hook(database, receiver.url())
        probe(database, made)
        with delivering(database):
            (row,) = ended(database, made)
        assert len(receiver.received) == 3
    assert (row.attempts, row.status, row.detail) == (3, 503, "it answered 503")
    assert row.dead_at is not None
    with database.read() as session:
        assert webhooks.backlogs(session, [made.id])[made.id] == webhooks.Backlog(waiting=0, dead=1)
    with database.write() as session:
        webhooks.purge(session, older_than_s=-1)
    assert sent(database, made) == []


def test_pauses_grow_between_attempts(database: Database) -> None:
    """After a failure the message is not due before its pause; another of the same webhook need not wait for it."""
    with receiving(status(500, 200)) as receiver:
        made = hook(database, receiver.url())
        probe(database, made)
        with delivering(database, pauses_s=(3600.0,)):
            wait(lambda: sent(database, made)[0].status == 500)
            probe(database, made)
            wait(lambda: sent(database, made)[1].delivered_at is not None)
            first, _ = sent(database, made)
    assert first.due_at is not None
    assert 3000 < (first.due_at - first.created_at).total_seconds() < 4200
    assert len(receiver.received) == 2


def test_a_keeper_that_dies_leaves_its_message_to_another(database: Database) -> None:
    """What was taken and never written down is sent again once the hold is over, under the same id and by one."""
    with receiving(status(200)) as receiver:
        made = hook(database, receiver.url())
        message_id = probe(database, made)
        with database.write() as session:
            (lost,) = webhooks.take(session, limit=10, hold_s=60)
            assert webhooks.take(session, limit=10, hold_s=60) == []
        with database.write() as session:
            session.get_one(WebhookDelivery, message_id).held_until = None
        with delivering(database), delivering(database):
            (row,) = ended(database, made)
        with database.write() as session:  # the dead one comes to itself
            webhooks.mark_failed(session, lost, status=None, detail="late", again_s=0.0, seconds=1.0)
        assert [each.headers["webhook-id"] for each in receiver.received] == [message_id]
    assert (row.attempts, sent(database, made)[0].due_at) == (2, None)


def slowly(handler: BaseHTTPRequestHandler) -> None:
    """A letter now and then, for ever: no read of a socket times out."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-A: b\r\n")
        time.sleep(0.1)


def endlessly(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


def test_a_slow_receiver_holds_up_nobody(database: Database) -> None:
    """While one drips its answer for ever, others of its tenant and of others are served; then it has timed out."""
    with receiving(slowly) as slow, receiving(status(200)) as swift:
        stuck = hook(database, slow.url())
        others = [hook(database, swift.url(), tenant=tenant) for tenant in ("default", "other")]
        for each in (stuck, stuck, *others, *others):
            probe(database, each)
        with delivering(database, timeout_s=4.0, pauses_s=()):
            for each in others:
                ended(database, each)
            assert [row.due_at is None for row in sent(database, stuck)] == [False, False]
            wait(lambda: sent(database, stuck)[0].dead_at is not None)
            assert sent(database, stuck)[0].detail == "no complete answer within 4 s"
    assert len(swift.received) == 4


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_endless_answer_is_cut_off(database: Database) -> None:
    """A body without end counts as its status says, soon and in bounded memory."""
    with receiving(endlessly) as receiver:
        made = hook(database, receiver.url())
        probe(database, made)
        with delivering(database, timeout_s=20.0):
            (row,) = ended(database, made)
    assert (row.status, row.detail) == (200, None)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_redirects_are_not_followed(database: Database) -> None:
    """What a receiver names as another place is not asked, and cookies of one answer do not come with the next."""
    with receiving(status(200)) as elsewhere:

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(307)
            handler.send_header("Location", elsewhere.url())
            handler.send_header("Set-Cookie", "a=b")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with receiving(answer) as receiver:
            made = hook(database, receiver.url())
            probe(database, made)
            with delivering(database, pauses_s=(0.0,)):
                (row,) = ended(database, made)
        assert elsewhere.received == []
        assert ["cookie" in each.headers for each in receiver.received] == [False, False]
    assert (row.status, row.detail) == (307, "it answered 307; redirects are not followed")


class Names:
    """A name server that says what it is told to, one answer after the other."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers, self.asked = answers, list[str]()

    def __call__(self, host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        addresses = self.answers[host.partition(".")[0]]
        found = addresses.pop(0) if len(addresses) > 1 else addresses[0]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found.split()]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_connects_to_the_very_address_that_was_checked(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is looked up once an attempt and cannot be re-bound in between; TLS still proves the host's name."""
    tls, authority = certified(tmp_path, "hooks.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    names = Names(hooks=["127.0.0.1", "10.0.0.1"], other=["127.0.0.1"])
    monkeypatch.setattr("worker.posting.socket.getaddrinfo", names)
    with receiving(status(204), tls=tls) as receiver:
        made, impostor = hook(database, receiver.url("hooks.example")), hook(database, receiver.url("other.example"))
        probe(database, made)
        probe(database, impostor)
        with delivering(database, pauses_s=()):
            (row,), (other,) = ended(database, made), ended(database, impostor)
            assert row.status == 204
            assert receiver.received[0].headers["host"] == f"hooks.example:{receiver.port}"
            assert sorted(names.asked) == ["hooks.example", "other.example"]
            assert (other.status, "CERTIFICATE_VERIFY_FAILED" in str(other.detail)) == (None, True)
            probe(database, made)
            _, again = ended(database, made)
    assert (again.status, "not public" in str(again.detail)) == (None, True)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "addresses",
    ["", "127.0.0.1", "93.184.216.34 127.0.0.1", "127.0.0.1 93.184.216.34", "169.254.169.254", "100.64.0.1"],
)
def test_no_address_inside_is_connected_to(database: Database, monkeypatch: pytest.MonkeyPatch, addresses: str) -> None:
    """A name of which one address is not public is refused whole, before any connection, like one that nobody knows."""
    monkeypatch.setattr("worker.posting.socket.getaddrinfo", Names(hooks=[addresses]))
    with socket.socket() as inside:
        inside.bind(("127.0.0.1", 0))
        inside.listen()
        inside.setblocking(False)
        made = hook(database, f"https://hooks.example:{inside.getsockname()[1]}/")
        probe(database, made)
        with delivering(database, networks=(), pauses_s=()):
            (row,) = ended(database, made)
        with pytest.raises(BlockingIOError):  # nobody has come
            inside.accept()
    assert str(row.detail).startswith("not sent: its host has no address, or one that is not public")
    assert not [each for each in addresses.split() if each in str(row.detail)]


def test_a_webhook_deleted_under_way_takes_its_messages_along(database: Database) -> None:
    """Deleting while a message is being sent, or waits, leaves nothing to send and disturbs nobody."""
    may_go_on = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        may_go_on.wait(PATIENCE_S)
        status(200)(handler)

    with receiving(answer) as slow, receiving(status(200)) as swift:
        gone, stays = hook(database, slow.url()), hook(database, swift.url())
        for each in (gone, gone, stays):
            probe(database, each)
        with delivering(database):
            wait(lambda: slow.received)
            with database.write() as session:
                webhooks.remove(session, gone.id)
            may_go_on.set()
            probe(database, stays)
            assert len(ended(database, stays)) == 2
        assert (sent(database, gone), len(slow.received)) == ([], 1)


def test_the_keeper_delivers(sqlite_stack: Stack) -> None:
    """The process that operators start delivers to a network that its settings allow, and ends in good order."""
    with receiving(status(200)) as receiver:
        made = hook(sqlite_stack.database, receiver.url())
        probe(sqlite_stack.database, made)
        keeper = sqlite_stack.start("worker.keeper", webhook_networks=["127.0.0.0/8"])
        (row,) = ended(sqlite_stack.database, made)
        keeper.terminate()
        assert keeper.wait(20) == 0
    assert (row.status, len(receiver.received)) == (200, 1)


def test_a_receiver_s_bytes_are_json(database: Database) -> None:
    """Hostile names arrive as they are, in ASCII JSON."""
    with receiving(status(200)) as receiver:
        made = hook(database, receiver.url())
        with database.write() as session:
            add_ready_dataset(session)
            jobs.cancel(session, submit(session, name='"},\u2028{"é').id)
        with delivering(database):
            ended(database, made)
    assert receiver.received[0].body.isascii()
    assert json.loads(receiver.received[0].body)["data"]["name"] == '"},\u2028{"é'
