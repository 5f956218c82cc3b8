"""How `pskd usage` writes what is stored."""

import pytest

from client.upkeep import Kept, Usage
from client.usage_command import lines, size

KINDS = {"datasets": Kept(count=1, size_bytes=2048, unmeasured=3)}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1536 * 2**20, "1.5 GiB"), (2**60, "1048576.0 TiB")],
)
def test_sizes_are_read_at_a_glance(count: int, text: str) -> None:
    """Bytes come in the largest unit of 1024 of which there is one."""
    assert size(count) == text


def test_what_is_not_counted_is_said() -> None:
    """Beside the sum and what is left stand kept answers and objects of unknown size, where there are any."""
    found = Usage(kinds=KINDS, size_bytes=2048, unmeasured=3, limit_bytes=4096, left_bytes=2048, cached_bytes=1024)
    assert lines(found) == [
        "2.0 KiB in all; 2.0 KiB left of 4.0 KiB",
        "besides, 1.0 KiB of kept answers of teachers, which count for no limit",
        "3 objects of an older version are not measured yet and not counted",
    ]
    plain = found.model_copy(update={"unmeasured": 0, "limit_bytes": None, "left_bytes": None, "cached_bytes": 0})
    assert lines(plain) == ["2.0 KiB in all; no limit is set"]
