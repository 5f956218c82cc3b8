"""Where the embedded broker listens."""

import sys
from pathlib import Path

from client.broker import plan_broker

LIMIT = 107 if sys.platform == "linux" else 103


def folder_of(length: int) -> Path:
    """A folder in which the socket's path has so many bytes."""
    start = "/tmp/ü"
    return Path(start + "x" * (length - len(f"{start}/broker.sock".encode())))


def test_socket_as_long_as_its_path_fits() -> None:
    """A path of the longest length, counted in bytes, is a unix socket, reached without a port."""
    broker = plan_broker(folder_of(LIMIT), free_port=1234)
    assert broker.url.startswith("redis+socket:///tmp/%C3%BCx")
    assert broker.address == str(folder_of(LIMIT) / "broker.sock")
    assert "1234" not in broker.command


def test_longer_path_falls_back_to_a_port_with_a_password() -> None:
    """One byte more is a loopback port, whose password is new each time and not on the command line."""
    brokers = [plan_broker(folder_of(LIMIT + 1), free_port=1234) for _ in range(2)]
    assert brokers[0].address == ("127.0.0.1", 1234)
    assert brokers[0].password != brokers[1].password
    for broker in brokers:
        assert broker.url == f"redis://:{broker.password}@127.0.0.1:1234/0"
        assert not any(str(broker.password) in argument for argument in broker.command)


def test_state_survives_a_restart() -> None:
    """The broker appends to a file and never drops messages to make room."""
    command = " ".join(plan_broker(Path("/tmp/home"), free_port=1).command)
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
