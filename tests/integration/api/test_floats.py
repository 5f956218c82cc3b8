"""Bare float32 samples: the labels of the same samples in a file, and every refusal."""

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from store.settings import Settings
from tests.integration.api.conftest import HERE
from tests.integration.api.stored import Stored
from tests.integration.api.test_classify import RATE_HZ, URL, as_npy, resting, service  # noqa: F401
from tests.integration.api.test_conventions import problem

STATED: dict[str, Any] = {"format": "float32", "rate_hz": RATE_HZ, "unit": "g"}
RAW = {"Content-Type": "application/octet-stream"}
PER_G = {"g": 1.0, "m/s^2": 9.80665, "mg": 1000.0}


def ask(service: TestClient, values: np.ndarray, **stated: Any) -> Any:  # noqa: F811
    params = {name: value for name, value in (STATED | stated).items() if value is not None}
    return service.post(URL, content=values.astype("<f4").tobytes(), params=params, headers=RAW)


@pytest.mark.parametrize("unit", list(PER_G))
@pytest.mark.parametrize("seconds", [2.0, 7.0, 120.0])  # one window, several, and more than is answered at once
def test_bare_samples_have_the_labels_of_a_file(service: TestClient, seconds: float, unit: str) -> None:  # noqa: F811
    """Whatever their number and unit: what differs is what was understood of the format."""
    values = resting(0, 2, seconds=seconds / 2).astype("<f4")
    answer = ask(service, values * PER_G[unit], unit=unit)
    assert answer.status_code == 200, answer.text
    stated = {name: STATED[name] for name in ("rate_hz", "unit")}
    same = service.post(URL, content=as_npy(values), params=stated, headers=RAW).json()
    told = answer.json()
    assert (told["input"].pop("format"), same["input"].pop("format")) == ("float32", "npy")
    assert told["input"].pop("unit") == unit
    assert told["label"] == same["label"]
    for mine, theirs in zip(told["windows"], same["windows"], strict=True):
        assert mine["probabilities"] == pytest.approx(theirs["probabilities"], abs=1e-5)
    assert [each["label"] for each in told["windows"]] == [each["label"] for each in same["windows"]]
    assert told["model"] == same["model"]


def test_segments_come_as_csv_too(service: TestClient) -> None:  # noqa: F811
    """As for any recording."""
    content = resting(1).astype("<f4").tobytes()
    answer = service.post(URL, content=content, params=STATED, headers=RAW | {"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "along_y" in answer.text


@pytest.mark.parametrize(
    ("stated", "parameters"),
    [
        ({"rate_hz": None}, ["rate_hz"]),
        ({"unit": None}, ["unit"]),
        ({"rate_hz": None, "unit": None}, ["rate_hz", "unit"]),
        ({"columns": "1,2,3"}, ["columns"]),
        ({"format": "float64"}, ["format"]),
        ({"rate_hz": 0}, ["rate_hz"]),
        ({"version": 1, "alias": "champion"}, ["alias"]),
        ({"top_k": "many"}, ["top_k"]),
        ({"overlap": 1}, ["overlap"]),
    ],
)
def test_what_must_be_stated_is_named(
    service: TestClient,  # noqa: F811
    stated: dict[str, Any],
    parameters: list[str],
) -> None:
    """Nothing of bare samples is guessed; each parameter that is missing or wrong is named."""
    faults = problem(ask(service, resting(0), **stated), 422, "invalid-request")["errors"]
    assert [fault["parameter"] for fault in faults] == parameters


@pytest.mark.parametrize(
    ("spoil", "detail"),
    [
        (lambda raw: raw[:-1], "no whole samples"),
        (lambda raw: raw[:12], "samples"),
        (lambda raw: raw[:120] + np.array([np.nan], "<f4").tobytes() + raw[124:], "row 11"),
        (lambda raw: raw[:124] + np.array([1e9], "<f4").tobytes() + raw[128:], "row 11"),
    ],
)
def test_what_is_no_sample_is_refused_with_its_place(service: TestClient, spoil: Any, detail: str) -> None:  # noqa: F811
    """Half a sample, one alone, what is not finite and what no sensor measures."""
    answer = service.post(URL, content=spoil(resting(0).astype("<f4").tobytes()), params=STATED, headers=RAW)
    told = problem(answer, 422, "unusable-data")
    assert detail in told["detail"] or f"row {told['row']}" == detail


def test_a_promotion_holds_at_once_where_it_was_made(stored: Stored, settings: Settings) -> None:
    """The version that is remembered for a second is forgotten when it is changed in the same process."""
    stored.dataset()
    stored.finished_job(seeds=[0, 1])
    with TestClient(create_app(settings), base_url=HERE) as client:
        champion = client.get("/v1/models/tiny").json()["aliases"]["champion"]
        assert ask(client, resting(0)).json()["model"]["version"] == champion
        body = {"version": 3 - champion, "force": True, "reason": "to see it move"}
        assert client.put("/v1/models/tiny/aliases/champion", json=body, headers={"If-Match": "*"}).status_code == 200
        assert ask(client, resting(0)).json()["model"]["version"] == 3 - champion
        assert client.delete("/v1/models/tiny", params={"force": True}).status_code == 200
        problem(ask(client, resting(0)), 404, "not-found")
