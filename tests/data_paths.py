"""Where real data lie, for the tests that read them when they are there."""

import os
from pathlib import Path

import pytest

_ROOT = Path(os.environ.get("PSKD_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")


def real_data(name: str) -> Path:
    """A file or folder of the real data; the calling test is skipped, with the reason, where it is not."""
    path = _ROOT / name
    if not path.exists():
        pytest.skip(f"no {name} in {_ROOT}; PSKD_TEST_DATA names another place")
    return path
