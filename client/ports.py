"""Ports of this machine: which the stack takes, whether they are free, and who holds them."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PORT, MLFLOW_PORT = 8750, 8751  # that `pskd up` takes
_LISTENS = "0A"  # as the kernel's table calls it


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: a port whose last connections are still being closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str | None:
    """Who listens on a port, as far as this user may know; null if nobody does.

    By name alone, since a command line may hold secrets.
    """
    held = {f"socket:[{inode}]" for inode in _listening(port)}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # another user's, or it has ended
            if any(_leads_to(entry, held) for entry in (process / "fd").iterdir()):
                return f"process {process.name} ({(process / 'comm').read_text().strip()})"
    return "another program" if held or not Path("/proc/net/tcp").exists() else None


def _listening(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _leads_to(entry: Path, targets: set[str]) -> bool:
    with suppress(OSError):  # closed meanwhile
        return str(entry.readlink()) in targets
    return False
