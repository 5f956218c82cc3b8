"""JSON as it is accepted: every value that no field may hold is found, whatever the body's form."""

import json
from typing import Any

import pytest

from api.body import parse_json
from api.errors import Refusal


def refused(body: bytes) -> Refusal:
    """The refusal of a body."""
    with pytest.raises(Refusal) as refusal:
        parse_json(body)
    return refusal.value


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"a": {"b": NaN}}', "/a/b"),
        (b'{"a": [1, Infinity]}', "/a/1"),
        (b'{"a": -Infinity}', "/a"),
        (b'{"a/b~c": 1e999}', "/a~1b~0c"),
        (rb'["\ud800"]', "/0"),
        (rb'{"a": "\u0000"}', "/a"),
        (b"NaN", ""),
    ],
)
def test_a_value_that_no_field_may_hold_is_pointed_at(body: bytes, pointer: str) -> None:
    """NaN, infinities (also as 1e999), NUL and half surrogates are refused with a pointer to each."""
    refusal = refused(body)
    assert refusal.status_code == 422
    assert [fault.pointer for fault in refusal.errors] == [pointer]


def test_a_name_that_no_field_may_have_is_refused() -> None:
    """Member names are looked at like values, and the refusal itself can be encoded."""
    refusal = refused(rb'{"\ud800": {"a": NaN}}')
    assert {fault.pointer for fault in refusal.errors} == {"", "/?/a"}
    json.dumps([fault.model_dump() for fault in refusal.errors]).encode()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"{'a': 1}", b"\xff", b'{"a": 1' + b"0" * 5000 + b"}", b"[" * 100_000 + b"]" * 100_000]
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    """Broken, wrongly encoded, endless and bottomless bodies are refused, not crashed on."""
    assert refused(body).status_code == 400


def test_depth_and_width_are_the_senders_choice() -> None:
    """A deep body is read without recursion of ours, and many faults below a long name do not multiply it."""
    deep: Any = 1.5
    for _ in range(400):
        deep = [{"a": deep}]
    assert parse_json(json.dumps(deep).encode()) == deep
    wide = b'{"' + b"n" * 100_000 + b'": [' + b"NaN, " * 100_000 + b"1]}"
    assert len(refused(wide).errors) == 10


def test_ordinary_json_passes() -> None:
    """What a client sends arrives as it was sent."""
    value = {"a": [1, -2.5e-3, "ä\t𝄞", None, True], "": {}}
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value
