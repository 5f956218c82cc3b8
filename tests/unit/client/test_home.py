"""One stack at a time owns a home folder."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from client.home import HomeInUse, default_home, owned, owner_of, publish


def test_second_owner_is_refused_with_the_first_ones_address(tmp_path: Path) -> None:
    """Whoever comes second learns where the first one answers and its process id."""
    with owned(tmp_path / "home"):
        publish(tmp_path / "home", {"url": "http://127.0.0.1:1234"})
        with pytest.raises(HomeInUse, match=r"http://127\.0\.0\.1:1234 \(process \d+\)"), owned(tmp_path / "home"):
            pass
        assert owner_of(tmp_path / "home")["url"] == "http://127.0.0.1:1234"


def test_folder_is_free_afterwards(tmp_path: Path) -> None:
    """An owner that has gone leaves nothing that would refuse the next."""
    with owned(tmp_path):
        pass
    with owned(tmp_path):
        assert owner_of(tmp_path)["pid"]
    assert owner_of(tmp_path) == {}


def test_folder_is_private(tmp_path: Path) -> None:
    """Data, models and the broker's socket are for their user alone."""
    with owned(tmp_path / "deep" / "home"):
        assert (tmp_path / "deep" / "home").stat().st_mode & 0o777 == 0o700


def test_dying_stack_is_waited_for(tmp_path: Path) -> None:
    """Parts of a killed stack hold the folder until they end; the next owner waits for them and is not refused."""
    with owned(tmp_path) as lock:
        part = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,))
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (tmp_path / "stack.json").write_text(f'{{"pid": {int(gone.stdout)}}}')
    threading.Timer(0.5, part.communicate).start()
    began = time.monotonic()
    with owned(tmp_path):
        assert time.monotonic() - began > 0.3


def test_home_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """PSKD_HOME says where state lives; without it, it is a hidden folder of the user."""
    monkeypatch.setenv("PSKD_HOME", "/somewhere/else")
    assert default_home() == Path("/somewhere/else")
    monkeypatch.delenv("PSKD_HOME")
    assert default_home() == Path.home() / ".pskd"
