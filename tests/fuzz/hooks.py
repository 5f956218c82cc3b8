"""What schemathesis cannot know of this service; loaded by its own process."""

import json
import os
from itertools import count
from typing import Any

import schemathesis
from schemathesis import Case, HookContext

from tests.small import SMALL_SPEC

OWN_KEY = "PSKD_FUZZ_KEY_ID"  # of the key that all requests bear
SPARE_KEY = "PSKD_FUZZ_SPARE_KEY_ID"  # of one that nobody bears
_JOB: dict[str, Any] = {
    "dataset": "tiny", "method": {"kind": "none"}, "student": SMALL_SPEC["student"], "training": {"epochs": 2},
}  # fmt: skip
BASES: dict[str, dict[str, Any]] = {
    "POST /v1/jobs": _JOB,
    "POST /v1/sweeps": {
        "base": {**_JOB, "validation": {"kind": "trials", "trials": ["1"]}},
        "space": {"training.epochs": {"choices": [2, 3]}},
    },
    "POST /v1/webhooks": {"url": "http://127.0.0.1:9/told"},
    "PUT /v1/models/{name}/aliases/{alias}": {"version": 2, "force": True, "reason": "to see it move"},
}
_numbers = count()
_LONGEST_KEY = 240  # with a number it is still below 255
_RECORDING = b"time,x (g),y (g),z (g)\n" + b"".join(b"%.2f,0.1,0.9,0.2\n" % (place / 50) for place in range(100))


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """A campaign that revokes its own key would only see 401 from then on; and what is made is made anew.

    A repeated Idempotency-Key tells of what was made first, which may have been deleted since: that looks like a thing
    that vanished. What is meant to be refused makes nothing and is sent as it is: schemathesis judges a changed case
    anew, and then no longer leaves out the header that it meant to leave out.
    """
    meant_wrong = case.meta is not None and case.meta.generation.mode.is_negative
    if case.path_parameters.get("key_id") == os.environ[OWN_KEY]:
        case.path_parameters["key_id"] = os.environ[SPARE_KEY]
    for name in [each for each in case.headers if each.lower() == "idempotency-key"]:
        # What is refused for its length stays so.
        if not meant_wrong and 0 < len(case.headers[name]) <= _LONGEST_KEY:
            case.headers[name] += f"-{next(_numbers)}"


@schemathesis.hook
def map_body(context: HookContext, body: Any) -> Any:
    """Half of the bodies of which a generated one is never accepted: they become what is, or are laid over it."""
    size = len(repr(body))
    if size % 2 or context.operation is None:
        return body
    operation = context.operation.label
    if operation in BASES and isinstance(body, dict):
        kept = {name: value for place, (name, value) in enumerate(body.items()) if place == size // 2 % 8}
        return json.loads(json.dumps(BASES[operation])) | (kept if size % 4 else {})
    if operation.endswith("/classify"):
        return {"file": _RECORDING} if isinstance(body, dict) else _RECORDING
    return body
