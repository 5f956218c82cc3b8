"""A leashed command ends with its owner, whatever ends the owner."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import leash
from tests.e2e.processes import alive, eventually

# Starts a child of its own that outlives it if nobody sees to it; says both process ids in a file.
FAMILY = "sleep 300 & echo $$ $! > {pids}; {then}"
# Ignores the wish to end, as a hanging program does.
DEAF = "trap '' TERM; sleep 300 & echo $$ $! > {pids}; while :; do sleep 1; done"
# An owner that starts a leash and waits; a process of its own, so that it can be killed.
OWNER = """
import subprocess, sys
subprocess.Popen([sys.executable, "-I", "-S", *sys.argv[1:]], stdin=subprocess.PIPE).wait()
"""


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    return tmp_path / "pids"


@pytest.fixture
def family(pids: Path, tmp_path: Path) -> Iterator["Family"]:
    started = Family(pids, tmp_path / "log")
    yield started
    for process in started.processes:
        process.kill()
        with process:  # closes its pipes and collects it
            pass


class Family:
    """Starts leashed commands and knows who belongs to them."""

    def __init__(self, pids: Path, log: Path) -> None:
        self.pids_file, self.log = pids, log
        self.processes: list[subprocess.Popen[bytes]] = []

    def leashed(self, script: str, *, grace_s: float = 5.0) -> "subprocess.Popen[bytes]":
        """A leash on a shell script, owned by this process."""
        return self._start([sys.executable, "-I", "-S", *self._arguments(script, grace_s)])

    def owned(self, script: str) -> "subprocess.Popen[bytes]":
        """A process that owns a leash on a shell script."""
        return self._start([sys.executable, "-c", OWNER, *self._arguments(script, 5.0)])

    def members(self) -> set[int]:
        """The shell and its child, once both are there."""
        assert eventually(lambda: self.pids_file.exists() and len(self.pids_file.read_text().split()) == 2)
        return {int(pid) for pid in self.pids_file.read_text().split()}

    def _arguments(self, script: str, grace_s: float) -> list[str]:
        filled = script.format(pids=self.pids_file, then="sleep 300")
        return [leash.__file__, str(grace_s), str(self.log), "sh", "-c", filled]

    def _start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.processes.append(process)
        return process


def gone(members: set[int]) -> bool:
    return eventually(lambda: not any(map(alive, members)))


def test_exit_code_and_output_come_through(family: Family) -> None:
    """What a command says goes to its log, and its exit code is the leash's own."""
    process = family.leashed("echo out; echo err >&2; exit 7")
    assert process.wait(10) == 7
    assert family.log.read_text().split() == ["out", "err"]


def test_first_line_names_the_command(family: Family) -> None:
    """Whoever starts a leash learns the process id of the command itself."""
    process = family.leashed(FAMILY)
    assert process.stdout is not None
    assert int(process.stdout.readline()) in family.members()


def test_children_of_a_command_that_ends_are_killed(family: Family) -> None:
    """A command that ends leaves none of its children behind, so that it can be started again."""
    process = family.leashed("sleep 300 & echo $$ $! > {pids}; exit 0")
    members = family.members()
    assert process.wait(10) == 0
    assert gone(members)


def test_letting_go_ends_the_command(family: Family) -> None:
    """Closing the leash's standard input asks the command to end and waits for it."""
    process = family.leashed(FAMILY)
    members = family.members()
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 128 + signal.SIGTERM
    assert gone(members)


def test_terminated_leash_ends_the_command(family: Family) -> None:
    """SIGTERM to the leash is passed on like letting go."""
    process = family.leashed(FAMILY)
    members = family.members()
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGTERM
    assert gone(members)


def test_deaf_command_is_killed_after_its_grace(family: Family) -> None:
    """A command that ignores the wish to end is killed with its children."""
    process = family.leashed(DEAF, grace_s=0.2)
    members = family.members()
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGKILL
    assert gone(members)


def test_killed_owner_takes_the_command_along(family: Family) -> None:
    """A kill -9 of the owner, which can clean up nothing, ends the command and its children."""
    owner = family.owned(FAMILY)
    members = family.members()
    owner.kill()
    assert gone(members)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_killed_leash_takes_the_command_along(family: Family) -> None:
    """A kill -9 of the leash itself ends the command."""
    process = family.leashed("echo $$ $$ > {pids}; exec sleep 300")
    members = family.members()
    os.kill(process.pid, signal.SIGKILL)
    assert gone(members)
