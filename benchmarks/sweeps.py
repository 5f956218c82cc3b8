"""How much sooner a sweep ends with two workers than with one: `make bench-sweeps`.

The same grid of equal trials, each worker training one at a time on one thread. What counts is the time from the first
claim to the last end of a run; the workers are warm by then.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.start import made_database
from benchmarks.table import parser_of, publish, row
from store.base import present
from tests.integration.worker.stack import running
from tests.services import valkey_server
from tests.small import SMALL_SPEC

_BASE: dict[str, Any] = {
    **SMALL_SPEC,
    "dataset": "made",
    "protocol": {"kind": "subjects", "train": ["1", "2", "3"], "test": ["4"]},
    "validation": {"kind": "subjects", "subjects": ["3"]},
}


def sweep_s(folder: Path, *, workers: int, trials: int, epochs: int) -> float:
    """Seconds of a sweep of so many trials with so many workers, on PostgreSQL."""
    base = {**_BASE, "training": {"epochs": epochs, "batch_size": 16, "threads": 1}}
    with ExitStack() as ends:
        broker = ends.enter_context(valkey_server())
        ends.callback(broker.stop)
        broker.start()
        url = made_database(ends, folder, "postgresql")
        stack = ends.enter_context(running(folder / "home", database_url=url, broker_url=broker.url))
        stack.start("worker.keeper")
        for _ in range(workers):
            stack.start("worker")
        stack.add_dataset()
        warm = {**base, "training": {**base["training"], "epochs": 1}, "seeds": list(range(2 * workers))}
        stack.wait_for_job(stack.submit(**warm), "succeeded")
        space = {"training.student.learning_rate": {"choices": [(place + 1) / 1000 for place in range(trials)]}}
        _, ended = stack.wait_for_sweep(stack.submit_sweep(name="grid", base=base, space=space))
        own = [run for trial in ended for run in stack.runs(trial.job_id or "")]
    first = min(present(run.started_at) for run in own)
    return (max(present(run.finished_at) for run in own) - first).total_seconds()


def rows(*, rounds: int, trials: int, epochs: int) -> list[dict[str, Any]]:
    """One and two workers in turn."""
    gains = []
    for _ in range(rounds):
        took_s = []
        for workers in (1, 2):
            with tempfile.TemporaryDirectory(prefix="pskd-sweep-") as folder:
                took_s.append(sweep_s(Path(folder), workers=workers, trials=trials, epochs=epochs))
        gains.append(took_s[0] / took_s[1])
    return [row(f"a sweep of {trials} trials, one worker ÷ two", gains, at_least=1.8)]


def main() -> None:
    """Print the table, and write it down."""
    options = parser_of("sweeps", __doc__, rounds=3).parse_args()
    found = rows(rounds=options.rounds, trials=8, epochs=12)
    publish(options.out, "sweeps", found, {"rounds": options.rounds})


if __name__ == "__main__":
    main()
