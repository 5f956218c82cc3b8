"""Folders for unfinished files: each worker has one, and none outlives its worker for long."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Scratch:
    """One worker's folder below `root`, held by a file lock that the system frees however the worker ends.

    Invariant: a folder whose lock is free belongs to nobody and is removed by the next worker that starts or begins a
    piece of work, since the last child of a killed worker may write while it clears away.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root):  # so that nobody sweeps the new folder before it is locked
            _sweep(root)
            self.path = Path(tempfile.mkdtemp(prefix="worker-", dir=root))
            self._lock = os.open(self.path, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A new folder that is gone after the block."""
        with _locked(self._root):
            _sweep(self._root)
        path = Path(tempfile.mkdtemp(dir=self.path))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Remove the worker's folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _sweep(root: Path) -> None:
    for folder in root.glob("worker-*"):
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # its worker has just closed it
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass  # its worker lives
        finally:
            os.close(lock)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
