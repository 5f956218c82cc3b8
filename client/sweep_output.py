"""What a sweep found, on a terminal: its trials, the best of them, a heat map, and its progress."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.style import Style
from rich.table import Table
from rich.text import Text

from client import output
from client.answers import HeatMap, Sweep, SweepEstimate, SweepSummary, Trial, TrialScore
from client.api import Client
from client.errors import ClientError

_ENDED = frozenset({"succeeded", "failed", "cancelled"})
METRIC_TITLES = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
_LOW, _HIGH = (68, 1, 84), (122, 209, 81)  # dark violet to light green, told apart without seeing red

SWEEPS: output.Columns[SweepSummary] = {
    "id": lambda sweep: sweep.id,
    "name": lambda sweep: sweep.name,
    "search": lambda sweep: sweep.search,
    "state": lambda sweep: sweep.state,
    "trials": lambda sweep: f"{_ended(sweep)}/{sweep.counts.total}",
    "created": lambda sweep: output.when(sweep.created_at),
}


class SweepNotSucceeded(ClientError):
    """A sweep that was waited for ended otherwise."""

    remedy = "the table says why each trial failed; `pskd jobs` lists their jobs"

    def __init__(self, sweep: Sweep) -> None:
        super().__init__(f"sweep {sweep.id} {sweep.state}")


class NothingBest(ClientError):
    """No trial has succeeded, so none is best."""

    remedy = "wait until one has, with --wait"

    def __init__(self, sweep: Sweep) -> None:
        super().__init__(f"no trial of sweep {sweep.id} has succeeded yet")


def watch_sweep(service: Client, sweep: Sweep) -> Sweep:
    """Show the progress of a sweep until it has ended, with a line for each trial that has; gives it as it ended."""
    console, told = output.stdout(), set[int]()
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn())
    note = TextColumn("[dim]{task.fields[note]}")
    with Progress(*columns, note, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(escape(sweep.name or sweep.id), total=sweep.counts.total, note="")
        for now in service.follow_sweep(sweep.id):
            sweep = now
            for trial in sweep.trials:
                if trial.state in _ENDED and trial.number not in told:
                    told.add(trial.number)
                    console.print(_sentence(trial), markup=False)
            best = f"best {score_text(sweep.best.score)}, trial {sweep.best.number}" if sweep.best else ""
            progress.update(bar, completed=_ended(sweep), note=best)
    return sweep


def print_estimate(estimate: SweepEstimate, *, as_json: bool) -> None:
    """How much a sweep would be."""
    if as_json:
        output.print_json(estimate)
    else:
        runs = "once the dataset is ready" if estimate.runs is None else f"{estimate.runs} runs"
        text = f"the sweep is right: {estimate.trials} trials (at most {estimate.most_trials}), {runs}"
        output.stdout().print(text, markup=False)


def print_sweep(sweep: Sweep, *, as_json: bool) -> None:
    """The trials, best first; the heat map; what was best."""
    if as_json:
        output.print_json(sweep)
        return
    console = output.stdout()
    console.print(f"{sweep.id}  {sweep.name or '(no name)'}  {sweep.state}", markup=False, style="bold")
    names = short_names(list(sweep.spec["space"]))
    titles = ["trial", *names.values(), "state", METRIC_TITLES[sweep.metric], "parameters", "took", ""]
    output.print_table([_row(trial, names) for trial in _ranked(sweep.trials)], titles, empty="no trial yet")
    if sweep.heat_map is not None:
        print_heat_map(console, sweep.heat_map, names, METRIC_TITLES[sweep.metric])
    if sweep.best is not None:
        console.print(
            f"best: trial {sweep.best.number}, {METRIC_TITLES[sweep.metric]} {score_text(sweep.best.score)} on the "
            f"validation part ({sweep.best.score.runs} runs)",
            markup=False,
        )


def print_heat_map(console: Console, heat_map: HeatMap, names: Mapping[str, str], metric: str) -> None:
    """Cells by colour on a terminal, plain numbers elsewhere; each is the mean over the other parameters."""
    titles = [f"{names[heat_map.y]} \\ {names[heat_map.x]}", *map(value_text, heat_map.x_values)]
    console.print(f"{metric}, mean over the other parameters:", markup=False)
    if not console.is_terminal:
        rows = [
            [value_text(value), *map(output.per_cent, cells)]
            for value, cells in zip(heat_map.y_values, heat_map.mean, strict=True)
        ]
        for line in output.aligned([titles, *rows]):
            console.print(line, markup=False)
        return
    table = Table(*map(escape, titles), box=box.SIMPLE_HEAD)
    known = [cell for cells in heat_map.mean for cell in cells if cell is not None]
    for value, cells in zip(heat_map.y_values, heat_map.mean, strict=True):
        table.add_row(escape(value_text(value)), *(_coloured(cell, known) for cell in cells))
    console.print(table)


def write_best(sweep: Sweep, file: Path) -> None:
    """Write the best trial's spec, as it can be submitted.

    Raises:
        NothingBest: no trial has succeeded.
    """
    if sweep.best is None:
        raise NothingBest(sweep)
    file.write_text(yaml.safe_dump(sweep.best.spec, sort_keys=False, allow_unicode=True), encoding="utf-8")


# --- How single things are written --------------------------------------------------------------------------------


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """The last part of each path where that tells them apart, else the whole path."""
    lasts = [path.rpartition(".")[2] for path in paths]
    return {path: last if lasts.count(last) == 1 else path for path, last in zip(paths, lasts, strict=True)}


def value_text(value: Any) -> str:
    """A value of the space in few letters: an object by its kind and what else it says."""
    match value:
        case {"kind": kind, **rest}:
            inner = ", ".join(f"{key}={value_text(item)}" for key, item in rest.items())
            return f"{kind}({inner})" if inner else str(kind)
        case str():
            return value
        case float():
            return f"{value:.4g}"
        case _:
            return json.dumps(value, ensure_ascii=False)


def score_text(score: TrialScore) -> str:
    """Mean ± standard deviation over runs, in per cent."""
    spread = "" if score.sd is None else f" ± {100 * score.sd:.1f}"
    return f"{100 * score.mean:.1f}{spread} %"


def _ended(sweep: SweepSummary) -> int:
    return sum(count for state, count in sweep.counts.states.items() if state in _ENDED)


def _ranked(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: (-trial.score.mean if trial.score else 1, trial.number))


def _row(trial: Trial, names: Mapping[str, str]) -> list[str]:
    return [
        str(trial.number),
        *(value_text(trial.parameters[path]) for path in names),
        trial.state,
        score_text(trial.score) if trial.score else "–",
        "–" if trial.cost.parameters is None else f"{trial.cost.parameters:,}",
        output.lasting(trial.cost.seconds),
        f"{trial.cause}: {trial.detail}" if trial.cause else "",
    ]


def _sentence(trial: Trial) -> str:
    names = short_names(list(trial.parameters))
    point = "  ".join(f"{names[path]}={value_text(value)}" for path, value in trial.parameters.items())
    told = score_text(trial.score) if trial.score else f"{trial.cause}: {trial.detail}" if trial.cause else ""
    return f"trial {trial.number} {trial.state}  {point}  {told}".rstrip()


def _coloured(cell: float | None, known: Sequence[float]) -> Text:
    if cell is None:
        return Text("–")
    low, high = min(known), max(known)
    share = (cell - low) / (high - low) if high > low else 1.0
    red, green, blue = (round(start + share * (end - start)) for start, end in zip(_LOW, _HIGH, strict=True))
    ink = "black" if share > 0.5 else "white"
    return Text(f" {output.per_cent(cell)} ", style=Style.parse(f"{ink} on rgb({red},{green},{blue})"))
