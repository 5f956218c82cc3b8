"""One window classified by this service and by other servers of the same model: `make bench-peers`.

Each of the others has a virtual environment of its own below `build/peers`, made on first use, one process that judges
on one thread of ONNX Runtime, and takes a window as JSON in the way that is its own. Ours takes it as float32 samples,
and finds a unit, a rate and how far to trust the label besides; and once more by the Open Inference Protocol, which
takes JSON and answers with numbers alone, as the others do. One connection each, which stays open; rounds in turn, one
of the others at a time. One that cannot be installed or started is named with the reason.
"""

import json
import os
import signal
import statistics
import subprocess  # nosec B404 # our own programs, through no shell
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.senders import post
from benchmarks.serving import HOST, Connection, asking, float32, serving, train, v2
from benchmarks.table import in_turn, parser_of, publish, ratios, row
from pskd_core.bundle import MODEL_FILE
from pskd_core.inference import Bundle
from pskd_core.shapes import FloatArray
from tests.services import free_port

_HERE = Path(__file__).parent
_REACH = 4.0
_ROUND, _WARM = 50, 100  # requests
_STARTED_S = 120.0
_CLOSENESS = 1e-4  # of probabilities: each server has a float32 session of its own
_RUNTIME = ("numpy==2.4.6", "onnxruntime==1.32.0")


@dataclass(frozen=True)
class Peer:
    """Another server: what is installed, how it is started in a folder, and how it takes a window."""

    requirements: tuple[str, ...]
    command: Callable[[str, str, str], list[str]]  # of the environment's Python, the model's file and the port
    path: str
    field: str  # of the JSON, whose nested lists are the window


def _script(name: str) -> Callable[[str, str, str], list[str]]:
    return lambda python, model, port: [python, str(_HERE / name), model, port]


def _bentoml(python: str, _model: str, port: str) -> list[str]:
    where = ["--working-dir", str(_HERE), "--host", HOST, "--port", port]
    return [python, "-m", "bentoml", "serve", "bentoml_server:Classifier", *where]


PEERS = {
    "MLflow": Peer(("mlflow==3.17.2", *_RUNTIME), _script("mlflow_server.py"), "/invocations", "inputs"),
    "LitServe": Peer(("litserve==0.2.19", *_RUNTIME), _script("litserve_server.py"), "/predict", "windows"),
    "BentoML": Peer(("bentoml==1.4.40", *_RUNTIME), _bentoml, "/classify", "windows"),
}


def install(peer: Peer, home: Path) -> str:
    """The Python of an environment that has what a peer needs; it is made if it is not there.

    Raises:
        CalledProcessError: pip could not.
    """
    python, done = home / "bin" / "python", home / "installed.txt"
    wanted = "\n".join(peer.requirements)
    if not done.exists() or done.read_text(encoding="utf-8") != wanted:
        venv.create(home, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.requirements]
        subprocess.run(command, check=True, capture_output=True, text=True)
        done.write_text(wanted, encoding="utf-8")
    return str(python)


@contextmanager
def started(peer: Peer, python: str, model: Path, folder: Path, *, within_s: float) -> Iterator[int]:
    """The port of a peer that listens.

    Raises:
        RuntimeError: it does not, or has ended; with the end of what it said.
    """
    folder.mkdir()
    port, log = free_port(), folder / "server.log"
    told = {
        "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
        "MODEL": str(model),
        "OMP_NUM_THREADS": "1",
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_HOME": str(folder),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            peer.command(python, str(model), str(port)),
            cwd=folder,
            env={**os.environ, **told},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + within_s
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"it does not listen: {log.read_text(encoding='utf-8', errors='replace')[-500:]}")
            time.sleep(0.1)
        yield port
    finally:
        with suppress(ProcessLookupError):  # all of it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _listens(port: int) -> bool:
    try:
        with Connection(port) as connection:
            connection.ask(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    except OSError:
        return False
    return True


def measure(
    folder: Path,
    *,
    rounds: int,
    python_of: Callable[[str, Peer], str],
    peers: Mapping[str, Peer] = PEERS,
    within_s: float = _STARTED_S,
) -> dict[str, Any]:
    """A row for each peer that could be had, and why the others could not."""
    bundle = Bundle.load(train(folder))
    window = np.random.default_rng(0).normal(0, 0.2, (1, 3, bundle.info.frames)).round(4) + np.array([[[0], [0], [1]]])
    rows, ms, failed = [], {}, {}
    with ExitStack() as ends:
        _, our_port = ends.enter_context(serving(folder, folder / "bundle"))
        asked = {"ours": float32(window[0].T), "v2": v2(window)}
        our_calls = {way: ends.enter_context(_kept(our_port, each)) for way, each in asked.items()}
        for name, peer in peers.items():
            try:
                python = python_of(name, peer)
                with started(peer, python, folder / "bundle" / MODEL_FILE, folder / name, within_s=within_s) as port:
                    request = _request(port, peer, window, bundle.predict(window.astype(np.float32)))
                    with _kept(port, request) as their_call:
                        calls = {**our_calls, name: their_call}
                        took_s = in_turn(calls, rounds=rounds, repeats=_ROUND, warm=_WARM)
            except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as reason:
                failed[name] = f"{reason} {getattr(reason, 'stderr', None) or ''}".strip()
                continue
            title = f"classify, one window: requests/s ÷ those of {name}"
            rows.append(row(title, ratios(took_s, name, "ours"), at_least=_REACH))
            rows.append(row(f"{title}, V2 in JSON", ratios(took_s, name, "v2")))
            ms[name] = {who: round(1000 * statistics.median(each), 3) for who, each in took_s.items()}
    versions = {name: list(peer.requirements) for name, peer in peers.items()}
    return {"rows": rows, "ms": ms, "failed": failed, "versions": versions, "rounds": rounds}


def _request(port: int, peer: Peer, window: FloatArray, expected: FloatArray) -> bytes:
    """How a peer is asked, which has been seen to judge as the model does.

    Raises:
        ValueError: it does not.
    """
    request = post(peer.path, host=HOST, body=json.dumps({peer.field: window.tolist()}).encode())
    with Connection(port) as connection:
        said = connection.json(request)
    values = next(iter(said.values())) if isinstance(said, dict) else said
    if not np.allclose(values, expected, atol=_CLOSENESS):
        raise ValueError(f"another model answers: {values}")
    return request


@contextmanager
def _kept(port: int, request: bytes) -> Iterator[Callable[[], object]]:
    """A call that asks on one connection, and on a new one where the other's turn took longer than it is kept."""
    with ExitStack() as open_:
        call = asking(open_.enter_context(Connection(port)), request)

        def ask() -> None:
            nonlocal call
            try:
                call()
            except ConnectionError:
                call = asking(open_.enter_context(Connection(port)), request)
                call()

        yield ask


def main() -> None:
    """Entry point."""
    options = parser_of("peers", __doc__, rounds=40).parse_args()
    homes = options.out.resolve() / "peers"
    with tempfile.TemporaryDirectory(prefix="pskd-peers-") as folder:
        found = measure(
            Path(folder), rounds=options.rounds, python_of=lambda name, peer: install(peer, homes / name.lower())
        )
    publish(options.out, "peers", found.pop("rows"), found)
    sys.stderr.writelines(f"{name} could not be had: {reason}\n" for name, reason in found["failed"].items())


if __name__ == "__main__":
    main()
