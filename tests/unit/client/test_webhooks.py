"""The helper for receivers: what it accepts, and everything that it does not."""

import base64
import hashlib
import hmac
import json

import pytest

from client.webhooks import BadSignature, verify
from worker.posting import signed

# The example of the specification of Standard Webhooks, and what its own libraries say of it.
SPEC_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SPEC_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
SPEC_BODY = b'{"test": 2432232314}'

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
BODY = json.dumps({"type": "job.succeeded", "timestamp": "2026-01-01T00:00:00Z", "data": {"job_id": "job_1"}}).encode()
NOW_S = 1_800_000_000.0


def headers(*, secret: str = SECRET, at_s: float = NOW_S, body: bytes = BODY) -> dict[str, str]:
    return signed("msg_1", body, secret, at_s=int(at_s))


def test_the_specification_s_example_has_our_signature() -> None:
    """Sender and receiver agree with the published vector, not only with one another."""
    assert signed(SPEC_HEADERS["webhook-id"], SPEC_BODY, SPEC_SECRET, at_s=1614265330) == SPEC_HEADERS


def test_what_the_service_signs_is_accepted() -> None:
    """Whatever the case of headers' names, among signatures of other versions and keys, and while secrets change."""
    message = verify(BODY, headers(), SECRET, now_s=NOW_S)
    assert (message.id, message.type, message.data) == ("msg_1", "job.succeeded", {"job_id": "job_1"})
    loud = {name.title(): value for name, value in headers().items()}
    loud["Webhook-Signature"] = f"v1a,zzz v1,AAAA v1,!! {loud['Webhook-Signature']} v1,"
    other = "whsec_" + base64.b64encode(b"o" * 24).decode()
    assert verify(BODY, loud, [other, SECRET], now_s=NOW_S) == message


@pytest.mark.parametrize("late_s", [-300, -299, 0, 300])
def test_clocks_may_differ_a_little(late_s: float) -> None:
    """Up to the tolerance either way."""
    assert verify(BODY, headers(at_s=NOW_S - late_s), SECRET, now_s=NOW_S).id == "msg_1"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"webhook-id": "msg_2"}, "fits neither"),
        ({"webhook-timestamp": str(int(NOW_S) + 1)}, "fits neither"),
        ({"webhook-timestamp": str(int(NOW_S) + 301)}, "clock"),
        ({"webhook-timestamp": str(int(NOW_S) - 301)}, "clock"),
        ({"webhook-timestamp": "now"}, "no number"),
        ({"webhook-timestamp": "٣"}, "no number"),
        ({"webhook-signature": ""}, "fits neither"),
        ({"webhook-signature": "v2,AAAA"}, "fits neither"),
        ({"webhook-signature": headers(secret="whsec_" + base64.b64encode(b"o" * 32).decode())["webhook-signature"]},
         "fits neither"),
        ({"webhook-id": None}, "missing"),
        ({"webhook-timestamp": None}, "missing"),
        ({"webhook-signature": None}, "missing"),
    ],
)  # fmt: skip
def test_what_was_changed_or_is_of_another_time_is_refused(change: dict[str, str | None], told: str) -> None:
    """Another id, time, signature or key, and each header that lacks."""
    sent = {name: value for name, value in (headers() | change).items() if value is not None}
    with pytest.raises(BadSignature, match=told):
        verify(BODY, sent, SECRET, now_s=NOW_S)


def test_a_changed_body_is_refused() -> None:
    """Each single byte counts, also one more."""
    changed = [BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :] for place in range(len(BODY))]
    for body in [*changed, BODY + b" ", b""]:
        with pytest.raises(BadSignature, match="fits neither"):
            verify(body, headers(), SECRET, now_s=NOW_S)


@pytest.mark.parametrize("body", [b"null", b"[]", b"{", b'{"type": "x"}', b"\xff"])
def test_what_is_signed_and_no_message_is_refused(body: bytes) -> None:
    """A receiver meets one kind of error, whatever a secret's other user signs."""
    with pytest.raises(BadSignature, match="no message"):
        verify(body, headers(body=body), SECRET, now_s=NOW_S)


def test_a_secret_that_is_none_is_named_as_such() -> None:
    """A mistake of the receiver's own is no matter of the message."""
    with pytest.raises(ValueError, match="whsec_"):
        verify(BODY, headers(), "whsec_not base64", now_s=NOW_S)


def test_the_signature_is_the_plain_formula() -> None:
    """A second implementation of the signature: HMAC-SHA256 of id, time and body under the decoded secret."""
    digest = hmac.new(b"k" * 32, b"msg_1.1800000000." + BODY, hashlib.sha256).digest()
    assert headers()["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
