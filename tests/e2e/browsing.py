"""A real browser for tests of the pages: what it needs, what it complains of, and what it is given to show."""

import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.small import SMALL_SPEC

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no browser is installed; on Debian: apt-get install chromium"),
]
expect.set_options(timeout=30_000)  # a busy machine is no fault
PHONE = {"width": 390, "height": 800}
SPEC: dict[str, Any] = {
    **SMALL_SPEC,
    "name": "pages",
    "dataset": "small",
    "protocol": {"kind": "subjects", "train": ["1", "3"], "test": ["2"]},
}
SWEEP: dict[str, Any] = {
    "name": "two by two",
    "base": {
        **SPEC,
        "method": {"kind": "none"},
        "validation": {"kind": "subjects", "subjects": ["3"]},
        "training": {"epochs": 1, "batch_size": 16},
    },
    "space": {"feature_dim": {"choices": [8, 16]}, "training.batch_size": {"choices": [8, 16]}},
}


class Watched:
    """What a browser has to complain of."""

    def __init__(self, context: BrowserContext, home: str) -> None:
        self.home = home
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _console(self, message: Any) -> None:
        # A browser notes every refusal; those that the service has a reason for are shown, which tests look at.
        refused = "/v1/" in message.location["url"] and re.search(r"status of (?:409|422)", message.text)
        if message.type in {"error", "warning"} and not refused:
            self.complaints.append(f"{message.text} at {message.location}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.elsewhere.append(request.url)


def recording(folder: Path) -> Path:
    """Ten seconds of a swinging wrist."""
    rows = (f"{i / 50:.2f},{0.3 * math.sin(i / 6):.4f},{1 + 0.3 * math.cos(i / 6):.4f},0.1" for i in range(500))
    file = folder / "wrist.csv"
    file.write_text("\n".join(["t,x,y,z", *rows]), encoding="utf-8")
    return file
