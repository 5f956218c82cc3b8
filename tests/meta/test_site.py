"""The documentation as a site: built without a warning, with nothing missing and nothing from elsewhere."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import typer

from api import errors
from client.api import Client
from client.cli import app
from pskd_core.config import JobSpec
from pskd_core.published import published_rows
from pskd_core.sweep import Sweep
from store.lifecycle import FailureCause
from tests.e2e import screenshots
from tests.meta.project import BIN, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
CONTRACT = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does; a warning is an error there."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [BIN / "mkdocs", "build", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


def text_of(site: Path, page: str) -> str:
    """What a page shows, without its markup."""
    return unescape(re.sub(r"<[^>]+>", "", (site / page).read_text(encoding="utf-8")))


def headings(site: Path, page: str) -> set[str]:
    """Its headings, as plain text."""
    found = re.findall(r"<h[1-6][^>]*>(.*?)</h[1-6]>", (site / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return {unescape(re.sub(r"<[^>]+>", "", heading)).removesuffix("¶").strip() for heading in found}


def test_every_operation_and_schema_is_described(site: Path) -> None:
    """Each route of openapi.json has its section, and each schema its table."""
    operations = {f"{method.upper()} {path}" for path, methods in CONTRACT["paths"].items() for method in methods}
    operations |= {f"WS {path}" for path in CONTRACT["x-websockets"]}
    assert operations | set(CONTRACT["components"]["schemas"]) <= headings(site, "reference/http.html")


@pytest.mark.parametrize("model", [JobSpec, Sweep])
def test_every_field_of_a_spec_is_described(site: Path, model: Any) -> None:
    """With what it may be and what it is by default, also in what lies within."""
    shown, schema = text_of(site, "reference/spec.html"), model.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for field in part.get("properties", {}):
            assert re.search(rf"^{field}$", shown, flags=re.MULTILINE), field


def test_every_command_is_described(site: Path) -> None:
    """Down to the last subcommand, and each of its options."""
    shown, found = text_of(site, "reference/command-line.html"), headings(site, "reference/command-line.html")

    def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        yield name, command
        for word, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, f"{name} {word}")

    for name, command in walk(typer.main.get_command(app), "pskd"):
        assert name in found or name == "pskd"
        for option in command.params:
            words = [*option.opts, option.metavar or option.name.upper()]
            assert option.hidden or any(word in shown for word in words), f"{name} {option.name}"


def test_every_problem_and_cause_is_described(site: Path) -> None:
    """Whatever `type` or `cause` a program meets, it is listed."""
    shown = text_of(site, "reference/errors.html")
    kinds = {kind.slug for kind in errors.KINDS.values()} | {errors.OUT_OF_SCOPE.slug, errors.MALFORMED.slug}
    assert {slug for slug in kinds if f"urn:pskd:problem:{slug}" not in shown} == set()
    assert {cause.value for cause in FailureCause if f"\n{cause.value}\n" not in shown} == set()


def test_every_row_of_the_paper_stands_with_what_runs_in_its_place(site: Path) -> None:
    """No row is left out, and each names its command, or says that video is needed."""
    shown = text_of(site, "reference/published.html")
    for row in published_rows():
        assert row.id in shown
        assert row.here in shown, row.id
        assert row.run_with is None or row.run_with in shown, row.id


def test_every_figure_is_described(site: Path) -> None:
    """Each name that the code gives to a figure stands in the reference."""
    named = set(re.findall(r'"(pskd_[a-z_]+)"', (ROOT / "api" / "figures.py").read_text(encoding="utf-8")))
    shown = text_of(site, "reference/figures.html")
    assert len(named) > 8
    assert {name for name in named if name not in shown} == set()


def test_every_method_of_the_client_is_described(site: Path) -> None:
    """The reference follows the docstrings."""
    shown = (site / "reference" / "python.html").read_text(encoding="utf-8")
    public = [name for name in dir(Client) if not name.startswith("_")]
    assert [name for name in public if f'.{name}"' not in "".join(re.findall(r'id="client[^"]+"', shown))] == []


def test_every_page_is_shown_in_both_colours_and_sizes(site: Path) -> None:
    """The pictures that the site shows are those that `make screenshots` takes."""
    names = {f"{name}-{size}-{colours}.webp" for name in (*screenshots.PAGES, "sign-in")
             for size in screenshots.SIZES for colours in screenshots.COLOURS}  # fmt: skip
    assert {file.name for file in screenshots.OUT.iterdir()} == names
    shown = (site / "pages.html").read_text(encoding="utf-8")
    assert {name for name in names if f"pictures/{name}" not in shown} == set()


class _Fetched(HTMLParser):
    """Addresses that a browser asks for by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found = list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what this element fetches."""
        values = dict(attrs)
        if tag == "link" and values.get("rel") not in {"stylesheet", "icon", "preload", "modulepreload"}:
            return
        name = {"link": "href", "script": "src", "img": "src", "source": "src", "iframe": "src"}.get(tag)
        if name and (address := values.get(name)):
            self.found.append(address)


def test_no_page_fetches_from_another_host(site: Path) -> None:
    """It can be read without a network: scripts, styles, fonts and pictures lie in it."""
    for page in site.rglob("*.html"):
        parser = _Fetched()
        parser.feed(page.read_text(encoding="utf-8"))
        assert parser.found
        assert [address for address in parser.found if re.match(r"(?:https?:)?//", address)] == [], page.name
    styles = "".join(file.read_text(encoding="utf-8") for file in site.rglob("*.css"))
    assert re.findall(r"url\(['\"]?https?://", styles) == []
