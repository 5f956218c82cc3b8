"""The contract as a document: `python -m api --openapi > openapi.json`."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.errors import ProblemDetails
from api.schemas.datasets import ImportRequest


def describe(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, with the schemas that only hand-written parts refer to."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    _, ours = models_json_schema(
        [(ProblemDetails, "validation"), (ImportRequest, "validation")], ref_template="#/components/schemas/{model}"
    )
    schemas = document["components"]["schemas"] | ours["$defs"]
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def as_text(document: dict[str, Any]) -> str:
    """The document as it is kept in git."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
