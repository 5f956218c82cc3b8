"""How long from a submit to the first training step, on a worker that is warm: `make bench-start`.

An API process, a keeper and a worker on SQLite, then on PostgreSQL. One job after another is submitted over HTTP, and
cancelled after its first step; the first one of each database does not count. Between the marks that a run leaves in
rows and logs lie the parts of the time.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.submit import DURABLE, add_dataset
from benchmarks.table import parser_of, publish, row
from store.lifecycle import ENDED_JOB
from store.migrate import upgrade
from store.models import Job, Run
from tests.integration.worker.stack import Stack, running, until
from tests.services import free_port, postgres_server, valkey_server

_LEAST = 10
_WORKER = 2  # which of the stack's processes it is
_SPEC = {
    "preset": "demo",
    "dataset": "made",
    "seeds": [0],
    "protocol": {"kind": "subjects", "train": ["1", "2", "3"], "test": ["4"]},
}
# From the request to the first step, in order; what they are is said in docs/operations.md.
PARTS = ("submit", "wake", "claim", "process", "dataset", "clips", "networks", "step")


def made_database(ends: ExitStack, folder: Path, kind: str) -> str:
    """The address of an upgraded database of this kind, which lasts as long as the stack of ends."""
    if kind == "postgresql":
        server = ends.enter_context(postgres_server(**DURABLE))
        ends.callback(server.stop)
        server.start()
        url = server.url
    else:
        url = f"sqlite:///{folder / 'pskd.db'}"
    upgrade(url)
    return url


@contextmanager
def installed(folder: Path, database: str) -> Iterator[tuple[Stack, str]]:
    """A stack at work on this kind of database, and where its API answers."""
    with ExitStack() as ends:
        broker = ends.enter_context(valkey_server())
        ends.callback(broker.stop)
        broker.start()
        url = made_database(ends, folder, database)
        stack = ends.enter_context(
            running(
                folder / "home",
                database_url=url,
                broker_url=broker.url,
                log_format="json",
                lease_s=30.0,
                heartbeat_s=10.0,
                reaper_s=10.0,
            )
        )
        add_dataset(stack, folder / "data")
        port = free_port()
        stack.start("api", port=port)
        stack.start("worker.keeper")
        stack.start("worker")
        until(lambda: _answers(port), what="the API")
        yield stack, f"http://127.0.0.1:{port}"


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez").is_success
    except httpx.HTTPError:
        return False


def measure(folder: Path, database: str, *, count: int) -> dict[str, Any]:
    """Start so many runs, one after another; how long each took and by what."""
    load_before = os.getloadavg()[0]
    with installed(folder, database) as (stack, url), httpx.Client(base_url=url, timeout=30.0) as http:
        starts = [_start(stack, http) for _ in range(count + 1)][1:]
    wholes = sorted(sum(start[part] for part in PARTS) for start in starts)
    return {
        "starts": count,
        "median_s": round(statistics.median(wholes), 3),
        "p95_s": round(_quantile(wholes, 0.95), 3),
        "worst_s": round(wholes[-1], 3),
        "all_s": [round(whole, 3) for whole in wholes],
        "median_of_part_s": {part: round(statistics.median(each[part] for each in starts), 3) for part in PARTS},
        "median_of_processor_s": round(statistics.median(each["processor"] for each in starts), 3),
        "load_of_the_machine": [round(load_before, 1), round(os.getloadavg()[0], 1)],
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that so large a share does not exceed."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _start(stack: Stack, http: httpx.Client) -> dict[str, float]:
    """Seconds of each part of one start, and those that its process had a processor."""
    asked_at = time.time()
    answer = http.post("/v1/jobs", json=_SPEC)
    answer.raise_for_status()
    job_id = answer.json()["id"]
    first_step = until(lambda: _line(stack, job_id, "first step"), what="the first step")
    attempt = _line(stack, job_id, "attempt")
    assert attempt is not None
    with stack.database.read() as session:
        created_at = session.get_one(Job, job_id).created_at.timestamp()
        (claimed_at,) = session.query(Run.claimed_at).where(Run.job_id == job_id).one()
        assert claimed_at is not None
    http.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
    until(lambda: stack.job(job_id).state in ENDED_JOB and _is_idle(stack), what="the end of the job")
    began_at = _at(first_step) - first_step["whole_s"]
    return {
        "submit": created_at - asked_at,
        "wake": claimed_at.timestamp() - created_at,
        "claim": _at(attempt) - claimed_at.timestamp(),
        "process": began_at - _at(attempt),
        **{part: first_step[f"{part}_s"] for part in ("dataset", "clips", "networks", "step", "processor")},
    }


def _is_idle(stack: Stack) -> bool:
    """Whether the worker's fork server has no run left."""
    return not any(child.children() for child in psutil.Process(stack.processes[_WORKER].pid).children())


def _line(stack: Stack, job_id: str, begins: str) -> dict[str, Any] | None:
    """What the worker has logged of a job in the line that begins so."""
    for line in (stack.logs / f"{_WORKER}-worker.log").read_text(encoding="utf-8").splitlines():
        if job_id in line and line.endswith("}"):
            told: dict[str, Any] = json.loads(line)
            if str(told["message"]).startswith(begins):
                return told
    return None


def _at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()


def main() -> None:
    """Print the table, and write it and all figures down."""
    parser = parser_of("start", __doc__)
    parser.add_argument("--starts", type=int, default=20, help=f"of each database, at least {_LEAST}")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    if options.starts < _LEAST:
        parser.error(f"a median wants at least {_LEAST} starts")
    found: dict[str, Any] = {}
    for database in options.databases:
        with tempfile.TemporaryDirectory(prefix="pskd-start-") as folder:
            found[database] = measure(Path(folder), database, count=options.starts)
    rows = [
        row(f"submit to first training step on {kind}, s", told["all_s"], at_most=2) for kind, told in found.items()
    ]
    publish(options.out, "start", rows, {"spec": _SPEC, **found})


if __name__ == "__main__":
    main()
