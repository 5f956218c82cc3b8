"""A fault campaign: an installation of real processes, clients, and faults at random; then the checker.

`python -m tests.faults.campaign --seed N --injections M --points P` prints the seed, kills P runs at random points and
compares what they leave, writes the result and beside it the history, and fails if an invariant is violated or a bit
differs. The seed decides faults, times and victims, and what the clients ask for.
"""

import argparse
import json
import os
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import psycopg
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from store.engine import Database
from store.lifecycle import ENDED_JOB, JobState
from store.migrate import upgrade
from store.models import Job, Run
from tests.faults import audit, resume
from tests.faults.checker import History, check
from tests.faults.installation import Installation, connected, schedule
from tests.faults.load import Load, Log
from tests.integration.worker.stack import running, until
from tests.services import free_port, mlflow_server, postgres_server, valkey_server

# No step for long is a sign of a busy machine, since nothing here freezes a run for longer than some seconds.
TIMES = {
    "lease_s": 2.0,
    "heartbeat_s": 0.5,
    "reaper_s": 0.3,
    "renudge_s": 1.0,
    "checkpoint_every_s": 0.0,
    "step_timeout_s": 120.0,
}
DEADLINE_S = 240.0  # for what is still to do when the last fault has passed, on a machine that is busy
_CLIENTS = 3


@contextmanager
def installed(folder: Path, *, tracked: bool) -> Iterator[Installation]:
    """Everything runs, and a dataset is ready."""
    with ExitStack() as ends:
        # A commit that was acknowledged has to be written down when the server is killed.
        database = ends.enter_context(postgres_server(synchronous_commit="on"))
        broker = ends.enter_context(valkey_server())
        tracker = mlflow_server(folder / "mlflow", port=free_port()) if tracked else None
        for server in (database, broker, tracker):
            if server is not None:
                ends.callback(server.stop)
                server.start()
        upgrade(database.url)
        with connected(database) as connection:
            audit.install(connection)
        changes: dict[str, Any] = {**TIMES, "mlflow_url": tracker.url if tracker else None}
        stack = ends.enter_context(
            running(folder / "home", database_url=database.url, broker_url=broker.url, **changes)
        )
        log = Log(folder / "history.jsonl")
        installation = Installation(stack, database, broker, tracker, (free_port(), free_port()), log)
        for slot in ("worker0", "worker1", "keeper0", "api0", "api1"):
            installation.start(slot)
        dataset_id = stack.add_dataset()
        until(lambda: all(_answers(url) for url in installation.urls), what="the API")
        until(lambda: stack.is_ready(dataset_id), what="the dataset")
        yield installation


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/livez").is_success
    return False


def run(
    folder: Path, *, seed: int, injections: int, gap_s: float = 4.0, most_open: int = 8, tracked: bool = True
) -> dict[str, Any]:
    """The whole campaign; what it found."""
    began_at, load_before = time.monotonic(), os.getloadavg()[0]
    folder.mkdir(parents=True, exist_ok=True)
    with installed(folder, tracked=tracked) as installation:
        load = Load(installation.urls, installation.log, seed, most_open)
        with ThreadPoolExecutor(_CLIENTS) as threads:
            clients = [threads.submit(load.run, number) for number in range(_CLIENTS)]
            try:
                _disturb(installation, seed, injections=injections, gap_s=gap_s)
            finally:
                load.stopping.set()
        for client in clients:
            client.result()  # raises what has ended it
        disturbed_s = time.monotonic() - began_at
        installation.heal()
        healed_at = time.time()
        _await_ends(installation, load)
        installation.halt()
        patience_s = TIMES["lease_s"] + TIMES["reaper_s"] + DEADLINE_S
        recorded = audit.Recorded(installation.log.requests, installation.names, healed_at, patience_s)
        database = Database(installation.database.url)
        history = audit.history(database, installation.stack.objects, recorded)
        database.dispose()
        _keep(history, folder / "recorded.json")
        violations = check(history)
        return {
            "seed": seed,
            "injections": sum(installation.injected.values()),
            "violations": len(violations),
            "violated": [list(each) for each in violations],
            "by_fault": dict(sorted(installation.injected.items())),
            "jobs": _counted(history.jobs),
            "runs": _counted(history.runs),
            "attempts": sum(write.state == "running" != write.state_before for write in history.writes),
            "writes": len(history.writes),
            "answers": dict(sorted(installation.log.statuses.items())),
            "disturbed_s": round(disturbed_s, 1),
            "settled_s": round(max((each.finished_at or 0.0 for each in history.runs), default=0.0) - healed_at, 1),
            "seconds": round(time.monotonic() - began_at, 1),
            "cores": os.cpu_count(),
            "load": [round(load_before, 1), round(os.getloadavg()[0], 1)],
        }


def _counted(rows: Any) -> dict[str, int]:
    return {"all": len(rows), **dict(sorted(Counter(str(row.state) for row in rows).items()))}


def _keep(history: History, file: Path) -> None:
    """What the checker sees, so that it can be looked at and checked again."""
    fields = asdict(history) | {"counted": [[*place, run_id] for place, run_id in history.counted.items()]}
    file.write_text(json.dumps(fields, default=sorted), encoding="utf-8")


def _disturb(installation: Installation, seed: int, *, injections: int, gap_s: float) -> None:
    for fault in schedule(seed, gap_s=gap_s):
        if sum(installation.injected.values()) >= injections:
            return
        next_at = time.monotonic() + fault.after_s
        while time.monotonic() < next_at:
            installation.tend()
            time.sleep(0.1)
        _sample(installation)
        installation.inject(fault)


def _sample(installation: Installation) -> None:
    counted = "SELECT state, count(*) FROM run GROUP BY state"
    with suppress(psycopg.Error), connected(installation.database) as connection:
        installation.log.note("sample", runs=dict(connection.execute(counted).fetchall()))


def _await_ends(installation: Installation, load: Load) -> None:
    """Until nothing is under way; what was paused goes on."""
    chance, deadline = random.Random(load.seed), time.monotonic() + DEADLINE_S  # noqa: S311 - repeatable
    with httpx.Client(timeout=10) as http:
        while time.monotonic() < deadline:
            installation.tend()
            with suppress(SQLAlchemyError), installation.stack.database.read() as session:
                left = select(Job.id, Job.state).where(Job.state.not_in(ENDED_JOB))
                states = dict(session.execute(left).all())
                if not states and not session.scalar(select(func.count()).where(Run.state == "running")):
                    return
                for job_id in [job_id for job_id, state in states.items() if state is JobState.PAUSED]:
                    load.ask(http, chance, job_id, "resume")
            time.sleep(0.3)


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--injections", type=int, default=200)
    parser.add_argument("--points", type=int, default=20, help="runs that are killed and compared with an unbroken one")
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for the result and the history")
    options = parser.parse_args()
    _say(f"seed {options.seed}: `make faults SEED={options.seed} INJECTIONS={options.injections}` repeats it")
    with tempfile.TemporaryDirectory(prefix="pskd-faults-") as folder:
        disturbed, killed = Path(folder, "campaign"), Path(folder, "resume")
        try:
            found = run(disturbed, seed=options.seed, injections=options.injections)
        finally:
            _save(disturbed, options.out / "faults")
        found["resume"] = resume.run(killed, seed=options.seed, points=options.points)
    (options.out / "faults.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    _say(json.dumps(found, indent=2))
    return 1 if found["violations"] or found["resume"]["equal"] < found["resume"]["points"] else 0


def _save(folder: Path, out: Path) -> None:
    """History and logs, also of a campaign that was broken off."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    for kept in (folder / "history.jsonl", folder / "recorded.json", *folder.glob("home/*.log")):
        if kept.exists():
            (out / kept.name).write_bytes(kept.read_bytes())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
