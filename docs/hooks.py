"""What the site's builder (MkDocs) calls: the README and its like as pages, and the reference filled in."""

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))  # MkDocs loads this file from wherever it was started

from docs import generated  # noqa: E402

_WRITERS = {
    writer.__name__: writer
    for writer in (
        generated.operations, generated.job_spec, generated.sweep_spec, generated.presets, generated.commands,
        generated.problems, generated.published, generated.figures,
    )
}  # fmt: skip
_PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the documents that lie beside the folder `docs`."""
    for source, target in _PAGES.items():
        text = (_ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=text.replace("](docs/", "](")))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - its call
    """Fill in what is made from the code, and lead links that leave the folder to the page that is made of it."""
    for source, target in _PAGES.items():
        markdown = re.sub(rf"\]\((?:\.\./)*{source}", f"]({target}", markdown)
    return re.sub(r"^\{\{ (\w+) \}\}$", lambda found: _WRITERS[found[1]](), markdown, flags=re.MULTILINE)
