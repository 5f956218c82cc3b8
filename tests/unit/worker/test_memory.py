"""What the kernel says about processes that it has killed for memory."""

from pathlib import Path

import pytest

from worker.memory import kills


def _written(root: Path, groups: str, counters: dict[str, str]) -> Path:
    """A tree of files as the kernel shows them."""
    for name, content in {"proc/self/cgroup": groups, **counters}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="ascii")
    return root


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/user/pskd\n", "sys/fs/cgroup/user/pskd/memory.events"),
        ("0::/seen/from/outside\n", "sys/fs/cgroup/memory.events"),
        ("5:cpu,cpuacct:/pskd\n4:memory:/pskd\n", "sys/fs/cgroup/memory/pskd/memory.oom_control"),
        ("4:memory:/outside\n0::/\n", "sys/fs/cgroup/memory/memory.oom_control"),
    ],
)
def test_the_counter_of_the_own_group_is_found(tmp_path: Path, groups: str, file: str) -> None:
    """Both versions of control groups are read, also from inside a container, which sees its group at the top."""
    root = _written(tmp_path, groups, {file: "low 0\noom 4\noom_kill 3\n"})
    assert kills(root) == 3


def test_a_system_that_does_not_tell_is_no_kill(tmp_path: Path) -> None:
    """Without control groups, or without the counter, nothing is claimed."""
    assert kills(tmp_path) is None
    assert kills(_written(tmp_path, "0::/\n", {"sys/fs/cgroup/memory.events": "low 0\n"})) is None
