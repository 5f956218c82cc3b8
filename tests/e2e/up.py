"""`pskd up` as a process of its own, for tests that start, kill and stop it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import httpx

from client.home import owner_of
from tests.e2e.processes import eventually, naming

PSKD = [sys.executable, "-c", "from client.cli import app; app()"]
# A run whose worker was killed is taken up again when its lease is over.
QUICK = {"PSKD_LEASE_S": "6", "PSKD_HEARTBEAT_S": "2", "PSKD_REAPER_S": "1"}
# What a shell that also works with a cluster may hold; this stack must not touch it.
ELSEWHERE = {"PSKD_DATABASE_URL": "postgresql+psycopg://nowhere/else", "PSKD_OBJECT_STORE_URL": "s3://nowhere"}


class Up:
    """A `pskd up` in a session of its own."""

    def __init__(self, home: Path, *options: str, **environment: str) -> None:
        self.home = home
        command = [*PSKD, "up", "--home", str(home), "--port", "0", "--mlflow-port", "0", *options]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **QUICK, **ELSEWHERE, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        with self.process:
            pass
        assert self.has_ended_entirely()

    def address(self) -> str:
        """Where it answers, once it does."""
        assert eventually(self._is_up, within_s=120)
        return str(owner_of(self.home)["url"])

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address()}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _is_up(self) -> bool:
        owner = owner_of(self.home)
        return owner.get("pid") == self.process.pid and "url" in owner

    def pids(self) -> dict[str, int]:
        """The process of each part."""
        found: dict[str, int] = owner_of(self.home)["parts"]
        return found

    def kill_part(self, name: str) -> None:
        """Kill it with -9 and wait until it is there again."""
        before = self.pids()[name]
        os.kill(before, signal.SIGKILL)
        assert eventually(lambda: self.pids()[name] != before)
        assert eventually(self._answers, within_s=60)

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal and wait for the end: exit code and messages."""
        self.process.send_signal(number)
        _, messages = self.process.communicate(timeout=60)
        return self.process.returncode, messages

    def has_ended_entirely(self) -> bool:
        """Whether no process is left whose state lives in this home."""
        return eventually(lambda: not naming(self.home), within_s=60)


def pskd(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*PSKD, *arguments], capture_output=True, text=True, timeout=60, check=False)
