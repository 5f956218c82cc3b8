"""The contract is frozen, complete and says what every route does."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.errors import ProblemDetails
from api.main import create_app
from api.openapi import as_text
from api.schemas.datasets import ImportRequest
from store.settings import Settings

FROZEN = Path(__file__).resolve().parents[3] / "openapi.json"
APP = create_app(Settings())
DOCUMENT = APP.openapi()
OPERATIONS = [
    pytest.param(operation, id=f"{method} {path}")
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]


def test_the_contract_is_the_one_in_git() -> None:
    """A change of the contract is deliberate: `python -m api --openapi > openapi.json`, and somebody reads it."""
    assert FROZEN.read_text(encoding="utf-8") == as_text(DOCUMENT)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_says_in_one_sentence_what_it_does(operation: dict[str, Any]) -> None:
    """A reader of the document needs no source code."""
    description = operation["description"]
    assert description.endswith(".")
    assert "\n" not in description


@pytest.mark.parametrize("operation", OPERATIONS)
def test_errors_are_problems(operation: dict[str, Any]) -> None:
    """Each error that a route documents has the one shape of problem+json."""
    errors = [answer for status, answer in operation["responses"].items() if status >= "400"]
    assert all(list(answer["content"]) == ["application/problem+json"] for answer in errors)


def test_every_reference_leads_somewhere() -> None:
    """A generated client finds every schema."""
    text = json.dumps(DOCUMENT)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named == set(DOCUMENT["components"]["schemas"])


def test_our_own_schemas_hide_no_other() -> None:
    """Two models of one name would silently become one."""
    generated = get_openapi(title="", version="", routes=APP.routes, separate_input_output_schemas=False)
    models = [(ProblemDetails, "validation"), (ImportRequest, "validation")]
    _, ours = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    theirs = generated["components"]["schemas"]
    shared = ours["$defs"].keys() & theirs.keys()
    assert {name: ours["$defs"][name] for name in shared} == {name: theirs[name] for name in shared}


def test_a_job_is_described_field_by_field() -> None:
    """The body of a submission is taken as it comes, but documented as the spec with a preset."""
    body = DOCUMENT["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = DOCUMENT["components"]["schemas"][body["$ref"].rsplit("/", 1)[1]]
    assert {"preset", "dataset", "method", "seeds"} <= schema["properties"].keys()
