"""The embedded stack: broker, database, MLflow, API, worker and keeper of one home folder, as one thing."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from client.broker import plan_broker
from client.home import NOT_INHERITED, inherited, owned, publish
from client.parts import CODE, Kept, Part, Running, Say, StackError, how_it_ended, last_lines
from client.ports import MLFLOW_PORT, PORT, free_port, is_free

_LOOK_EVERY_S = 0.1
_START_WITHIN_S = 180.0
_TROUBLE_PAUSE_S = 5.0
_STOP_ORDER = ("api", "worker", "keeper", "mlflow", "broker")


class Interrupted(Exception):
    """The stack was asked to stop while it started."""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@dataclass(frozen=True)
class Options:
    """What a user may choose; port 0 means any free one."""

    home: Path
    host: str = "127.0.0.1"
    port: int = PORT
    mlflow_port: int = MLFLOW_PORT
    runs_at_once: int = field(default_factory=cores)


@dataclass(frozen=True)
class Addresses:
    """Where the running stack answers."""

    home: Path
    url: str
    mlflow_url: str


@contextmanager
def stack(options: Options, *, say: Say, stopping: threading.Event) -> Iterator[Addresses]:
    """Start everything, keep it alive until the block ends or `stopping` is set, then stop everything in order.

    Raises:
        HomeInUse: another stack owns the home folder.
        StackError: a part cannot start.
        Interrupted: `stopping` was set during the start.
    """
    home = options.home.expanduser().resolve()
    with owned(home) as lock:
        started = _Stack(_choose_ports(options), home, lock=lock, say=say, stopping=stopping)
        try:
            yield started.start()
        finally:
            stopping.set()
            started.stop()


class _Stack:
    """The parts that run by now, in the order of their start."""

    def __init__(self, options: Options, home: Path, *, lock: int, say: Say, stopping: threading.Event) -> None:
        self._options, self._home = options, home
        self._lock, self._say, self._stopping = lock, say, stopping
        self._logs = home / "logs"
        self._parts: dict[str, Kept] = {}
        self._mlflow_seen = False
        self._tending = threading.Thread(target=self._tend, name="tend")
        self._addresses = Addresses(home, _url(options.host, options.port), _url("127.0.0.1", options.mlflow_port))

    def start(self) -> Addresses:
        for folder in (self._logs, self._home / "broker", self._home / "mlflow"):
            folder.mkdir(exist_ok=True)
        broker = plan_broker(self._home / "broker", free_port=free_port())
        environment = self._environment(broker.url)
        mlflow = _mlflow(self._home / "mlflow", self._addresses.mlflow_url, self._options.mlflow_port, environment)
        self._start(Part("broker", broker.command, broker.folder, environment, broker.answers), mlflow)
        self._await("broker")
        self._migrate(environment)
        self._start(*_own_parts(self._addresses.url, environment))
        # No request and no run needs MLflow, which takes longest; what is said to it meanwhile is kept for it.
        self._await("api")
        self._publish()
        self._tending.start()
        return self._addresses

    def stop(self) -> None:
        if self._tending.is_alive():
            self._tending.join()
        for name in _STOP_ORDER:
            if name in self._parts:
                self._parts[name].stop()

    def _environment(self, broker_url: str) -> Mapping[str, str]:
        """What every part is told; the one place that maps options to settings."""
        for name in sorted(NOT_INHERITED & os.environ.keys()):
            self._say(f"{name} is not used: this stack keeps all its state in its home folder")
        kept = inherited(self._home)
        # Who is let in without a key is at this machine and reads its files anyway; who bears a key may be anybody.
        paths = {"PSKD_ALLOW_PATH_IMPORT": "false" if "PSKD_REQUIRE_KEYS" in kept else "true"}
        return {
            **paths,
            **kept,
            "PSKD_HOST": self._options.host,
            "PSKD_PORT": str(self._options.port),
            "PSKD_BROKER_URL": broker_url,
            "PSKD_MLFLOW_URL": self._addresses.mlflow_url,
            "PSKD_RUNS_AT_ONCE": str(self._options.runs_at_once),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONUNBUFFERED": "1",
        }

    def _start(self, *parts: Part) -> None:
        for part in parts:
            log = self._logs / f"{part.name}.log"
            self._parts[part.name] = Kept(part, log=log, lock=self._lock, say=self._say)

    def _await(self, *names: str) -> None:
        """Until each of these parts is ready; a part that ends meanwhile ends the start."""
        waiting, tries = list(names), int(_START_WITHIN_S / _LOOK_EVERY_S)
        for _ in range(tries):
            for name in self._parts:
                self._check(name)
            waiting = [name for name in waiting if not self._parts[name].part.ready()]
            if not waiting:
                return
            if self._stopping.wait(_LOOK_EVERY_S):
                raise Interrupted
        raise StackError(
            f"{' and '.join(waiting)} did not become ready within {_START_WITHIN_S:g} s",
            f"the logs in {self._logs} say why",
        )

    def _check(self, name: str) -> None:
        kept = self._parts[name]
        if kept.running.exit_code is not None:
            raise _failed(name, kept.running.exit_code, kept.log)

    def _migrate(self, environment: Mapping[str, str]) -> None:
        log = self._logs / "migrate.log"
        migration = Running(_python("migrate", "store.migrate", environment), log=log, lock=self._lock)
        while migration.exit_code is None and not self._stopping.wait(_LOOK_EVERY_S):
            pass
        migration.stop()
        if self._stopping.is_set():
            raise Interrupted
        if migration.exit_code:
            raise _failed("migration of the database", migration.exit_code, log)

    def _tend(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            try:
                self._look_after_all()
            except OSError as trouble:  # a full disk, no more processes: what may pass
                self._say(f"cannot look after the parts, trying on: {trouble}")
                self._stopping.wait(_TROUBLE_PAUSE_S)

    def _look_after_all(self) -> None:
        if not self._mlflow_seen and self._parts["mlflow"].part.ready():
            self._mlflow_seen = True
            self._say(f"MLflow answers at {self._addresses.mlflow_url}")
        restarted = [name for name, kept in self._parts.items() if kept.tend()]
        if restarted:
            self._publish()

    def _publish(self) -> None:
        pids = {name: kept.running.pid for name, kept in self._parts.items()}
        publish(self._home, {"url": self._addresses.url, "mlflow_url": self._addresses.mlflow_url, "parts": pids})


def _choose_ports(options: Options) -> Options:
    if options.port and not is_free(options.host, options.port):
        raise StackError(
            f"port {options.port} of {options.host} is taken", "choose another with --port, or --port 0 for any"
        )
    mlflow_port = options.mlflow_port if is_free("127.0.0.1", options.mlflow_port) else 0
    return Options(
        home=options.home,
        host=options.host,
        port=options.port or free_port(),
        mlflow_port=mlflow_port or free_port(),
        runs_at_once=options.runs_at_once,
    )


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _own_parts(url: str, environment: Mapping[str, str]) -> tuple[Part, ...]:
    return (
        _python("api", "api", environment, ready=lambda: _answers(f"{url}/readyz"), grace_s=12.0),
        _python("worker", "worker", environment, grace_s=20.0),
        _python("keeper", "worker.keeper", environment),
    )


def _python(
    name: str,
    module: str,
    environment: Mapping[str, str],
    *,
    ready: Callable[[], bool] = lambda: True,
    grace_s: float = 5.0,
) -> Part:
    return Part(name, (sys.executable, "-m", module), CODE, environment, ready, grace_s)


def _mlflow(folder: Path, url: str, port: int, environment: Mapping[str, str]) -> Part:
    """One process serves and none executes jobs, a tenth of the default's memory; paths are relative to `folder`."""
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", "sqlite:///mlflow.db"),
        *("--serve-artifacts", "--artifacts-destination", "./artifacts"),
    )
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return Part("mlflow", command, folder, {**environment, **quiet}, lambda: _answers(f"{url}/health"))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _failed(what: str, code: int, log: Path) -> StackError:
    return StackError(f"the {what} {how_it_ended(code)}:\n{last_lines(log)}", f"its whole log is {log}")
