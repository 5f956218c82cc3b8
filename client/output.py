"""What commands print: tables on a terminal, plain lines elsewhere, JSON where it is asked for."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table

from client.answers import AliasChange, Dataset, DatasetSummary, Finding, JobSummary, Model, Run
from client.errors import Refused
from client.leaderboard import Difference, LeaderboardRow, OverSubjects, PublishedRow, Statistic
from client.upkeep import Deletion
from pskd_core.printable import printable

A = TypeVar("A", bound=BaseModel)
# Column titles, and what stands below each; numbers are aligned right.
Columns = Mapping[str, Callable[[A], str]]

_MOST_PROBLEMS = 10
_BOUNDLESS = 10_000  # letters; wider than any terminal
_NUMBERS = frozenset(
    {
        "recordings", "seed", "accuracy", "macro-F1", "F1", "N", "seeds", "parameters", "version", "A", "B", "A − B",
        "only A right", "only B right", "p", "waiting", "given up", "attempts", "count", "size",
    }
)  # fmt: skip
_STYLES = {
    "ready": "green", "succeeded": "green", "running": "cyan", "validating": "cyan", "retrying": "yellow",
    "pausing": "yellow", "paused": "yellow", "cancelling": "yellow", "cancelled": "yellow", "failed": "bold red",
}  # fmt: skip


class Terminal(Console):
    """A console on which no text steers the terminal: colours and cursor are this program's alone, never a name's."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """All that is printed passes here, bars and tables too; line breaks stay."""
        for segment in super().render(renderable, options):
            shown = "\n".join(map(printable, segment.text.split("\n")))
            yield segment if segment.control else Segment(shown, segment.style)


@cache
def stdout() -> Console:
    """The one console of results, so that lines appear above its bars; off a terminal a line is as long as it is."""
    return Terminal(highlight=False, soft_wrap=not sys.stdout.isatty())


@cache
def stderr() -> Console:
    """The one console of messages."""
    return Terminal(highlight=False, soft_wrap=not sys.stderr.isatty(), stderr=True)


def print_json(answer: BaseModel) -> None:
    """One JSON document."""
    _write_json(answer.model_dump(mode="json"), indent=1)


def print_json_line(answer: BaseModel, **more: str) -> None:
    """One line of a stream of JSON objects."""
    _write_json({**more, **answer.model_dump(mode="json")}, indent=None)


def print_many(items: Iterable[A], columns: Columns[A], *, as_json: bool, empty: str) -> None:
    """A JSON array, or a table; `empty` if it would have no row."""
    if as_json:
        _write_json([item.model_dump(mode="json") for item in items], indent=1)
    else:
        print_table([[cell(item) for cell in columns.values()] for item in items], list(columns), empty=empty)


def print_json_lists(lists: Mapping[str, Iterable[BaseModel]]) -> None:
    """One JSON object of arrays, for kinds of rows that must not be mixed."""
    _write_json({name: [item.model_dump(mode="json") for item in items] for name, items in lists.items()}, indent=1)


def print_table(rows: Sequence[Sequence[str]], titles: Sequence[str], *, empty: str = "") -> None:
    """Rows below their titles; where a terminal is too narrow for whole words, lines that run on instead."""
    if not rows:
        stderr().print(empty)
        return
    rows = [list(map(printable, row)) for row in rows]  # a line break would begin a row that is none
    console, table = stdout(), _table(rows, titles)
    if console.is_terminal and _narrowest(console, table) <= console.width:
        console.print(table)
    else:
        for line in aligned([[title.upper() for title in titles], *rows]):
            console.print(line, markup=False, soft_wrap=True)


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows as lines whose columns stand below each other."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def print_dataset(dataset: Dataset) -> None:
    """A dataset with what its import found."""
    console, report = stdout(), dataset.report
    console.print(f"{dataset.name}  {dataset.id}  {dataset.state}", markup=False, style="bold")
    if dataset.detail:
        console.print(f"  {dataset.detail}", markup=False)
    if report is None:
        return
    seconds = report.duration_s
    console.print(
        f"  {report.recordings} recordings of {len(report.classes)} classes by {len(report.subjects)} subjects, "
        f"{seconds.min:.1f} to {seconds.max:.1f} s long"
    )
    for kind, counts in (("classes", report.classes), ("subjects", report.subjects)):
        console.print(f"  {kind}: {', '.join(f'{name} {count}' for name, count in counts.items())}", markup=False)
    for name, stream in report.streams.items():
        slowest, fastest = (f"{rate:.1f}" for rate in (stream.rate_hz.min, stream.rate_hz.max))
        rates = slowest if slowest == fastest else f"{slowest} to {fastest}"
        console.print(f"  stream {name}: {stream.recordings} recordings, {rates} samples a second", markup=False)
    for name, sizes in report.protocols.items():
        missing = f" (missing: {', '.join(sizes.missing)})" if sizes.missing else ""
        console.print(f"  protocol {name}: {sizes.train} train, {sizes.test} test{missing}", markup=False)
    _print_problems(console, report.problems)


def print_deletion(done: Deletion, *, as_json: bool) -> None:
    """What a deletion has removed."""
    if as_json:
        print_json(done)
    else:
        counts = (f"{count} {kind.replace('_', ' ')}" for kind, count in done.removed.items())
        stdout().print("deleted: " + ", ".join(counts), markup=False)


def print_published(rows: Sequence[PublishedRow]) -> None:
    """What the paper prints, and below it what must be known to read it."""
    console = stdout()
    console.print("\nPublished in the paper, not measured here; ours do not rank among them:")
    print_many(rows, PUBLISHED, as_json=False, empty="the paper prints nothing on this dataset")
    for note in dict.fromkeys(f"table {row.table}: {row.note}" for row in rows if row.note):
        console.print(note.replace("table figure", "figure"), markup=False)
    if rows:
        stderr().print("--json says what runs here in the place of each", style="dim")


def report_error(error: Exception) -> None:
    """What went wrong, where exactly, and what to do about it."""
    console = stderr()
    console.print("error:", style="bold red", end=" ")
    console.print(_without_faults(error), markup=False)
    for fault in error.faults if isinstance(error, Refused) else ():
        place = fault.get("pointer") or fault.get("parameter") or fault.get("header") or "the request"
        console.print(f"  {place}: {fault.get('detail')}", markup=False)
    if isinstance(error, Refused) and error.status >= 500 and error.request_id:
        console.print(f"  request id {error.request_id}", markup=False)
    if remedy := getattr(error, "remedy", ""):
        console.print("remedy:", style="bold", end=" ")
        console.print(remedy, markup=False)


# --- How single things are written --------------------------------------------------------------------------------


def per_cent(fraction: float | None) -> str:
    """A fraction as a reader of results wants it."""
    return "–" if fraction is None else f"{100 * fraction:.1f} %"


def short_id(row: LeaderboardRow) -> str:
    """As much of a row's id as tells it from others; commands take it for the whole."""
    return row.id[:10]


def mean_and_sd(statistic: Statistic | None) -> str:
    """Mean ± standard deviation over seeds, in per cent."""
    if statistic is None:
        return "–"
    spread = "" if statistic.sd is None else f" ± {100 * statistic.sd:.1f}"
    return f"{100 * statistic.mean:.1f}{spread} %"


def interval(found: Statistic | OverSubjects | None) -> str:
    """A 95 % interval, in per cent."""
    if found is None or found.low is None or found.high is None:
        return "–"
    return f"[{100 * found.low:.1f}, {100 * found.high:.1f}]"


def points(difference: Statistic) -> str:
    """A difference of two fractions, in points of per cent."""
    return f"{100 * difference.mean:+.1f}"


def when(moment: datetime) -> str:
    """A time of this machine's clock, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def lasting(seconds: float | None) -> str:
    """A length of time in two units at most."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _progress(job: JobSummary) -> str:
    return "" if job.progress is None else f"{100 * job.progress.fraction:.0f} %"


def _tested(run: Run, figure: str) -> float | None:
    tested = (run.result or {}).get("test") or {}
    return tested.get(figure)


def _model_tested(model: Model, figure: str) -> float | None:
    tested = (model.latest.metrics.get("test") or {}) if model.latest else {}
    return tested.get(figure)


def _over_subjects(found: OverSubjects | None) -> str:
    return interval(found) if found is None else f"{interval(found)} of {found.n}"


def _paired(difference: Difference | None) -> str:
    if difference is None:
        return "–"
    return f"{points(difference)} {interval(difference)} over {difference.n_seeds} seeds"


def method_of(row: LeaderboardRow) -> str:
    """The row's method, marked where a network of it read a substitute of the dataset's skeleton."""
    return row.method if row.skeleton_substitute is None else f"{row.method} (substitute skeleton)"


def _cited(row: PublishedRow) -> str:
    return row.method if row.citation is None else f"{row.method} [{row.citation}]"


def _as_printed(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.2f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


DATASETS: Columns[DatasetSummary] = {
    "id": lambda dataset: dataset.id,
    "name": lambda dataset: dataset.name,
    "state": lambda dataset: dataset.state,
    "recordings": lambda dataset: _number(dataset.recordings),
    "created": lambda dataset: when(dataset.created_at),
}
JOBS: Columns[JobSummary] = {
    "id": lambda job: job.id,
    "name": lambda job: job.name,
    "state": lambda job: job.state,
    "progress": _progress,
    "to go": lambda job: lasting(job.eta_s),
    "created": lambda job: when(job.created_at),
}
RUNS: Columns[Run] = {
    "id": lambda run: run.id,
    "seed": lambda run: str(run.seed),
    "fold": lambda run: run.fold,
    "state": lambda run: run.state,
    "accuracy": lambda run: per_cent(_tested(run, "accuracy")),
    "macro-F1": lambda run: per_cent(_tested(run, "macro_f1")),
    "N": lambda run: _number(_tested(run, "n")),
}
LEADERBOARD: Columns[LeaderboardRow] = {
    "row": short_id,
    "method": method_of,
    "student": lambda row: row.student,
    "dataset": lambda row: row.dataset_name,
    "protocol": lambda row: row.protocol,
    "accuracy": lambda row: mean_and_sd(row.accuracy),
    "95 % seeds": lambda row: interval(row.accuracy),
    "95 % subjects": lambda row: _over_subjects(row.accuracy_over_subjects),
    "macro-F1": lambda row: mean_and_sd(row.macro_f1),
    "seeds": lambda row: str(row.n_seeds),
    "N": lambda row: _number(row.n_test),
    "parameters": lambda row: _number(row.parameters),
}
AGAINST: Columns[LeaderboardRow] = {**LEADERBOARD, "difference": lambda row: _paired(row.difference)}
PUBLISHED: Columns[PublishedRow] = {
    "table": lambda row: row.table,
    "method": _cited,
    "test input": lambda row: row.test_input,
    "dataset": lambda row: row.dataset,
    "protocol": lambda row: row.protocol,
    "accuracy": lambda row: _as_printed(row.accuracy),
    "F1": lambda row: _as_printed(row.f1),
    "runs here": lambda row: row.runs_here.replace("_", "-"),
    "with": lambda row: (row.run_with or "").removeprefix("pskd "),
}
MODELS: Columns[Model] = {
    "name": lambda model: model.name,
    "version": lambda model: str(model.latest.version) if model.latest else "",
    "aliases": lambda model: ", ".join(f"{alias}={version}" for alias, version in model.aliases.items()),
    "accuracy": lambda model: per_cent(_model_tested(model, "accuracy")),
    "N": lambda model: _number(_model_tested(model, "n")),
    "dataset": lambda model: model.latest.dataset_name if model.latest else "",
    "protocol": lambda model: model.latest.protocol if model.latest else "",
}

HISTORY: Columns[AliasChange] = {
    "at": lambda change: when(change.at),
    "alias": lambda change: change.alias,
    "from": lambda change: "–" if change.from_version is None else str(change.from_version),
    "to": lambda change: "–" if change.to_version is None else str(change.to_version),
    "by": lambda change: f"{change.actor}, {change.key_name}" if change.key_name else change.actor,
    "gate": lambda change: "forced" if change.forced else change.gate.by.replace("_", " ") if change.gate else "",
    "reason": lambda change: change.reason or "",
}


def _write_json(value: Any, *, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    # What JSON itself lets through may steer a terminal as well; escaped it is the same document.
    escaped = (each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)
    sys.stdout.write("".join(escaped) + "\n")
    sys.stdout.flush()


def _table(rows: Sequence[Sequence[str]], titles: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for title, column in zip(titles, zip(*rows, strict=True), strict=True):
        # Ids and other single words are copied into the next command: only columns of several words may break.
        whole = not any(" " in cell for cell in column)
        table.add_column(title, justify="right" if title in _NUMBERS else "left", no_wrap=whole)
    for row in rows:
        table.add_row(*(f"[{_STYLES[cell]}]{cell}[/]" if cell in _STYLES else escape(cell) for cell in row))
    return table


def _narrowest(console: Console, table: Table) -> int:
    """Letters that its longest words need beside each other."""
    return console.measure(table, options=console.options.update_width(_BOUNDLESS)).minimum


def _print_problems(console: Console, problems: Sequence[Finding]) -> None:
    for problem in problems[:_MOST_PROBLEMS]:
        parts = (problem.file, f"row {problem.row}" if problem.row else None, problem.column)
        place = ", ".join(part for part in parts if part)
        console.print(f"  {problem.severity}: {place + ': ' if place else ''}{problem.detail}", markup=False)
    if len(problems) > _MOST_PROBLEMS:
        console.print(f"  and {len(problems) - _MOST_PROBLEMS} more; --json has all", markup=False)


def _without_faults(error: Exception) -> str:
    """The message; where faults are listed below it, its title alone, since the message repeats them."""
    if isinstance(error, Refused) and error.faults:
        return str(error.problem.get("title", error))
    return str(error)
