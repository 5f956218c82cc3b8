"""What the benchmarks share: calls timed in turn, rows of figures with what is to be reached, and their table."""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Calls = Mapping[str, Callable[[], object]]
Seconds = Mapping[str, list[float]]
_SAID = {True: "yes", False: "no", None: "–"}


def parser_of(name: str, about: str | None, *, rounds: int | None = None) -> argparse.ArgumentParser:
    """The options that benchmarks share: where the result goes and, of those that go round, how often."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=about)
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for the result")
    if rounds is not None:
        parser.add_argument("--rounds", type=int, default=rounds, help="in which what is compared takes turns")
    return parser


def in_turn(
    calls: Calls, *, rounds: int, repeats: int, warm: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds a call of each kind, the median of `repeats` in each of the rounds, in which the kinds take turns.

    What else the machine does so meets all of them; what is compared are the figures of one round. Of what waits for
    nobody, `time.process_time` as the clock counts out what others do meanwhile.
    """
    for call in calls.values():
        for _ in range(warm):
            call()
    took_s: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            took_s[name].append(statistics.median(_timed(call, clock) for _ in range(repeats)))
    return took_s


def _timed(call: Callable[[], object], clock: Callable[[], float]) -> float:
    began_at = clock()
    call()
    return clock() - began_at


def ratios(took_s: Seconds, one: str, other: str) -> list[float]:
    """Round by round, the time of `one` in times of the `other`."""
    return [a / b for a, b in zip(took_s[one], took_s[other], strict=True)]


def above_ms(took_s: Seconds, one: str, other: str) -> list[float]:
    """Round by round, milliseconds that `one` takes above the `other`."""
    return [1000 * (a - b) for a, b in zip(took_s[one], took_s[other], strict=True)]


def row(
    name: str, values: list[float], *, at_least: float | None = None, at_most: float | None = None
) -> dict[str, Any]:
    """One figure: the median of the values, their quartiles, and whether it is what is to be reached, if anything."""
    value = statistics.median(values)
    quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else [value] * 3
    if at_least is not None:
        ok, reach = value >= at_least, f"≥ {at_least:g}"
    elif at_most is not None:
        ok, reach = value <= at_most, f"≤ {at_most:g}"
    else:
        ok, reach = None, "–"
    return {
        "name": name,
        "value": round(value, 3),
        "reach": reach,
        "ok": ok,
        "quartiles": [round(quartiles[0], 3), round(quartiles[2], 3)],
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = ["| what | value | quartiles | reach | reached |", "|---|---|---|---|---|"]
    for row in rows:
        low, high = row["quartiles"]
        lines.append(f"| {row['name']} | {row['value']} | {low} to {high} | {row['reach']} | {_SAID[row['ok']]} |")
    return "\n".join(lines) + "\n"


def publish(out: Path, name: str, rows: Sequence[Mapping[str, Any]], figures: Mapping[str, Any]) -> None:
    """Print the rows as a table, and write them with all figures to `NAME.json` in a folder."""
    machine = {"cores": os.cpu_count(), "load_of_the_machine": round(os.getloadavg()[0], 1)}
    out.mkdir(parents=True, exist_ok=True)
    told = json.dumps({"rows": rows, **machine, **figures}, indent=2)
    (out / f"{name}.json").write_text(told + "\n", encoding="utf-8")
    sys.stdout.write(table(rows))
