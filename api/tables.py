"""Answers as CSV, for whoever accepts `text/csv`."""

from typing import Any

from starlette.requests import Request


def wants_csv(request: Request) -> bool:
    """Whether CSV is what the caller accepts first."""
    return request.headers.get("accept", "").startswith("text/csv")


def cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
