"""What an import, or the labelling of a recording, may take of its machine: an upload that makes a parser take more is
refused, and harms nobody.
"""

import errno
import math
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pskd_core.errors import DataError
from worker.settings import WorkerSettings

_LATE_S = 60  # of the processor; what does not end by itself in so long, the system kills
_STATUS = Path("/proc/self/status")


class TooLong(Exception):  # no DataError: readers survive those of single files
    """The time is up."""


@dataclass(frozen=True)
class UploadLimits:
    """Of one process that reads what somebody has uploaded."""

    memory_bytes: int  # beyond what the process has when it begins: torch alone maps gigabytes
    time_s: float  # on the clock, and as much of the processor
    file_bytes: int  # of each file that it writes
    tenant_bytes: int | None = None  # of all that its tenant has stored, this one counted; none: no limit
    work: str = "import"
    upload: str = "dataset"

    @classmethod
    def of(cls, settings: WorkerSettings, *, work: str = "import", upload: str = "dataset") -> "UploadLimits":
        """Those that the operator has chosen, for this work with such an upload."""
        return cls(
            settings.import_memory_bytes,
            settings.import_timeout_s,
            settings.import_file_bytes,
            settings.tenant_storage_bytes,
            work,
            upload,
        )

    def apply(self) -> None:
        """From now on, in this process and for good; to be called by its main thread."""
        if sys.platform == "linux":  # elsewhere the system does not say what a process has, and hardly keeps to a limit
            _lower(resource.RLIMIT_DATA, _data_bytes() + self.memory_bytes)
        _lower(resource.RLIMIT_FSIZE, self.file_bytes)
        _lower(resource.RLIMIT_CORE, 0)
        for sent in (signal.SIGALRM, signal.SIGXCPU):
            signal.signal(sent, _stop)
        signal.setitimer(signal.ITIMER_REAL, self.time_s)
        most_s = math.ceil(self.time_s)
        _lower(resource.RLIMIT_CPU, most_s, hard=most_s + _LATE_S)

    def named(self, error: Exception) -> Exception:
        """The error as its user is to read it, with limit and remedy if it is one of these limits."""
        remedy = f"cut the {self.upload} up, or have its operator raise"
        match error:
            case TooLong():
                return DataError(f"its {self.work} takes more than {self.time_s:g} s; {remedy} PSKD_IMPORT_TIMEOUT_S")
            case MemoryError():
                size = f"{self.memory_bytes >> 20} MiB of memory"
                return MemoryError(f"its {self.work} takes more than {size}; {remedy} PSKD_IMPORT_MEMORY_BYTES")
            case OSError(errno=errno.EFBIG) if resource.getrlimit(resource.RLIMIT_FSIZE)[0] == self.file_bytes:
                size = f"{self.file_bytes >> 20} MiB"
                return DataError(f"it unpacks to a file of more than {size}; {remedy} PSKD_IMPORT_FILE_BYTES")
            case _:
                return error


def _lower(limit: int, most: int, *, hard: int | None = None) -> None:
    """Set a limit, unless a lower one is set already."""
    highest = resource.getrlimit(limit)[1]
    soft, hard = (
        wanted if highest == resource.RLIM_INFINITY else min(wanted, highest) for wanted in (most, hard or most)
    )
    resource.setrlimit(limit, (soft, hard))


def _data_bytes() -> int:
    """What RLIMIT_DATA counts: private memory, and no file that is mapped to be read."""
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:"))


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    signal.setitimer(signal.ITIMER_REAL, 0)
    raise TooLong
