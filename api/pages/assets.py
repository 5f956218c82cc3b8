"""Scripts and styles of the pages, from files of this installation alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter
from fastapi.responses import Response

from api.routing import Route
from store.errors import NotFound

_TYPES = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain", ".svg": "image/svg+xml"}
# A file's address changes with what is in it, so whoever has it need not ask again.
_CACHED = {"Cache-Control": "public, max-age=31536000, immutable"}

router = APIRouter(include_in_schema=False, route_class=Route)


@dataclass(frozen=True)
class Asset:
    """One file, and what names this state of it."""

    body: bytes
    media_type: str
    digest: str


@cache
def assets() -> Mapping[str, Asset]:
    """Every file by its path below `static`."""
    return dict(_below(files("api.pages") / "static", ""))


def address(name: str) -> str:
    """Where a page finds that file."""
    return f"/static/{name}?{assets()[name].digest}"


@router.get("/static/{name:path}")
def read_asset(name: str) -> Response:
    """One file."""
    found = assets().get(name)
    if found is None:
        raise NotFound("file of the pages", name)
    return Response(found.body, headers=_CACHED, media_type=found.media_type)


def _below(folder: Traversable, path: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in folder.iterdir():
        name = f"{path}{entry.name}"
        if entry.is_dir():
            found += _below(entry, f"{name}/")
        elif (kind := _TYPES.get(name[name.rfind(".") :])) is not None:
            body = entry.read_bytes()
            found.append((name, Asset(body, kind, sha256(body).hexdigest()[:12])))
    return found
