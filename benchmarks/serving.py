"""What a request costs beside an empty one on the same server, and beside the model alone: `make bench-serving`.

One API process with a trained `tiny` student, asked over one connection that stays open. Kinds of requests take turns
in short rounds, so that what else the machine does meets all of them; a figure is the median over rounds, its spread
the quartiles.
"""

import json
import socket
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil

from benchmarks.senders import post
from benchmarks.table import above_ms, in_turn, parser_of, publish, ratios, row
from pskd_core.config import merge, parse_spec
from pskd_core.data.columnar import Dataset
from pskd_core.data.importing import import_dataset
from pskd_core.data.splits import plan_folds
from pskd_core.inference import Bundle
from pskd_core.run import Run
from pskd_core.shapes import FloatArray
from store.migrate import upgrade
from store.settings import Settings
from tests.integration.api.stored import Stored, write_trees
from tests.integration.worker.stack import Stack, running, until
from tests.services import free_port
from tests.small import SMALL_SOURCE

HOST = "127.0.0.1"
RATE_HZ = 50
_ROUND = 50  # requests of a kind
_WARM = 100
_CSV_ROWS = 200
_CLASSIFY = "/v1/models/tiny/classify"
_SPEC = {
    "protocol": {"kind": "subjects", "train": ["1", "2", "3"], "test": ["4"]},
    "validation": {"kind": "subjects", "subjects": ["3"]},
    "method": {"kind": "none"},
    "student": {"inputs": ["accelerometer"], "backbone": {"kind": "tiny"}},
    "training": {"epochs": 2, "batch_size": 16},
}


def train(folder: Path, backbone: str = "tiny") -> Path:
    """The bundle of a student with this network, calibrated, of which only the size matters here."""
    import_dataset(SMALL_SOURCE, folder / "data")
    dataset = Dataset.open(folder / "data")
    spec = parse_spec(merge(_SPEC, {"student": {"backbone": {"kind": backbone}}}))
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    run = Run(dataset, spec, fold, seed=0)
    list(run.epochs())
    run.finish()
    run.export(folder / "bundle")
    return folder / "bundle"


@contextmanager
def serving(folder: Path, bundle: Path) -> Iterator[tuple[Stack, int]]:
    """An API process that serves the bundle as model `tiny`, and its port."""
    url = f"sqlite:///{folder / 'pskd.db'}"
    upgrade(url)
    trees = write_trees(folder / "trees", bundle)
    with running(
        folder / "home", database_url=url, broker_url="redis://127.0.0.1:1/0", object_store_url=trees.url
    ) as stack:
        stored = Stored(Settings(**stack.settings.model_dump(include=set(Settings.model_fields))), trees)
        stored.dataset()
        stored.finished_job()
        stored.database.dispose()
        port = free_port()
        stack.start("api", port=port)
        until(lambda: answers(port), what="the API")
        yield stack, port


def answers(port: int) -> bool:
    """Whether the API lives."""
    try:
        with Connection(port) as connection:
            return connection.ask(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")[0] == 204
    except OSError:
        return False


class Connection:
    """One that stays open; a library's client would cost more than what is measured."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        self._socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        lengths = [
            line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        ]
        size = int(lengths[0]) if lengths else 0
        while len(body) < size:
            body += self._more()
        return int(head.split()[1]), body

    def json(self, request: bytes) -> Any:
        """What is answered to a request that must succeed."""
        status, body = self.ask(request)
        if status != 200:
            raise RuntimeError(f"answered {status}: {body[:300]!r}")
        return json.loads(body)

    def _more(self) -> bytes:
        if not (data := self._socket.recv(1 << 16)):
            raise ConnectionError("the server has closed the connection")
        return data


def requests(frames: int) -> dict[str, bytes]:
    """One of each kind; `frames` is what the model takes."""
    noise = np.random.default_rng(0).normal(0, 0.2, (max(_CSV_ROWS, frames), 3)) + np.array([0, 0, 1])
    window, table = noise[:frames].round(4), noise[:_CSV_ROWS]
    csv = b"x (g),y (g),z (g)\n" + b"".join(b"%.4f,%.4f,%.4f\n" % tuple(row) for row in table)
    return {
        "empty": f"GET /livez HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode(),
        "float32": float32(window),
        "v2": v2(window.T[None]),
        "csv": post(f"{_CLASSIFY}?rate_hz={RATE_HZ}", host=HOST, body=csv, kind="text/csv"),
    }


def float32(values_g: FloatArray) -> bytes:
    """A request to label samples (n, 3) that come as they are in memory."""
    body, query = values_g.astype("<f4").tobytes(), f"format=float32&rate_hz={RATE_HZ}&unit=g"
    return post(f"{_CLASSIFY}?{query}", host=HOST, body=body, kind="application/octet-stream")


def v2(windows: FloatArray) -> bytes:
    """A request of the Open Inference Protocol to judge windows (N, 3, T), as flat JSON with four digits."""
    data = windows.astype(np.float64).round(4).ravel().tolist()
    tensor = {"name": "windows", "shape": windows.shape, "datatype": "FP32", "data": data}
    return post("/v2/models/tiny/infer", host=HOST, body=json.dumps({"inputs": [tensor]}).encode())


def measure(folder: Path, *, rounds: int) -> dict[str, Any]:
    """All figures."""
    bundle = Bundle.load(train(folder))
    frames = bundle.info.frames
    window = np.zeros((1, 3, frames), np.float32)
    with serving(folder, folder / "bundle") as (stack, port), Connection(port) as connection:
        asked = requests(frames)
        calls: dict[str, Callable[[], object]] = {name: asking(connection, each) for name, each in asked.items()}
        calls["model"] = lambda: bundle.judge(window)
        took_s = in_turn(calls, rounds=rounds, repeats=_ROUND, warm=_WARM)
        memory = psutil.Process(stack.processes[0].pid).memory_info().rss / 2**20
    rows = [
        row("classify, one window as float32 ÷ an empty request", ratios(took_s, "empty", "float32"), at_least=0.6),
        row("V2 infer, one window as flat JSON ÷ an empty request", ratios(took_s, "empty", "v2"), at_least=0.5),
        row("classify, CSV of 200 rows, ms above the model alone", above_ms(took_s, "csv", "model"), at_most=1.0),
        row("memory of the API with a model loaded, MiB", [memory], at_most=150.0),
    ]
    return {
        "rows": rows,
        "ms": {name: round(1000 * statistics.median(each), 3) for name, each in took_s.items()},
        "rounds": rounds,
        "requests_a_round": _ROUND,
    }


def asking(connection: Connection, request: bytes) -> Callable[[], object]:
    """A call that asks, and fails on any answer but a good one."""

    def ask() -> None:
        status, body = connection.ask(request)
        if status not in {200, 204}:
            raise RuntimeError(f"answered {status}: {body[:300]!r}")

    return ask


def main() -> None:
    """Print the table, and write it and all figures down."""
    options = parser_of("serving", __doc__, rounds=60).parse_args()
    with tempfile.TemporaryDirectory(prefix="pskd-serving-") as folder:
        found = measure(Path(folder), rounds=options.rounds)
    publish(options.out, "serving", found.pop("rows"), found)


if __name__ == "__main__":
    main()
