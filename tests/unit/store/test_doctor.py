"""What an examination finds on this machine, and how it is told."""

import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from store.doctor import machine
from store.doctor.__main__ import Look, examine, looks
from store.doctor.finding import Finding, Status, ok, reason, shown
from store.doctor.state import Installation
from store.settings import Settings

MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
server:/export {home} nfs4 rw,relatime 0 0
/dev/vdb {home}/local\\040disk xfs rw 0 0
"""


def only(findings: Iterator[Finding]) -> Finding:
    """The single finding of a look."""
    (found,) = findings
    return found


def test_a_machine_as_installed_is_well() -> None:
    """Here nothing is missing and Python is new enough, which the tests need as well."""
    found = list(machine.packages("embedded"))
    assert [(each.check, each.status == Status.FAIL) for each in found] == [("python", False), ("packages", False)]


def test_packages_beside_the_lock_are_named(tmp_path: Path) -> None:
    """A package of another version than the lock's is named with both versions; a local version is the same one."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"numpy==0.1  # via pskd\npydantic=={version('pydantic')}\nnot-installed-here==1.0\n")
    *_, found = machine.packages("store", lock=lock)
    assert found.status == Status.WARN
    assert f"numpy {version('numpy')}, locked 0.1" in found.detail
    assert "pydantic" not in found.detail
    assert str(lock) in str(found.remedy)


@pytest.mark.parametrize(
    ("warn_below", "fail_below", "status"), [(1, 0, "ok"), (2**70, 0, "warn"), (2**70, 2**69, "fail")]
)
def test_a_disk_is_judged_by_what_is_free(tmp_path: Path, warn_below: int, fail_below: int, status: str) -> None:
    """The disk below a folder, made yet or not, is named once for all that lies on it, with a remedy if it is short."""
    folders = {"home": tmp_path / "home", "cache": tmp_path / "home" / "cache"}
    found = only(machine.space(folders, warn_below=warn_below, fail_below=fail_below))
    assert (found.status, found.where) == (status, str(tmp_path))
    assert "home, cache" in found.detail
    assert (found.remedy is None) == (status == "ok")


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """No file can be made below the kernel's own folder, not even by root; in a writable one nothing is left."""
    refused = only(machine.writable(Path("/proc/pskd")))
    assert (refused.status, refused.where) == (Status.FAIL, "/proc/pskd")
    assert only(machine.writable(tmp_path)).status == Status.OK
    assert list(tmp_path.iterdir()) == []


def test_a_network_file_system_is_named(tmp_path: Path) -> None:
    """The nearest mount above decides; a database may not lie on a network's, caches had better not."""
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS.format(home=tmp_path))
    on_network = only(machine.file_system(tmp_path / "home", holds_database=True, mounts=mounts))
    assert on_network.status == Status.FAIL
    assert "nfs4" in on_network.detail
    assert only(machine.file_system(tmp_path, holds_database=False, mounts=mounts)).status == Status.WARN
    local = tmp_path / "local disk"
    local.mkdir()
    assert "xfs" in only(machine.file_system(local, holds_database=True, mounts=mounts)).detail
    assert only(machine.file_system(Path("/"), holds_database=True, mounts=mounts)).status == Status.OK


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql+psycopg://pskd:hid/d@en@db:5432/pskd", "hid/d@en"),
        ("redis://:hidden@redis:6379/0", "hidden"),
        ("postgresql://db/pskd?user=pskd&password=hidden&sslmode=require", "hidden"),
    ],
)
def test_passwords_are_not_shown(url: str, secret: str) -> None:
    """Neither a URL nor an error that repeats it tells the password; the rest is to be recognised."""
    assert secret not in shown(url)
    assert "***" in shown(url)
    assert "pskd" in shown(url) or "redis:6379" in shown(url)
    assert secret not in reason(ValueError(f"cannot connect to {url}"), url=url)
    assert shown("sqlite:////var/lib/pskd/pskd.db") == "sqlite:////var/lib/pskd/pskd.db"


def test_what_hangs_is_given_up_and_what_breaks_is_told() -> None:
    """A look that hangs costs its time limit and no more, what it had found stays, and none ends the examination."""
    never = threading.Event()

    def hang() -> Iterator[Finding]:
        yield ok("slow", "here", "begun")
        never.wait()

    def broken() -> Iterator[Finding]:
        raise RuntimeError("quite broken")

    found = examine(
        [Look("slow", "here", hang, 0.2), Look("bad", "there", broken), Look("good", "", lambda: [ok("good", "", "")])]
    )
    assert [(each.check, each.status.value) for each in found] == [
        ("slow", "ok"), ("slow", "fail"), ("bad", "fail"), ("good", "ok"),
    ]  # fmt: skip
    assert "0.2 s" in found[1].detail
    assert "quite broken" in found[2].detail
    never.set()


def test_a_stopped_stack_is_not_asked_for_servers(tmp_path: Path) -> None:
    """Whoever looks at a home of which nothing runs waits for no broker and no MLflow; a cluster has both looked at."""
    checks = {
        installation: {look.check for look in looks(Settings(home=tmp_path), installation)}
        for installation in Installation
    }
    assert checks[Installation.CLUSTER] - checks[Installation.STOPPED] == {"broker", "MLflow"}
    assert checks[Installation.CLUSTER] == checks[Installation.RUNNING]
