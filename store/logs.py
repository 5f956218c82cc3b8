"""What processes write to standard error: lines for people, or one JSON object a line; neither holds a secret."""

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

# What the lines of this request or run are about. Threads that work for it see the same mapping.
_about: ContextVar[Mapping[str, Any]] = ContextVar("about", default=MappingProxyType({}))

# `color_message` is the server's own copy of a message, for terminals.
_NOT_EXTRA = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
# Keys of ours and of webhooks, whatever follows "Bearer" or "Basic", passwords in URLs.
_SECRETS = re.compile(
    r"(?P<key>\bpskd_)[a-z0-9]+_[a-z0-9_-]{16,}"
    r"|(?P<signing>\bwhsec_)[a-z0-9+/=]+"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[^\s'\",;]+"
    r"|(?P<user>://[^/\s:@]*:)[^/\s@]+(?=@)",
    re.IGNORECASE,
)


def configure(form: Literal["text", "json"], **about: str) -> None:
    """Libraries' messages from WARNING; every line of this process is `about` this."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(about) if form == "json" else TextLines(about))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


@contextmanager
def about(fields: Mapping[str, Any]) -> Iterator[None]:
    """Every line inside the block is about this; what is put into `fields` later counts as well."""
    token = _about.set(fields)
    try:
        yield
    finally:
        _about.reset(token)


def without_secrets(text: str) -> str:
    """The text with `…` in the place of keys and passwords."""
    return _SECRETS.sub(lambda found: f"{found[found.lastgroup or 0]}…", text)


class TextLines(logging.Formatter):
    """A line for people; what it is about stands before the message."""

    def __init__(self, about: Mapping[str, str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._about = about

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as the base has it
        """The message, after what it is about."""
        if who := " ".join(str(value) for value in {**self._about, **_about.get()}.values()):
            record.message = f"{who}: {record.message}"
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return without_secrets(super().format(record))


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, what it is about, and what the caller gave as `extra`."""

    def __init__(self, about: Mapping[str, str]) -> None:
        super().__init__()
        self._about = about

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        content: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._about,
            **_about.get(),
            **{name: value for name, value in vars(record).items() if name not in _NOT_EXTRA},
        }
        if record.exc_info:
            content["error"] = self.formatException(record.exc_info)
        return without_secrets(json.dumps(content, default=str))
