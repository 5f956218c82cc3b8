"""A value of a wrong kind is refused wherever a spec has one: what the contract's campaign cannot judge by itself."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pskd_core.config import parse_spec
from tests.integration.api.stored import SPEC, Stored
from tests.integration.api.test_conventions import problem

_TEACHERS = [
    {"name": "skeleton", "inputs": ["skeleton"], "backbone": {"kind": "agcn"}},
    {"name": "fusion", "inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn"}},
]
_WHOLE = parse_spec({**SPEC, "method": {"kind": "distill", "teachers": _TEACHERS}}).model_dump(mode="json")
_SWEEP = {
    "name": "a sweep",
    "base": {**_WHOLE, "validation": {"kind": "trials", "trials": ["1"]}},
    "space": {"training.epochs": {"choices": [2, 3]}},
    "search": {"kind": "grid"},
    "metric": "accuracy",
}
_WRONG: tuple[Any, ...] = ({"a": {"b": []}}, [[[]]])


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values that hold no others."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [place for key, each in inner for place in leaves(each, (*path, key))]
    return iter(found or [path])


def spoilt(body: dict[str, Any], path: tuple[Any, ...], wrong: Any) -> dict[str, Any]:
    """The body with something else at that place."""
    body = copy.deepcopy(body)
    place: Any = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = wrong
    return body


@pytest.mark.parametrize(("route", "body"), [("jobs", _WHOLE), ("sweeps", _SWEEP)], ids=["jobs", "sweeps"])
def test_every_leaf_of_a_spec_keeps_its_kind(
    service: TestClient, stored: Stored, route: str, body: dict[str, Any]
) -> None:
    """An object or a list of lists in the place of any value is a 422 that points at its field; nothing is made."""
    stored.dataset()
    places = list(leaves(body))
    assert len(places) > 50
    for path in places:
        for wrong in _WRONG:
            faults = problem(service.post(f"/v1/{route}", json=spoilt(body, path, wrong)), 422, "invalid-spec")[
                "errors"
            ]
            field = f"/{path[0]}"  # deeper down a union may be told apart by another field, or a space by all of it
            assert all(str(fault["pointer"]).startswith(field) for fault in faults), (path, faults)
    assert service.get(f"/v1/{route}").json()["items"] == []
    answer = service.post(f"/v1/{route}", json=body)
    assert answer.status_code == 202, answer.text


def test_an_option_in_a_form_is_not_passed_over(service: TestClient, stored: Stored) -> None:
    """`curl -F rate_hz=50` would be classified at another rate; the refusal says where options stand."""
    stored.dataset()
    stored.judged_job({0: stored.truth()})
    files = {"file": ("a.csv", b"x,y,z\n" + b"0.1,0.2,0.9\n" * 100)}
    url = "/v1/models/tiny/classify"
    fault = problem(service.post(url, files=files, data={"rate_hz": "50"}), 422, "invalid-request")
    assert "rate_hz" in fault["detail"]
    assert "address" in fault["detail"]
    assert service.post(url, files=files, params={"rate_hz": 50}).status_code == 200
