"""What the reference says of the code, made from the code each time the site is built: so that it cannot be stale."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer
from prometheus_client.metrics_core import Metric
from typer.cli import get_docs_for_click

from api import errors
from api.figures import Figures, SystemFigures
from client.cli import app
from pskd_core.config import JobSpec, preset_names
from pskd_core.published import published_rows
from pskd_core.sweep import Sweep
from store.engine import Database
from store.migrate import upgrade

Schema = Mapping[str, Any]

_ROOT = Path(__file__).resolve().parents[1]
_PRESETS = _ROOT / "pskd_core" / "presets"
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<", "minItems": "items ≥"}
_COMMON = {"401", "403", "408", "422", "429", "500", "503"}  # of nearly every operation


def operations() -> str:
    """Every operation of openapi.json, by tag, and the schemas that they speak of."""
    contract = json.loads((_ROOT / "openapi.json").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation["tags"][0], []).append(_operation(method.upper(), path, operation))
    streams = [_stream(path, stream) for path, stream in contract["x-websockets"].items()]
    sections = {**found, "streams": streams}
    parts = [f"## {tag.capitalize()}\n\n" + "\n".join(texts) for tag, texts in sections.items()]
    return "\n".join([*parts, "## Schemas\n", *_models(contract["components"]["schemas"], depth=3)])


def job_spec() -> str:
    """Every field of a job spec."""
    return _spec(JobSpec.model_json_schema(), "JobSpec")


def sweep_spec() -> str:
    """Every field of a sweep beside its base, which is a job spec."""
    schema, of_jobs = Sweep.model_json_schema(), {"JobSpec", *JobSpec.model_json_schema()["$defs"]}
    own = {name: model for name, model in schema["$defs"].items() if name not in of_jobs}
    return _spec({**schema, "$defs": own}, "Sweep")


def presets() -> str:
    """The recipes that come with it."""
    files = {name: (_PRESETS / f"{name}.yaml").read_text(encoding="utf-8") for name in preset_names()}
    heads = {name: re.match(r"(?:#.*\n)*", text) for name, text in files.items()}
    rows = ((f"`{name}`", _flat(head[0].replace("#", ""))) for name, head in heads.items() if head)
    return _table(("preset", "is"), rows)


def commands() -> str:
    """Every command with its arguments and options."""
    group = typer.main.get_command(app)
    text = get_docs_for_click(obj=group, ctx=typer.Context(group), name="pskd")
    return re.sub(r"^#", "##", text.partition("\n")[2], flags=re.MULTILINE)


def problems() -> str:
    """Every type of problem that an answer may have."""
    named = (value for value in vars(errors).values() if isinstance(value, errors.Kind))
    kinds = {kind.slug: kind for kind in (*named, *errors.KINDS.values())}
    ordered = sorted(kinds.values(), key=lambda kind: (kind.status, kind.slug))
    rows = ((str(kind.status), f"`urn:pskd:problem:{kind.slug}`", kind.title) for kind in ordered)
    return _table(("status", "`type`", "`title`"), rows)


def published() -> str:
    """Every row that the paper prints, and what runs here in its place; ours are measured on a service, not here."""
    rows = published_rows()
    head = ("row", "method", "needs", "protocol", "accuracy", "F1", "here", "command")
    parts = []
    for (table, dataset), members in groupby(rows, key=lambda row: (row.table, row.dataset)):
        title = f"Table {table}" if table.isdigit() else table.capitalize()
        lines = (
            (
                f"`{row.id}`",
                row.method + (f" [{row.citation}]" if row.citation is not None else ""),
                row.test_input,
                row.protocol,
                _per_cent(row.accuracy),
                _per_cent(row.f1),
                row.here,
                f"`{row.run_with}`" if row.run_with is not None else "–",
            )
            for row in members
        )
        parts.append(f"## {title}: {dataset}\n\n{_table(head, lines)}")
    return "\n".join(parts)


def _per_cent(figure: float | None) -> str:
    return "–" if figure is None else f"{100 * figure:.2f}"


def figures() -> str:
    """Every figure that `/metrics` tells."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/empty.db"
        upgrade(url)
        database = Database(url)
        try:
            families = [*SystemFigures(database).collect(), *Figures().registry.collect()]
        finally:
            database.dispose()
    return _table(("figure", "type", "is"), map(_family, sorted(families, key=lambda family: family.name)))


def _family(family: Metric) -> tuple[str, str, str]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return f"`{name}`", family.type, family.documentation


def _operation(method: str, path: str, operation: Schema) -> str:
    lines = [f"### `{method} {path}`\n", f"{operation['description']}\n"]
    scopes = [scope for each in operation.get("security", ()) for scope in each.get("api_key", ())]
    lines.append(f"Scope: {', '.join(f'`{scope}`' for scope in scopes) or 'none; open to everybody'}.\n")
    if parameters := operation.get("parameters"):
        rows = ((f"`{each['name']}`", each["in"], *_value(each["schema"], each)) for each in parameters)
        lines.append(_table(("parameter", "in", "type", "default", "is"), rows))
    if body := operation.get("requestBody"):
        kinds = (f"`{kind}`" + _of(content.get("schema", {})) for kind, content in body["content"].items())
        lines.append(f"Body: {', '.join(kinds)}.\n")
    lines.append(_table(("answer", "is"), _answers(operation["responses"])))
    return "\n".join(lines)


def _answers(responses: Schema) -> Iterator[tuple[str, str]]:
    others = []
    for status, response in responses.items():
        if status in _COMMON:
            others.append(status)
            continue
        content = response.get("content", {})
        kinds = (f"`{kind}`" + _of(each.get("schema", {})) for kind, each in content.items() if "problem" not in kind)
        yield status, response["description"] + "".join(f"; {kind}" for kind in kinds)
    if others:
        yield ", ".join(others), "as everywhere: [errors](errors.md)"


def _of(schema: Schema) -> str:
    """The schema of some content, if it has a name."""
    return f" ({_type(schema)})" if "$ref" in schema else ""


def _stream(path: str, stream: Schema) -> str:
    scopes = ", ".join(f"`{scope}`" for each in stream["security"] for scope in each["api_key"])
    text = stream["description"].replace("docs/streaming.md", "[Live samples](../streaming.md)")
    return f"### `WS {path}`\n\n{text}\n\nScope: {scopes}.\n"


def _spec(schema: Schema, name: str) -> str:
    defs = dict(schema["$defs"])
    root = {key: value for key, value in schema.items() if key != "$defs"}
    return "\n".join(_models({name: root, **defs}, depth=2))


def _models(schemas: Mapping[str, Schema], *, depth: int) -> Iterator[str]:
    for name, schema in schemas.items():
        yield f"{'#' * depth} {name}\n"
        if text := schema.get("description"):
            yield f"{_flat(text)}\n"
        if "properties" in schema:
            rows = ((f"`{field}`", *_value(value, value)) for field, value in schema["properties"].items())
            yield _table(("field", "type", "default", "is"), rows)
        else:
            yield f"{_type(schema)}\n"


def _value(schema: Schema, described: Schema) -> tuple[str, str, str]:
    default = f"`{json.dumps(schema['default'], ensure_ascii=False)}`" if "default" in schema else ""
    return _type(schema), default if len(default) < 80 else "see there", _flat(described.get("description", ""))


def _type(schema: Schema) -> str:
    """In a few words, with bounds and a link to what has a table of its own."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " ".join(f"`{value}`" for value in schema["enum"])
    if options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return " or ".join(map(_type, options))
    bounds = " ".join(f"{sign} {schema[name]:.12g}" for name, sign in _BOUNDS.items() if name in schema)
    kind = str(schema.get("type", "anything"))
    if kind == "array" and (items := schema.get("items")):
        kind = f"list of {_type(items)}"
    return f"{kind} {bounds}".strip()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def _flat(text: str) -> str:
    return " ".join(text.split())
