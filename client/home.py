"""One folder holds all state of an embedded stack, and one stack at a time owns it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Where state lives follows from the home folder alone, whatever a cluster's environment says.
NOT_INHERITED = frozenset({"PSKD_DATABASE_URL", "PSKD_OBJECT_STORE_URL", "PSKD_CACHE_DIR", "PSKD_SCRATCH_DIR"})
# A stack whose `pskd up` was killed still takes a moment to end its parts; they hold the folder until then.
_PATIENCE_S = 30.0


class HomeInUse(Exception):
    """Another stack owns the folder."""

    def __init__(self, home: Path, owner: Mapping[str, Any]) -> None:
        where = f" at {owner['url']}" if "url" in owner else ""
        super().__init__(f"a stack is already running in {home}{where} (process {owner.get('pid', 'unknown')})")
        self.remedy = "use that one, stop it with Ctrl-C or SIGTERM, or choose another folder with --home"


def default_home() -> Path:
    """PSKD_HOME, else a hidden folder of the user."""
    return Path(os.environ.get("PSKD_HOME") or Path.home() / ".pskd")


def inherited(home: Path) -> dict[str, str]:
    """What a process of the stack in `home` takes from this one's environment."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    # The parts talk over loopback, which no proxy reaches.
    direct = {name: _without_proxy(os.environ.get(name, "")) for name in ("no_proxy", "NO_PROXY")}
    return kept | direct | {"PSKD_HOME": str(home)}


def _without_proxy(hosts: str) -> str:
    return ",".join(filter(None, [hosts, "127.0.0.1", "localhost", "::1"]))


@contextmanager
def owned(home: Path) -> Iterator[int]:
    """Make `home` if need be and own it; gives the lock's file descriptor, and who inherits it owns the folder too.

    Raises:
        HomeInUse: a living stack owns it.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "stack.lock").open("a") as lock:
        _lock(lock.fileno(), home)
        publish(home, {})
        try:
            yield lock.fileno()
        finally:
            (home / "stack.json").unlink(missing_ok=True)


def publish(home: Path, owner: Mapping[str, Any]) -> None:
    """Say who owns `home` and where it answers."""
    draft = home / "stack.json.tmp"
    draft.write_text(json.dumps({"pid": os.getpid(), **owner}, indent=1))
    draft.replace(home / "stack.json")


def owner_of(home: Path) -> dict[str, Any]:
    """What the folder's owner has published; empty if there is none."""
    try:
        loaded: dict[str, Any] = json.loads((home / "stack.json").read_text())
    except FileNotFoundError:
        return {}
    return loaded


def is_owned(home: Path) -> bool:
    """Whether a process holds the folder; looking changes nothing."""
    try:
        with (home / "stack.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is no such folder, or it is another user's
        return False
    return False


def _lock(descriptor: int, home: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = owner_of(home)
            if lives(owner.get("pid")) or time.monotonic() > deadline:
                raise HomeInUse(home, owner) from None
            time.sleep(0.1)


def lives(pid: int | None) -> bool:
    """Whether there is a process of this number."""
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
