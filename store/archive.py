"""The file that a backup is: a zip of rows, objects and, last, a list of all that is in it.

`tables/NAME.jsonl` holds a row a line, `objects/DIGEST` an object, `mlflow/…` files of MLflow, `manifest.json` the
list. Values are written by kind and not as either database writes them, so that an archive fits both.
"""

import hashlib
import json
import math
import re
import stat
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal

import sqlalchemy as sa
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from sqlalchemy.exc import SQLAlchemyError

import store.models
import store.outward
import store.timelines  # noqa: F401 - all three fill the metadata
from store.base import Base, UtcDateTime
from store.errors import StoreError
from store.objects import stays_inside
from store.settings import Settings

Kind = Literal["boolean", "float", "integer", "json", "text", "time"]
Columns = dict[str, Kind]

MANIFEST = "manifest.json"
MLFLOW_DATABASE = "mlflow.db"  # in the folder of the server of `pskd up`
# A cache, and who has lately been alive.
LEFT_OUT = frozenset({"teacher_answers", "worker_seen"})
_CHUNK_BYTES = 1 << 20
_NAMES = re.compile(r"tables/[a-z_]+\.jsonl|objects/[0-9a-f]{64}|mlflow/.+|manifest\.json")
_TYPES: Mapping[Kind, sa.types.TypeEngine[Any]] = MappingProxyType(
    {
        "boolean": sa.Boolean(),
        "float": sa.Double(),
        "integer": sa.BigInteger(),
        "json": sa.JSON(none_as_null=True),
        "text": sa.Text(),
        "time": UtcDateTime(),
    }
)
# As a database describes its columns; the first that fits.
_KINDS: tuple[tuple[type[sa.types.TypeEngine[Any]], Kind], ...] = (
    (sa.JSON, "json"),
    (sa.DateTime, "time"),
    (sa.Boolean, "boolean"),
    (sa.Float, "float"),
    (sa.Integer, "integer"),
    (sa.String, "text"),
)


class ArchiveError(Exception):
    """A backup that cannot be made or a restore that is refused; the message says what to do."""


class _Listed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Table(_Listed):
    """A table's columns, in the order of the values in a line."""

    columns: Columns
    rows: int


class Member(_Listed):
    """What a member of the zip must be."""

    size_bytes: int
    sha256: str


class Manifest(_Listed):
    """What is in an archive."""

    format: Literal[1] = 1
    product: str  # the version that made it
    revision: str  # of the schema
    taken_at: AwareDatetime  # by the database's clock
    tables: dict[str, Table]
    members: dict[str, Member]  # by name; all but the manifest itself


# --- Rows ---------------------------------------------------------------------------------------------------------


def own_tables(connection: sa.Connection) -> list[str]:
    """Our tables that are there, each after those that it refers to."""
    names = [name for name, _ in sa.inspect(connection).get_sorted_table_and_fkc_names()]
    return [name for name in names if name is not None and name in Base.metadata.tables]


def columns_of(connection: sa.Connection, table: str) -> Columns:
    """Kind of each column by its name, as the database has it."""
    return {column["name"]: _kind(column["type"]) for column in sa.inspect(connection).get_columns(table)}


def _kind(type_: sa.types.TypeEngine[Any]) -> Kind:
    for described, kind in _KINDS:
        if isinstance(type_, described):
            return kind
    raise ArchiveError(f"an archive cannot hold a column of type {type_!r}")


def typed(table: str, columns: Columns) -> sa.TableClause:
    """The table as a statement names it; whatever its database, values have the types of their kinds."""
    return sa.table(table, *(sa.column(name, _TYPES[kind]) for name, kind in columns.items()))


def line_of(row: Mapping[str, Any], columns: Columns) -> bytes:
    """A row as a line."""
    values = [_encoded(row[name], kind) for name, kind in columns.items()]
    return json.dumps(values, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def row_of(line: bytes, columns: Columns) -> dict[str, Any]:
    """A line as a row. Raises ValueError, TypeError."""
    pairs = zip(columns.items(), json.loads(line), strict=True)
    return {name: _decoded(value, kind) for (name, kind), value in pairs}


def _encoded(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind == "time":
        return value.isoformat()
    if kind == "float" and not math.isfinite(value):  # which JSON cannot say
        return str(value)
    return value


def _decoded(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind == "time":
        return datetime.fromisoformat(value)
    return float(value) if kind == "float" else value


# --- Files --------------------------------------------------------------------------------------------------------


def object_name(digest: str) -> str:
    """An object's member."""
    return f"objects/{digest}"


def is_object(name: str) -> bool:
    """Whether a member is an object."""
    return name.startswith(object_name(""))


@contextmanager
def scratch(settings: Settings) -> Iterator[Path]:
    """A folder for unfinished files; if the process is killed, the sweep of what is left half-written finds it."""
    cache = settings.cache_dir / "files"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=cache) as folder:
        yield Path(folder)


@contextmanager
def told(outcome: str) -> Iterator[None]:
    """Ends the process with a message where something goes wrong that people can mend."""
    try:
        yield
    except (ArchiveError, StoreError, SQLAlchemyError, OSError) as error:
        reason = getattr(error, "orig", None) or error  # of the database without the statement and all its values
        sys.exit(f"error: {outcome}: {reason}")
    except KeyboardInterrupt:
        sys.exit(f"{outcome}: it was interrupted")


class Writer:
    """Writes members one after the other, and remembers what it wrote."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
        self.members: dict[str, Member] = {}

    def add(self, name: str, source: IO[bytes]) -> Member:
        """All that can be read from here on."""
        return self.add_chunks(name, iter(lambda: source.read(_CHUNK_BYTES), b""))

    def add_chunks(self, name: str, chunks: Iterable[bytes]) -> Member:
        """These bytes."""
        digest, size_bytes = hashlib.sha256(), 0
        with self._zip.open(_entry(name), "w", force_zip64=True) as member:
            for chunk in chunks:
                digest.update(chunk)
                size_bytes += len(chunk)
                member.write(chunk)
        self.members[name] = Member(size_bytes=size_bytes, sha256=digest.hexdigest())
        return self.members[name]

    def finish(self, manifest: Manifest) -> None:
        """Adds the list, which makes it an archive."""
        self.add_chunks(MANIFEST, [manifest.model_dump_json(indent=1).encode()])

    def close(self) -> None:
        """Ends the zip; the file stays open."""
        self._zip.close()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFREG | 0o600) << 16
    return entry


class Archive:
    """An archive whose list has been read; `verify` says whether it is what the list says."""

    def __init__(self, path: Path, opened: zipfile.ZipFile) -> None:
        self.path, self._zip = path, opened
        self._check_entries()
        self.manifest = self._manifest()
        self._check_list()

    def digests(self) -> set[str]:
        """Of all objects."""
        return {name.removeprefix(object_name("")) for name in self.manifest.members if is_object(name)}

    def mlflow(self) -> dict[str, Member]:
        """MLflow's files, by their paths in its folder."""
        prefix, members = "mlflow/", self.manifest.members
        return {name.removeprefix(prefix): member for name, member in members.items() if name.startswith(prefix)}

    def verify(self) -> None:
        """Reads every member. Raises ArchiveError: one is not what the list says."""
        for name, expected in self.manifest.members.items():
            digest = hashlib.sha256()
            for chunk in self.chunks(name):
                digest.update(chunk)
            if digest.hexdigest() != expected.sha256:
                raise self._damaged(name)

    def chunks(self, name: str) -> Iterator[bytes]:
        """A member's bytes."""
        try:
            with self._zip.open(name) as member:
                yield from iter(lambda: member.read(_CHUNK_BYTES), b"")
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as damaged:
            raise self._damaged(name) from damaged

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """A table's rows."""
        listed, name, count = self.manifest.tables[table], f"tables/{table}.jsonl", 0
        with self._zip.open(name) as member:
            for count, line in enumerate(member, start=1):
                try:
                    yield row_of(line, listed.columns)
                except (ValueError, TypeError) as wrong:
                    raise ArchiveError(f"{self.path}: line {count} of {name} is no row: {wrong}") from wrong
        if count != listed.rows:
            raise ArchiveError(f"{self.path}: {name} has {count} rows and should have {listed.rows}")

    def _check_entries(self) -> None:
        """Nothing but what we write, stored as it is, each once and at its own place in the file."""
        entries = self._zip.infolist()
        seen = Counter(entry.filename for entry in entries)
        for entry in entries:
            name = entry.filename
            if not _NAMES.fullmatch(name) or not stays_inside(name) or seen[name] != 1:
                raise ArchiveError(f"{self.path}: it holds {name!r}, which no backup does")
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise ArchiveError(f"{self.path}: {name} is packed, which no backup is")
        if sum(entry.file_size for entry in entries) > self.path.stat().st_size:
            raise ArchiveError(f"{self.path}: its members are larger than itself")

    def _manifest(self) -> Manifest:
        if MANIFEST not in self._zip.namelist():
            raise ArchiveError(f"{self.path} is no backup: it has no {MANIFEST}")
        try:
            return Manifest.model_validate_json(b"".join(self.chunks(MANIFEST)))
        except ValidationError as wrong:
            where = wrong.errors()[0]
            place = "/".join(map(str, where["loc"])) or "it"
            raise ArchiveError(
                f"{self.path}: {place} in {MANIFEST} is not as this version writes it ({where['msg']}); was it made "
                "by a newer one? then restore it with that"
            ) from wrong

    def _check_list(self) -> None:
        """The list names just what is there."""
        listed = self.manifest.members
        there = {entry.filename: entry.file_size for entry in self._zip.infolist() if entry.filename != MANIFEST}
        needed = listed.keys() | {f"tables/{name}.jsonl" for name in self.manifest.tables}
        if wrong := sorted(there.keys() ^ needed):
            raise ArchiveError(f"{self.path}: {wrong[0]} and {MANIFEST} do not agree")
        for name, member in listed.items():
            named = name.removeprefix("objects/")
            if there[name] != member.size_bytes or named not in {name, member.sha256}:
                raise self._damaged(name)

    def _damaged(self, name: str) -> ArchiveError:
        return ArchiveError(
            f"{self.path}: {name} is damaged: its bytes are not those that were backed up; take another copy of the "
            "archive"
        )


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """An archive to be read. Raises ArchiveError: it is none, or was cut off."""
    try:
        file = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise ArchiveError(f"there is no {path}") from None
    except zipfile.BadZipFile as bad:
        raise ArchiveError(f"{path} is no whole backup ({bad}). Was its copy cut off? Copy it again") from bad
    with file:
        yield Archive(path, file)
