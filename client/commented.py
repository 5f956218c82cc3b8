"""A job spec as a file for people: every field with its value, and above it what it means and may be."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

import yaml

from pskd_core.config import JobSpec

_WIDTH = 100
_BOUNDS = (
    ("minimum", "from {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "to {}"),
    ("exclusiveMaximum", "below {}"),
)

Schema = Mapping[str, Any]


def commented(spec: JobSpec) -> str:
    """YAML that reads back as this spec, with a comment at every field that says more than its name."""
    schema = JobSpec.model_json_schema()
    head = ["# A job: what is trained, on what, and how it is judged. Fields that are left out keep these values."]
    return "\n".join([*head, *_mapping(spec.model_dump(mode="json"), schema, schema["$defs"], 0)]) + "\n"


def _mapping(values: Mapping[str, Any], schema: Schema, defs: Schema, depth: int) -> Iterator[str]:
    fields = schema["properties"]
    for name, value in values.items():
        field = fields[name]
        if depth == 0:
            yield ""
        if name != "kind":  # its alternatives stand above what it is the kind of
            yield from _comment(field, defs, depth)
        yield from _entry(name, value, _chosen(field, value, defs), defs, depth)


def _entry(name: str, value: Any, schema: Schema, defs: Schema, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, dict) and "properties" in schema:
        yield f"{indent}{name}:"
        yield from _mapping(value, schema, defs, depth + 1)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield f"{indent}{name}:"
        for item in value:
            first, *others = _mapping(item, _chosen(schema["items"], item, defs), defs, depth + 2)
            while first.lstrip().startswith("#"):
                yield f"{indent}  {first.lstrip()}"
                first, *others = others
            yield f"{indent}  - {first.lstrip()}"
            yield from others
    else:
        yield f"{indent}{name}: {_plain(value)}"


def _plain(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("...").strip()


def _chosen(schema: Schema, value: Any, defs: Schema) -> Schema:
    """What describes this very value: behind references, of several the one of its kind."""
    if "$ref" in schema:
        return _chosen(defs[schema["$ref"].rpartition("/")[2]], value, defs)
    options: Sequence[Schema] = schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf") or ()
    if "discriminator" in schema:
        return _chosen({"$ref": schema["discriminator"]["mapping"][value["kind"]]}, value, defs)
    for option in options:
        if option.get("type") != "null":
            return _chosen(option, value, defs)
    return schema


def _comment(field: Schema, defs: Schema, depth: int) -> Iterator[str]:
    said = [part for part in (field.get("description"), _allowed(field, defs)) if part]
    yield from wrap("; ".join(said), _WIDTH, initial_indent="  " * depth + "# ", subsequent_indent="  " * depth + "# ")


def _allowed(field: Schema, defs: Schema) -> str:
    """The values that a field takes, where they are few or bounded."""
    if "discriminator" in field:
        return "kind: " + " | ".join(field["discriminator"]["mapping"])
    if "$ref" in field:
        return _allowed(defs[field["$ref"].rpartition("/")[2]], defs) if "enum" in str(field) else ""
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "anyOf" in field:
        return " ".join(filter(None, (_allowed(option, defs) for option in field["anyOf"])))
    if field.get("type") == "null":
        return "or null"
    if field.get("type") == "boolean":
        return "true | false"
    bounds = [text.format(f"{field[name]:g}") for name, text in _BOUNDS if name in field]
    return " ".join(bounds)
