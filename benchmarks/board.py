"""How soon a leaderboard of 100,000 runs answers, on SQLite and PostgreSQL: `make bench-board`.

The rows are copies of a few that the store has made itself, with other figures. One API process is asked over one
connection for pages of every kind in turn.
"""

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from benchmarks.serving import HOST, Connection, answers
from benchmarks.start import made_database
from benchmarks.table import parser_of, publish, row
from store import leaderboard, runs
from store.base import Base
from store.engine import Database
from store.models import Configuration, ConfigurationResult, Job, Run
from tests.integration.worker.stack import running, until
from tests.services import free_port
from tests.stored import add_ready_dataset, claim, counted, finish, submit

_SEEDS = 5
_METHODS = ("pskd", "none", "kd", "rkd")
_AT_ONCE = 500  # configurations
_DEEP = 20  # pages
_RARE = 400  # each so many-th configuration stands on a dataset of another name


def fill(database: Database, runs_wanted: int) -> None:
    """So many runs: configurations of five seeds each, whose jobs have ended."""
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, seeds=range(_SEEDS))
    for _ in range(_SEEDS):
        with database.write() as session:
            runs.succeed(session, claim(session).claim, finish())
    with database.read() as session:
        (job,), (made,) = (session.scalars(select(each)).all() for each in (Job, Configuration))
        own, results = (session.scalars(select(each)).all() for each in (Run, ConfigurationResult))
        models = [(_plain(job), [_plain(each) for each in own], _plain(made), [_plain(each) for each in results])]
    rng, wanted = np.random.default_rng(0), runs_wanted // _SEEDS - 1
    for first in range(0, wanted, _AT_ONCE):
        with database.write() as session:
            _copy(session, *models[0], numbers=range(first, min(first + _AT_ONCE, wanted)), rng=rng)


def _plain(made: Base) -> dict[str, Any]:
    return {column.key: getattr(made, column.key) for column in made.__mapper__.column_attrs}


def _copy(
    session: Session,
    job: dict[str, Any],
    own: list[dict[str, Any]],
    made: dict[str, Any],
    results: list[dict[str, Any]],
    *,
    numbers: range,
    rng: np.random.Generator,
) -> None:
    new: dict[type[Base], list[dict[str, Any]]] = {Job: [], Run: [], Configuration: [], ConfigurationResult: []}
    for number in numbers:
        row_id, job_id = f"{number:064x}", f"job_{number:026}"
        new[Job].append({**job, "id": job_id, "configuration_hash": row_id})
        accuracy, macro_f1 = rng.uniform(0.5, 1, 2).tolist()
        figures = {"accuracy_mean": accuracy, "macro_f1_mean": macro_f1, "latency_ms": float(rng.uniform(0.1, 9))}
        method = {"id": row_id, "configuration_hash": row_id, "method": _METHODS[number % len(_METHODS)]}
        if number % _RARE == 0:
            method |= {"dataset_name": "rare", "dataset_digest": "rare"}
        new[Configuration].append({**made, **method, **figures, "parameters": int(rng.integers(10**4, 10**7))})
        by_seed = {each["seed"]: f"run_{number:020}{each['seed']:06}" for each in own}
        new[Run] += [{**each, "id": by_seed[each["seed"]], "job_id": job_id} for each in own]
        new[ConfigurationResult] += [
            {**each, "configuration_id": row_id, "run_id": by_seed[each["seed"]], "accuracy": accuracy}
            for each in results
        ]
    for kind, rows in new.items():
        session.execute(insert(kind), rows)


def measure(folder: Path, kind: str, *, runs_wanted: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of each kind of page, and how many queries a page of 10 rows and one of 200 make."""
    with ExitStack() as ends:
        url = made_database(ends, folder, kind)
        database = Database(url)
        fill(database, runs_wanted)
        queries = [_queries(database, limit) for limit in (10, 200)]
        pages = dict(_pages(database))
        database.dispose()
        stack = ends.enter_context(running(folder / "home", database_url=url, broker_url="redis://127.0.0.1:1/0"))
        port = free_port()
        stack.start("api", port=port)
        until(lambda: answers(port), what="the API")
        with Connection(port) as connection:
            took_ms: dict[str, list[float]] = {name: [] for name in pages}
            for number in range(rounds + 1):
                for name, query in pages.items():
                    began_at = time.perf_counter()
                    status, body = connection.ask(
                        f"GET /v1/leaderboard?{urlencode(query)} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
                    )
                    if status != 200:
                        raise RuntimeError(f"answered {status}: {body[:300]!r}")
                    if number:  # the first round only warms up
                        took_ms[name].append(1000 * (time.perf_counter() - began_at))
    return {"ms": took_ms, "queries": queries}


def _queries(database: Database, limit: int) -> int:
    with counted(database) as statements, database.read() as session:
        leaderboard.rows(session, limit=limit)
    return len(statements)


def _pages(database: Database) -> Iterator[tuple[str, dict[str, str]]]:
    yield "best", {}
    for sort in ("-macro_f1", "parameters", "latency_ms"):
        yield sort, {"sort": sort}
    yield "long", {"limit": "200"}
    yield "of a rare dataset", {"dataset": "rare"}
    yield "filtered", {"dataset": "made", "protocol": "cross_subject", "method": "rkd"}
    with database.read() as session:
        page = leaderboard.rows(session)
        yield "against", {"against": page.items[0].id}
        cursor = None
        for _ in range(_DEEP):
            if page.next_cursor is not None:
                cursor = page.next_cursor
                page = leaderboard.rows(session, cursor=cursor)
        if cursor is not None:
            yield "deep", {"cursor": cursor}


def rows(found: dict[str, dict[str, Any]], *, runs_wanted: int) -> Iterator[dict[str, Any]]:
    """A row for each kind of database: the 95th percentile over all pages; its quartiles are those of all answers."""
    for kind, told in found.items():
        every = sorted(value for values in told["ms"].values() for value in values)
        late = every[math.ceil(0.95 * len(every)) - 1]
        named = f"leaderboard of {runs_wanted:,} runs on {kind}, 95 % of pages within, ms"
        spread = row(named, every, at_most=50)
        yield {**spread, "value": round(late, 3), "ok": late <= 50}
        first, last = told["queries"]
        yield row(f"queries of its page of 200 rows ÷ of 10, on {kind}", [last / first], at_most=1)


def main() -> None:
    """Print the table, and write it and all figures down."""
    parser = parser_of("board", __doc__, rounds=60)
    parser.add_argument("--runs", type=int, default=100_000)
    options = parser.parse_args()
    found = {}
    for kind in ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory(prefix="pskd-board-") as folder:
            found[kind] = measure(Path(folder), kind, runs_wanted=options.runs, rounds=options.rounds)
    told = list(rows(found, runs_wanted=options.runs))
    publish(options.out, "board", told, found)


if __name__ == "__main__":
    main()
