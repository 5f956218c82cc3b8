"""Traces for OpenTelemetry, if there is a collector to send them to; else nothing is imported and nothing costs.

What a request does and what its job's runs do stands in one trace: the request's `traceparent` (W3C Trace Context)
lies in the job's row.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SDK = "store.spans"  # the module that imports what costs; to be loaded beforehand where that matters

Attributes = Mapping[str, str | int]

# Of the span that is open here. Threads and tasks that work for it see the same.
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


class Span(Protocol):
    """What becomes of a span while it is open."""

    @property
    def traceparent(self) -> str:
        """How spans elsewhere name it as their parent."""

    def name(self, name: str) -> None:
        """Give it a better name than it began with."""

    def set(self, attributes: Attributes) -> None:
        """Add what has become known."""

    def fail(self, reason: str) -> None:
        """Mark it as failed."""

    def end(self) -> None:
        """It is over."""


class Tracer(Protocol):
    """What begins spans and sends those that have ended."""

    def begin(self, name: str, *, parent: str | None, kind: Literal["server", "internal"]) -> Span:
        """A new span below `parent`, or at the top of a new trace."""

    def close(self) -> None:
        """Send what is left, with little patience."""


class NotInstalled(RuntimeError):
    """Traces are wanted and cannot be made."""


def wanted() -> bool:
    """Whether there is a collector."""
    return bool(os.environ.get(ENDPOINT))


def start(service: str) -> Tracer | None:
    """The tracer of this process; none unless traces are wanted.

    Raises:
        NotInstalled: they are, but the extra is missing.
    """
    if not wanted():
        return None
    try:
        from store.spans import Exporting  # noqa: PLC0415 - a tenth of a second that only they pay who want it
    except ModuleNotFoundError as missing:
        raise NotInstalled(
            f"{ENDPOINT} is set, but {missing.name} is not installed: pip install 'pskd[otel]'"
        ) from None
    return Exporting(service)


def current() -> str | None:
    """The `traceparent` of the span that is open here; none without one."""
    return _current.get()


@contextmanager
def span(
    tracer: Tracer | None,
    name: str,
    *,
    parent: str | None = None,
    kind: Literal["server", "internal"] = "internal",
    attributes: Attributes = {},  # noqa: B006 - never changed
) -> Iterator[Span | None]:
    """A span around the block, below `parent`, by default below the one that is open here; without a tracer, none.

    An exception marks it as failed, and passes.
    """
    if tracer is None:
        yield None
        return
    opened = tracer.begin(name, parent=parent or current(), kind=kind)
    opened.set(attributes)
    token = _current.set(opened.traceparent)
    try:
        yield opened
    except Exception as error:
        opened.fail(type(error).__name__)
        raise
    finally:
        _current.reset(token)
        opened.end()
