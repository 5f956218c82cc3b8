"""Webhooks as the service answers them, and how a receiver knows that a message is the service's.

Example, in whatever serves HTTP:
    try:
        message = verify(body, headers, secret)
    except BadSignature:
        return 400
    if message.type == "job.succeeded":
        fetch(message.data["job_id"])
    return 204
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from client.answers import Answer
from client.errors import ClientError

TOLERANCE_S = 300.0
_PREFIX = "whsec_"


class Webhook(Answer):
    """Where the service tells of jobs that end."""

    id: str
    url: str
    created_at: datetime
    waiting: int
    dead: int
    secret: str | None = None  # only from whoever has just made it


class Delivery(Answer):
    """One message to a webhook, and what became of it."""

    id: str
    kind: str
    state: str
    attempts: int
    status: int | None
    detail: str | None
    created_at: datetime
    due_at: datetime | None
    delivered_at: datetime | None
    dead_at: datetime | None


class Message(Answer):
    """What a receiver is told."""

    id: str  # the same when it comes again
    type: str
    timestamp: datetime
    data: dict[str, Any]


class BadSignature(ClientError):
    """What came is not from this service, was changed on the way, or is not of now."""

    remedy = "answer 400; if it is the service's own, compare the secret and both clocks"


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Collection[str],
    *,
    tolerance_s: float = TOLERANCE_S,
    now_s: float | None = None,
) -> Message:
    """The message in a request, if one of these secrets has signed it and it was sent about now.

    A message may come more than once, always with the same `id`: remember the ids of the last days.

    Args:
        body: as it came, to the byte.
        headers: whatever the case of their names.
        secret: `whsec_…`, or several while one replaces another.
        tolerance_s: by how much the clocks may differ, either way.
        now_s: the receiver's clock in seconds since 1970; by default this machine's.

    Raises:
        BadSignature: with what does not fit.
        ValueError: a secret cannot be one.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, sent, signatures = (given[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise BadSignature(f"the header {missing} is missing") from None
    if not (sent.isascii() and sent.isdecimal()):
        raise BadSignature("webhook-timestamp is no number of seconds")
    if abs((time.time() if now_s is None else now_s) - int(sent)) > tolerance_s:
        raise BadSignature(f"webhook-timestamp is more than {tolerance_s:g} s from this machine's clock")
    signed = f"{message_id}.{sent}.".encode() + body
    secrets = [secret] if isinstance(secret, str) else secret
    expected = [hmac.digest(_key(each), signed, hashlib.sha256) for each in secrets]
    shown = [_decoded(each.removeprefix("v1,")) for each in signatures.split() if each.startswith("v1,")]
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in shown):
        raise BadSignature("webhook-signature fits neither the body nor the secret")
    try:
        return Message(id=message_id, **json.loads(body))
    except (ValueError, TypeError) as strange:
        raise BadSignature("the body is signed, but is no message of this service") from strange


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"a secret is {_PREFIX} and base64, as it was shown when the webhook was made") from None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
