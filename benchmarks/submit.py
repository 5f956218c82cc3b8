"""How many jobs a second are taken in, and what becomes of them: `make bench-submit`.

PostgreSQL as in production (every commit is on disk), two API processes and a keeper; Redis is stopped in the middle.
Of the acknowledged jobs the first ones run to their end on two workers and the rest are cancelled. Then the checker of
fault campaigns looks at all of it.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from sqlalchemy import func, select

from benchmarks.senders import Answer, post, send_all
from benchmarks.table import parser_of, publish, row
from pskd_core.data.importing import import_dataset
from store import datasets
from store.lifecycle import ENDED_JOB
from store.migrate import upgrade
from store.models import Job
from tests.faults import audit, checker
from tests.integration.worker.stack import Stack, running, until
from tests.services import Server, free_port, postgres_server, valkey_server
from tests.small import SMALL_SOURCE, SMALL_SPEC

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "128MB"}
TIMES = {"lease_s": 15.0, "heartbeat_s": 1.0, "reaper_s": 1.0}
CONNECTIONS = 8  # an API process
_SPEC = {
    **SMALL_SPEC,
    "method": {"kind": "none"},
    "dataset": "made",
    "training": {"epochs": 1, "batch_size": 16},
}
_STARTED_S = 60.0
_LOOK_S = 0.5
_RUN_S = 6.0  # the longest that one run may take on a machine that is busy with other things


@dataclass
class Installation:
    """Everything that runs."""

    stack: Stack
    database: Server
    broker: Server
    ports: Sequence[int]
    workers: dict[str, str] = field(default_factory=dict)  # by what a run calls its worker: its process's name

    def start_worker(self) -> None:
        """One more."""
        process = self.stack.start("worker")
        self.workers[f"{socket.gethostname()}:{process.pid}"] = f"worker-{len(self.stack.processes) - 1}"


@contextmanager
def installed(folder: Path, *, apis: int) -> Iterator[Installation]:
    """All but the workers, and a dataset that is ready."""
    with ExitStack() as ends:
        database = ends.enter_context(postgres_server(**DURABLE))
        broker = ends.enter_context(valkey_server())
        for server in (database, broker):
            ends.callback(server.stop)
            server.start()
        upgrade(database.url)
        with psycopg.connect(host=str(database.folder), user="postgres", dbname="postgres") as connection:
            audit.install(connection)
        home = running(folder / "home", database_url=database.url, broker_url=broker.url, **TIMES)
        stack = ends.enter_context(home)
        add_dataset(stack, folder / "data")
        ports = [free_port() for _ in range(apis)]
        for port in ports:
            stack.start("api", port=port)
        stack.start("worker.keeper")
        for port in ports:
            until(lambda port=port: _answers(port), within_s=_STARTED_S, what="the API")  # type: ignore[misc]
        yield Installation(stack, database, broker, ports)


def add_dataset(stack: Stack, folder: Path) -> None:
    """The small dataset, imported here and not by a worker."""
    import_dataset(SMALL_SOURCE, folder)
    with stack.database.write() as session:
        datasets.create(session, name="made", source=SMALL_SOURCE.model_dump(mode="json"))
        claimed = datasets.claim_import(session, worker="benchmark", lease_s=30.0)
        assert claimed is not None
        tree = stack.objects.put_tree(folder)
        datasets.finish_import(session, claimed.claim, report={}, content_digest=tree, tree_digest=tree, tree_bytes=1)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez").is_success
    except httpx.HTTPError:
        return False


def measure(folder: Path, *, seconds: float, finish: int, apis: int = 2, workers: int = 2) -> dict[str, Any]:
    """Submit for so long, let `finish` jobs end and cancel the rest; what was found."""
    with installed(folder, apis=apis) as installation:
        cpu_before = _cpu_s(installation)
        began_at, submits = time.time(), _submit(installation, seconds)
        spent = {name: after - cpu_before[name] for name, after in _cpu_s(installation).items()}
        acknowledged = [answer for answer in submits if answer.status == 202]
        ids = [str(json.loads(answer.body)["id"]) for answer in sorted(acknowledged, key=lambda answer: answer.at)]
        for _ in range(workers):
            installation.start_worker()
        cancelled_at = time.time()
        cancels = _cancel(installation, ids[finish:])
        cancel_s = time.time() - cancelled_at
        patience_s = 120.0 + _RUN_S * finish
        _await_ends(installation, within_s=patience_s)
        recorded = audit.Recorded(
            [_noted("submit", answer) for answer in submits] + [_noted("cancel", answer) for answer in cancels],
            installation.workers,
            healed_at=cancelled_at,
            patience_s=patience_s,
        )
        history = audit.history(installation.stack.database, installation.stack.objects, recorded)
        rates = Counter(int(answer.at - began_at) for answer in acknowledged)
        return {
            "seconds": seconds,
            "acknowledged": len(ids),
            "acknowledged_a_second": round(len(ids) / seconds, 1),
            "every_second": [rates[second] for second in range(int(seconds))],
            "other_answers": dict(Counter(str(answer.status) for answer in submits if answer.status != 202)),
            "cpu_ms_a_submit": {name: round(1000 * cpu_s / len(ids), 2) for name, cpu_s in spent.items()},
            "load_of_the_machine": os.getloadavg()[0],
            "cancels_a_second": round(len(cancels) / cancel_s, 1),
            **_fates(history, ids, finish),
            "violations": [list(each) for each in checker.check(history)],
        }


def _submit(installation: Installation, seconds: float) -> list[Answer]:
    """As many as are taken, while the broker goes and comes back."""
    ends_at = time.monotonic() + seconds

    def requests() -> Iterator[tuple[str, bytes]]:
        for number in count(1):
            if time.monotonic() >= ends_at:
                return
            name = f"job-{number:06d}"
            body = json.dumps({**_SPEC, "name": name}).encode()
            yield name, post("/v1/jobs", host="127.0.0.1", body=body, headers=f"Idempotency-Key: {name}\r\n")

    with ThreadPoolExecutor(1) as threads:
        submits = threads.submit(send_all, installation.ports, requests(), connections=CONNECTIONS)
        time.sleep(seconds / 3)
        installation.broker.stop(signal.SIGKILL)
        time.sleep(seconds / 3)
        installation.broker.start()  # here, since it ends with the thread that has started it
        return submits.result()


def _cancel(installation: Installation, ids: Sequence[str]) -> list[Answer]:
    requests = ((job_id, post(f"/v1/jobs/{job_id}/cancel", host="127.0.0.1")) for job_id in ids)
    return send_all(installation.ports, requests, connections=CONNECTIONS)


def _noted(kind: str, answer: Answer) -> checker.Request:
    told = json.loads(answer.body)
    key = answer.label if kind == "submit" else None
    return checker.Request(kind, key, told.get("id"), answer.status, told.get("state"), answer.at)


def _await_ends(installation: Installation, *, within_s: float) -> None:
    left = select(func.count()).where(Job.state.not_in(ENDED_JOB))

    def ended() -> bool:
        time.sleep(_LOOK_S)
        with installation.stack.database.read() as session:
            return session.scalar(left) == 0

    until(ended, within_s=within_s, what="the end of all jobs")


def _fates(history: checker.History, ids: Sequence[str], finish: int) -> dict[str, int]:
    """What has become of the acknowledged jobs."""
    states = {job.id: job.state for job in history.jobs}
    of_run = {run.id: run.job_id for run in history.runs}
    successes = Counter(of_run[write.run_id] for write in history.writes if checker.enters(write, "succeeded"))
    return {
        "lost": sum(job_id not in states for job_id in ids),
        "to_finish": min(finish, len(ids)),
        "finished_once": sum(states.get(job_id) == "succeeded" and successes[job_id] == 1 for job_id in ids[:finish]),
        "to_cancel": len(ids[finish:]),
        "cancelled": sum(states.get(job_id) == "cancelled" for job_id in ids[finish:]),
    }


def _cpu_s(installation: Installation) -> dict[str, float]:
    """Processor seconds so far of the parts that a submit passes through; `benchmark` is this process."""
    stack, database = installation.stack, installation.database.process
    assert database is not None
    apis = len(installation.ports)
    parts = {
        "api": [process.pid for process in stack.processes[:apis]],
        "keeper": [stack.processes[apis].pid],
        "database": [database.pid],
        "benchmark": [os.getpid()],
    }
    return {name: sum(map(_cpu_of, pids)) for name, pids in parts.items()}


def _cpu_of(pid: int) -> float:
    """Of a process, its children, and those of them that have ended."""
    own = psutil.Process(pid)
    children = [] if pid == os.getpid() else own.children()
    return sum(times.user + times.system for times in (each.cpu_times() for each in (own, *children)))


def main() -> int:
    """Entry point; returns the exit status."""
    parser = parser_of("submit", __doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="for which jobs are submitted")
    parser.add_argument("--finish", type=int, default=300, help="jobs that run to their end; the rest are cancelled")
    parser.add_argument("--at-least", type=float, default=300.0, help="jobs a second, or the exit status is 1")
    parser.add_argument("--apis", type=int, default=2, help="API processes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pskd-submit-") as folder:
        found = measure(Path(folder), seconds=options.seconds, finish=options.finish, apis=options.apis)
    rows = [
        row(
            "submits acknowledged a second, on PostgreSQL", [found["acknowledged_a_second"]], at_least=options.at_least
        ),
        row("acknowledged submits that were lost", [found["lost"]], at_most=0),
        row("jobs of them that did not succeed exactly once", [found["to_finish"] - found["finished_once"]], at_most=0),
    ]
    publish(options.out, "submit", rows, found)
    missed = list(misses(found, at_least=options.at_least, finish=options.finish))
    sys.stderr.writelines(f"missed: {each}\n" for each in missed)
    return 1 if missed else 0


def misses(found: dict[str, Any], *, at_least: float, finish: int) -> Iterator[str]:
    """What the measurement shows that may not be."""
    if found["acknowledged_a_second"] < at_least:
        yield f"{found['acknowledged_a_second']} jobs a second were acknowledged; {at_least:g} is the reach"
    if found["other_answers"]:
        yield f"some submits were answered otherwise: {found['other_answers']}"
    if found["lost"]:
        yield f"{found['lost']} acknowledged jobs are lost"
    if found["to_finish"] < finish:
        yield f"only {found['to_finish']} jobs were there to finish, not {finish}"
    if found["finished_once"] != found["to_finish"]:
        yield f"{found['finished_once']} of {found['to_finish']} jobs succeeded exactly once"
    if found["cancelled"] != found["to_cancel"]:
        yield f"{found['cancelled']} of {found['to_cancel']} jobs were cancelled"
    yield from (f"the checker finds {each}" for each in found["violations"])


if __name__ == "__main__":
    sys.exit(main())
