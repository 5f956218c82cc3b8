"""One service at one URL: requests of it, and what its answers hold."""

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from httpx import Response
from pydantic import ValidationError

from client.answers import Answer, Page
from client.errors import Strange
from client.transport import Body, Transport
from client.upkeep import Deletion

DEFAULT_URL = "http://127.0.0.1:8750"
LOOK_EVERY_S = 0.5
ENDED = frozenset({"succeeded", "failed", "cancelled"})  # of jobs, sweeps and classifications

A = TypeVar("A", bound=Answer)


class Asking:
    """What the operations of `Client` are made of."""

    def __init__(self, url: str | None = None, *, api_key: str | None = None) -> None:
        key = api_key or os.environ.get("PSKD_API_KEY") or None
        self.transport = Transport(url or os.environ.get("PSKD_URL") or DEFAULT_URL, key)

    @property
    def url(self) -> str:
        """Where the service is."""
        return self.transport.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.transport.close()

    def _delete(self, path: str, *, force: bool | None = None) -> Deletion:
        return self._read(Deletion, self.transport.delete(path, force=force))

    def _get(self, answer: type[A], path: str, **parameters: Any) -> A:
        return self._read(answer, self.transport.get(path, **parameters))

    def _post(self, answer: type[A], path: str, body: Body = dict, *, key: str | None = None, **parameters: Any) -> A:
        return self._read(answer, self.transport.post(path, body, key=key, **parameters))

    def _read(self, answer: type[A], response: Response) -> A:
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as strange:
            raise Strange(self.url) from strange

    def _pages(self, path: str, page: type[Page[A]], **filters: Any) -> Iterator[A]:
        cursor: str | None = None
        while True:
            found = self._get(page, path, cursor=cursor, **filters)
            yield from found.items
            cursor = found.next_cursor
            if cursor is None:
                return
