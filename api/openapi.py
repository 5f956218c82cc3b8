"""The contract as a document: `python -m api --openapi > openapi.json`."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.access import SCOPES, STREAMS
from api.errors import ProblemDetails, documented
from api.schemas.datasets import ImportRequest
from api.schemas.open_inference import InferRequest
from store.keys import Scope

_SCHEME = "api_key"
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "pskd_…",
    "description": (
        "An API key, with the scope that stands at each operation; another tenant's things are not found. "
        "A service that listens on its own machine alone may ask for none."
    ),
}

_PROTOCOL = (
    "A WebSocket, which OpenAPI cannot describe: docs/streaming.md has its parameters, messages and close codes."
)


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
        [(each, "validation") for each in (ProblemDetails, ImportRequest, InferRequest)],
        ref_template="#/components/schemas/{model}",
    )
    schemas = document["components"]["schemas"] | ours["$defs"]
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    document["components"]["securitySchemes"] = {_SCHEME: _KEY}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _secure(operation, SCOPES[f"{method.upper()} {path}"])
    document["x-websockets"] = {
        operation.removeprefix("WS "): {"security": [{_SCHEME: [scope.value]}], "description": _PROTOCOL}
        for operation, scope in STREAMS.items()
    }
    return document


def _secure(operation: dict[str, Any], scope: Scope | None) -> None:
    """Say which scope an operation needs, and how it is refused without a key."""
    operation["security"] = [] if scope is None else [{_SCHEME: [scope.value]}]
    if scope is not None:
        refused = {str(status): answer for status, answer in documented(401).items() if status == 401}
        operation["responses"] = dict(sorted((operation["responses"] | refused).items()))


def as_text(document: dict[str, Any]) -> str:
    """The document as it is kept in git."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
