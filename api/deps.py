"""What endpoints are handed: the process's services, a session, the caller, page parameters."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Query
from pydantic import AfterValidator
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection

from api.auth import Caller, identify
from api.keyring import Keyring
from api.readers import ReaderLimits, Readers
from api.remembered import Remembered
from api.serving import Serving
from api.shares import Shares
from pskd_core.data.columnar import Dataset
from pskd_core.data.plans import FoldsOf, planner
from pskd_core.inference import Bundle
from store.engine import Database
from store.objects import ObjectStore, opened
from store.settings import Settings

PAGE_LIMIT = 200
_KEPT_OPEN = 16
_STALE_S = 24 * 3600.0
_RECENT_S = 1.0


@dataclass(frozen=True)
class Services:
    """Everything that lives as long as the process, built once by `main`."""

    settings: Settings
    database: Database
    objects: ObjectStore
    uploads: Path  # a folder for files that are being received
    open_dataset: Callable[[str], Dataset]  # by tree digest; the last few stay open
    planner: Callable[[str], FoldsOf]  # by tree digest; it remembers what it has planned
    load_bundle: Callable[[str], Bundle]  # by tree digest; the last few stay loaded
    serving: Serving  # models that answer
    keyring: Keyring
    readers: Readers  # of uploaded recordings
    streams: Shares  # of live samples, that are open
    followers: Shares  # of events, that are open
    arriving: Shares  # files
    recent: Remembered = field(default_factory=lambda: Remembered(lasts_s=_RECENT_S))
    stopping: threading.Event = field(default_factory=threading.Event)  # open streams end when it is set


def build_services(settings: Settings) -> Services:
    """Services that connect when they are first used."""
    objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
    uploads = settings.cache_dir / "uploads"
    _prepare(uploads)

    @lru_cache(maxsize=_KEPT_OPEN)
    def open_dataset(tree_digest: str) -> Dataset:
        return opened(objects, tree_digest, Dataset.open)

    @lru_cache(maxsize=_KEPT_OPEN)
    def planner_of(tree_digest: str) -> FoldsOf:
        dataset = open_dataset(tree_digest)
        return planner(dataset.info, dataset.recordings)

    @lru_cache(maxsize=_KEPT_OPEN)
    def load_bundle(tree_digest: str) -> Bundle:
        return opened(objects, tree_digest, Bundle.load)

    database = Database(settings.database_url)
    limits = ReaderLimits(memory_bytes=settings.reader_memory_bytes, timeout_s=settings.reader_timeout_s)
    readers = Readers(settings.readers, limits)
    return Services(
        settings,
        database,
        objects,
        uploads,
        open_dataset,
        planner_of,
        load_bundle,
        Serving(database, load_bundle),
        Keyring(database),
        readers,
        streams=Shares(settings.tenant_streams, what="streams", setting="PSKD_TENANT_STREAMS"),
        followers=Shares(settings.tenant_followers, what="event streams", setting="PSKD_TENANT_FOLLOWERS"),
        arriving=Shares(settings.tenant_uploads, what="uploads", setting="PSKD_TENANT_UPLOADS"),
    )


def _prepare(uploads: Path) -> None:
    """Make the folder, and clear away what a process that was killed had left in it."""
    uploads.mkdir(parents=True, exist_ok=True)
    for file in uploads.iterdir():
        if file.stat().st_mtime < time.time() - _STALE_S:
            file.unlink(missing_ok=True)


async def services_of(request: HTTPConnection) -> Services:
    """The services of the app that answers this request."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(services_of)]


def _reading(services: ServicesDep) -> Iterator[Session]:
    with services.database.read() as session:
        yield session


def _writing(services: ServicesDep) -> Iterator[Session]:
    with services.database.write() as session:
        yield session


# Scope "function": a session ends, and a write is committed, before the answer leaves.
Reading = Annotated[Session, Depends(_reading, scope="function")]
Writing = Annotated[Session, Depends(_writing, scope="function")]

CallerDep = Annotated[Caller, Depends(identify)]

Limit = Annotated[
    int, Query(ge=1, description=f"items a page; more than {PAGE_LIMIT} means {PAGE_LIMIT}"),
    AfterValidator(lambda limit: min(limit, PAGE_LIMIT)),
]  # fmt: skip
Force = Annotated[bool, Query(description="remove along what refers to it")]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the page before")]
