"""What is left of processes, as the operating system sees it."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def descendants(pid: int) -> set[int]:
    """Everything a process has started, and what that has started."""
    return {child.pid for child in psutil.Process(pid).children(recursive=True)}


def naming(folder: Path) -> set[int]:
    """Processes whose environment says that their state lives in `folder`."""
    return {process.pid for process in psutil.process_iter() if _home(process) == str(folder)}


def eventually(truth: Callable[[], bool], *, within_s: float = 20.0) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + within_s
    while not truth():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _home(process: psutil.Process) -> str | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else process.environ().get("PSKD_HOME")
    except psutil.Error:
        return None
