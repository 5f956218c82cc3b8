"""What a machine gives a process of the service: Python, packages, folders."""

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from store.doctor.finding import Finding, fail, ok, reason, warn

GIB = 2**30
_LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"  # in a copy of the repository
_MOUNTS = Path("/proc/self/mounts")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
_MOST_NAMED = 5
_NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "gpfs", "lustre",
    "ncpfs", "nfs", "nfs4", "smb3", "smbfs",
}  # fmt: skip


def packages(extra: str, *, lock: Path = _LOCK) -> Iterator[Finding]:
    """Whether Python and what `extra` demands are there, in versions that it allows and the lock beside it names."""
    try:
        about = metadata("pskd")
    except PackageNotFoundError:
        yield warn("packages", platform.node(), "pskd runs without being installed", f"pip install 'pskd[{extra}]'")
        return
    asked, found = about["Requires-Python"], platform.python_version()
    if found in SpecifierSet(asked):
        yield ok("python", platform.node(), found)
    else:
        yield fail("python", platform.node(), f"{found} is not {asked}", f"install Python {asked}")
    unmet = sorted({text for each in _demands(extra) if (text := _unmet(each))})
    other = _unlike(lock)
    if unmet:
        yield fail("packages", platform.node(), _few(unmet), f"pip install 'pskd[{extra}]'")
    elif other:
        yield warn("packages", platform.node(), f"not as tested: {_few(other)}", f"pip install --requirement {lock}")
    else:
        yield ok("packages", platform.node(), "as demanded" + (" and as locked" if lock.exists() else ""))


def _demands(extra: str) -> list[Requirement]:
    """Of this extra; of what else is installed, that it has the right version."""
    demanded = []
    for each in map(Requirement, requires("pskd") or []):
        needed = each.marker is None or each.marker.evaluate({"extra": extra})
        if needed or (_installed(each.name) and not (each.marker and each.marker.evaluate({"extra": "dev"}))):
            demanded.append(each)
    return demanded


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _unmet(demand: Requirement) -> str | None:
    found = _installed(demand.name)
    if found is None:
        return f"{demand.name} is missing"
    return (
        None
        if demand.specifier.contains(found, prereleases=True)
        else f"{demand.name} {found} is not {demand.specifier}"
    )


def _unlike(lock: Path) -> list[str]:
    """Installed packages of other versions than the lock's; a local version (`+cpu`) counts as the same."""
    if not lock.exists():
        return []
    pins = _PIN.findall(lock.read_text(encoding="utf-8"))
    versions = [(name, pin, found) for name, pin in pins if (found := _installed(name))]
    return [f"{name} {found}, locked {pin}" for name, pin, found in versions if Version(found).public != pin]


def _few(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def space(folders: Mapping[str, Path], *, warn_below: int = 10 * GIB, fail_below: int = GIB) -> Iterator[Finding]:
    """Free bytes of each disk that holds one of these named folders."""
    disks: dict[int, tuple[list[str], Path]] = {}
    for name, folder in folders.items():
        there = existing(folder)
        disks.setdefault(there.stat().st_dev, ([], there))[0].append(name)
    for names, there in disks.values():
        free = shutil.disk_usage(there).free
        detail = f"{free / GIB:.1f} GiB free for {', '.join(names)}"
        remedy = f"make room: below {fail_below / GIB:g} GiB writes soon fail, and a dataset wants {warn_below / GIB:g}"
        if free >= warn_below:
            yield ok("disk space", there, detail)
        else:
            yield (fail if free < fail_below else warn)("disk space", there, detail, remedy)


def writable(folder: Path) -> Iterator[Finding]:
    """Whether a file can be made in the folder; if that is yet to be made, where it will be."""
    there = existing(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".doctor-"):
            pass
    except OSError as trouble:
        remedy = "give this user the folder, or choose another one with --home or PSKD_HOME"
        yield fail("home", folder, reason(trouble), remedy)
        return
    detail = "can be written" if folder.is_dir() else "is not there yet; it is made at the first start"
    yield ok("home", folder, detail)


def file_system(folder: Path, *, holds_database: bool, mounts: Path = _MOUNTS) -> Iterator[Finding]:
    """Whether the folder is on a local disk, where the system tells."""
    if not mounts.exists():
        return
    kind = _kind(existing(folder).resolve(), mounts.read_text(encoding="utf-8", errors="replace"))
    if kind not in _NETWORK:
        yield ok("file system", folder, f"{kind}, which is local")
    elif holds_database:
        yield fail(
            "file system", folder, f"{kind} is a network's: SQLite's locks do not hold", "move the home to a local disk"
        )
    else:
        yield warn("file system", folder, f"{kind} is a network's", "caches and unfinished files want a local disk")


def _kind(folder: Path, mounts: str) -> str:
    """Of the mount that is nearest above; of several on one place the last one counts."""
    table = [line.split(" ") for line in mounts.splitlines()]
    points = {Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), row[1])): row[2] for row in table}
    return next((points[place] for place in (folder, *folder.parents) if place in points), "unknown")


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    there = folder.absolute()
    while not os.path.isdir(there) and there != there.parent:  # noqa: PTH112 - false where it may not be looked at
        there = there.parent
    return there
