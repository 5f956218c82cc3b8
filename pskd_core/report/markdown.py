"""A report as Markdown: the table, what follows from its figures and nothing else, and what was run."""

import re
from collections.abc import Iterable, Iterator, Sequence

import yaml

from pskd_core.evaluation.metrics import Spread
from pskd_core.printable import printable
from pskd_core.report.document import Against, Environment, Report, ReportRow

LAYOUTS = {"utd_mhad": "UTD-MHAD", "berkeley_mhad": "Berkeley-MHAD", "mmact": "MMAct", "synthetic": "synthetic data"}
# File stems of the plots, and what each shows.
PLOTS = {
    "accuracy": "accuracy of every row, ours beside published",
    "learning": "cross-entropy of the student while it learns",
    "confusion": "confusion matrix of the reference",
    "subjects": "accuracy on each test subject",
}
_DASH = "–"
# What begins code, HTML, an entity, a link or a cell, and what would escape our escapes.
_MARKUP = re.compile(r"[\\`<&\[|]")


def as_markdown(report: Report) -> str:
    """The whole document."""
    blocks = [
        f"# {report.title}, {_plain(where(report))}",
        _standing(report),
        *_mixture(report),
        _table(_COLUMNS, [_cells(report, row) for row in report.rows]),
        _READING.format(reference=report.reference_row.name),
        *_substitute(report),
        "## What the figures say",
        "\n".join(f"- {_plain(sentence)}" for sentence in sentences(report)),
        "## Further figures",
        _table(_FURTHER, [_further(row) for row in report.rows if row.summary is not None]),
        _FURTHER_READING,
        *(_teachers(report)),
        *(f"![{text}]({stem}.png)" for stem, text in PLOTS.items()),
        f"## Classes, {report.reference_row.name}",
        _table(("class", "precision %", "recall %", "F1 %", "N, all seeds"), _classes(report)),
        "## What was run",
        *_provenance(report),
    ]
    return "\n\n".join(blocks) + "\n"


def where(report: Report) -> str:
    """The dataset as people call it."""
    return LAYOUTS.get(report.layout, report.dataset)


# --- The table ----------------------------------------------------------------------------------------------------

_COLUMNS = (
    "row", "accuracy %", "95 % interval", "macro-F1 %", "N", "seeds", "difference, points", "its 95 % interval",
    "right: more, less", "p", "published %", "weights", "remark",
)  # fmt: skip
_READING = (
    "Ours unless the column says published. Mean ± standard deviation over seeds; intervals: Student's t over seeds. "
    "The difference is the row's accuracy minus that of {reference}, paired by seed. Right: samples that the row, or "
    "the reference, alone has right in more of the seeds, and the exact sign test over them (with one seed McNemar's "
    "test)."
)


_FURTHER = ("row", "weighted F1 %", "top 5 %", "calibration error %", "paper's F %", "published F1 %")
_FURTHER_READING = (
    "Mean ± standard deviation over seeds. Of several folds a seed has the mean, but the weighted F1 of all recordings "
    "together. Calibration error: of the network's plain probabilities, 15 bins. The paper's F is the harmonic mean of "
    "accuracy and 1-nearest-neighbour recall on the logits, which is what the paper likely prints as F1."
)

# What two rows share if they differ in their methods alone.
_RECIPE = ("student", "feature_dim", "preprocess", "augment", "training")


def _cells(report: Report, row: ReportRow) -> list[str]:
    summary, against = row.summary, row.against
    return [
        f"**{row.name}**" if row.key == report.reference else row.name,
        mean_and_sd(summary.accuracy) if summary else _DASH,
        interval(summary.accuracy) if summary else _DASH,
        mean_and_sd(summary.macro_f1) if summary else _DASH,
        str(summary.n) if summary else _DASH,
        _seeds(row) if summary else _DASH,
        *(_against(against) if against else ["reference" if row.key == report.reference else _DASH, *[_DASH] * 3]),
        _published(row),
        row.weights,
        "; ".join(filter(None, [row.remark, row.problem])),
    ]


def _further(row: ReportRow) -> list[str]:
    assert row.summary is not None
    spreads = (row.summary.weighted_f1, row.summary.top5_accuracy, row.summary.ece, row.summary.paper_f)
    printed = row.published.f1 if row.published else None
    return [
        row.name,
        *(mean_and_sd(each) if each else _DASH for each in spreads),
        f"{100 * printed:.2f}" if printed is not None else _DASH,
    ]


def _against(against: Against) -> list[str]:
    samples = against.samples
    return [
        _points(against.accuracy.mean),
        _range(against.accuracy.interval_95),
        f"{samples.more_a}, {samples.more_b}",
        "< 0.001" if samples.p < 0.001 else f"{samples.p:.3f}",
    ]


def _seeds(row: ReportRow) -> str:
    assert row.summary is not None
    return f"{row.summary.n_seeds}" + ("" if row.summary.complete else ", incomplete")


def _published(row: ReportRow) -> str:
    if row.published is None:
        return _DASH
    figures = {"": row.published.accuracy, "F1 ": row.published.f1}
    printed = " / ".join(f"{name}{100 * value:.2f}" for name, value in figures.items() if value is not None)
    table = row.published.table
    return f"{printed or 'no figure'} ({f'Table {table}' if table.isdigit() else table.capitalize()})"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(map(_plain, line)) + " |" for line in lines)


# --- Sentences ----------------------------------------------------------------------------------------------------


def sentences(report: Report) -> Iterator[str]:
    """What may be said of every row, and what may not."""
    reference = report.reference_row
    compared = [row for row in report.rows if row.against is not None and row.against.accuracy.interval_95]
    for row in report.rows:
        if row.key != report.reference and (row.summary is not None or row.problem):
            yield _verdict(row, reference)
    if len(compared) > 1:
        yield (
            f"{len(compared)} rows are compared with one reference, each at 95 %, and nothing is corrected for their "
            "number: about one interval in twenty misses the truth."
        )
    yield from _not_alike(report, compared)
    if report.experiment == "table4":
        yield (
            f"The rivals run with weights that nobody has tuned, and the recipe was chosen with the loss of "
            f"{reference.name}: both are in its favour."
        )
    if any(row.published for row in report.rows):
        protocols = sorted({row.published.protocol for row in report.rows if row.published})
        yield (
            f"Published figures are the paper's, not measured here (protocol: {'; '.join(protocols)}); they stand "
            "beside ours and decide nothing."
        )
    yield _winner(report, compared)


def _verdict(row: ReportRow, reference: ReportRow) -> str:
    if row.summary is None:
        return f"{row.name} has no figures: {row.problem}."
    if not row.summary.complete or row.problem:
        missing = ", ".join(row.summary.missing) or "some runs"
        return f"{row.name} is not compared, it lacks {missing}" + (f": {row.problem}." if row.problem else ".")
    against = row.against
    if against is None:
        return f"{row.name} is not compared: it was not tested on the same samples and seeds as {reference.name}."
    difference = against.accuracy
    if difference.interval_95 is None:
        return f"Of {row.name} ({_points(difference.mean)} points) nothing follows: one seed gives no interval."
    low, high = difference.interval_95
    measured = f"the difference is {_points(difference.mean)} points, its interval {_range(difference.interval_95)}"
    people = (
        f" Drawn over the {against.subjects.n} test subjects: {_range(against.subjects.interval_95)}."
        if against.subjects
        else ""
    )
    if low <= 0 <= high:
        return f"{row.name} is not separated from {reference.name}: {measured} contains zero.{people}"
    side = "above" if low > 0 else "below"
    return f"{row.name} is {side} {reference.name}: {measured} excludes zero.{people}"


def _not_alike(report: Report, compared: Sequence[ReportRow]) -> Iterator[str]:
    """Rows whose difference to the reference is not that of methods alone."""
    told = report.specs[report.reference]
    for row in compared:
        spec = report.specs[row.key]
        assert isinstance(told, dict)
        assert isinstance(spec, dict)
        if parts := [name for name in _RECIPE if spec[name] != told[name]]:
            yield (
                f"{row.name} differs from {report.reference_row.name} in {' and '.join(parts).replace('_', ' ')} as "
                "well, so the difference is not that of their methods alone."
            )


def _winner(report: Report, compared: Sequence[ReportRow]) -> str:
    """Whether the reference beats all others, in plain words."""
    beaten = [row for row in compared if row.against and _is_below(row.against)]
    beating = [row.name for row in compared if row.against and _is_above(row.against)]
    name = report.reference_row.name
    if not compared:
        return f"Nothing is shown of {name}: there is no interval to judge by."
    if beating:
        return f"{name} is not the best: {', '.join(beating)} stands above it."
    if len(beaten) == len(compared):
        return f"{name} is above every row that it is compared with."
    return f"{name} is shown to be above {len(beaten)} of the {len(compared)} rows that it is compared with."


def _is_below(against: Against) -> bool:
    return against.accuracy.interval_95 is not None and against.accuracy.interval_95[1] < 0


def _is_above(against: Against) -> bool:
    return against.accuracy.interval_95 is not None and against.accuracy.interval_95[0] > 0


# --- The rest -----------------------------------------------------------------------------------------------------


def _standing(report: Report) -> str:
    development = (
        "**Development estimates:** recipes are chosen on training subjects, and some of these are tested here. "
        if report.development
        else ""
    )
    summary = report.reference_row.summary
    assert summary is not None
    seeds = ", ".join(map(str, report.seeds))
    return (
        f"{development}Dataset {_plain(report.dataset)}, protocol {_plain(report.protocol)}, N {summary.n}, "
        f"seeds {seeds}, preset `{report.preset}`."
    )


def _mixture(report: Report) -> Iterator[str]:
    if len(report.environments) > 1:
        yield (
            f"**Warning:** these runs were made by {len(report.environments)} different sets of versions or machines, "
            "which are listed at the end. Differences between rows may come from that."
        )


def _substitute(report: Report) -> Iterator[str]:
    if report.skeleton_substitute is not None:
        yield (
            f"**† Substitute skeleton:** a network of this row read {_plain(report.skeleton_substitute)}, not the "
            "dataset's own skeleton. No figure of the benchmark may be claimed from it."
        )


def _teachers(report: Report) -> Iterator[str]:
    if report.teachers:
        yield f"## Teachers of {report.reference_row.name}"
        rows = [
            [each.name, mean_and_sd(each.summary.accuracy), mean_and_sd(each.summary.macro_f1), str(each.summary.n)]
            for each in report.teachers
        ]
        yield _table(("teacher", "accuracy %", "macro-F1 %", "N"), rows)


def _classes(report: Report) -> Iterator[list[str]]:
    for name, scores in zip(report.classes, report.per_class, strict=True):
        figures = (scores.precision, scores.recall, scores.f1)
        yield [name, *(_DASH if value is None else f"{100 * value:.1f}" for value in figures), str(scores.support)]


def _provenance(report: Report) -> Iterator[str]:
    alone = f"{_plain(_versions(report.environments[0]))}. " if len(report.environments) == 1 else ""
    yield (
        f"Dataset content `{report.digest}`. {alone}The runs took {_lasting(report.took_s)}, added up. "
        "`report.json` holds every row's whole spec."
    )
    if not alone:
        yield "\n".join(f"- {_plain(_versions(each))}: {_plain(', '.join(each.rows))}" for each in report.environments)
    spec = yaml.safe_dump(report.specs[report.reference], sort_keys=False, allow_unicode=True)
    fence = "```"
    while fence in spec:  # in a subject's name
        fence += "`"
    yield (
        f"<details><summary>Spec of {report.reference_row.name}</summary>\n\n{fence}yaml\n{spec}{fence}\n\n</details>"
    )


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line: names of classes, subjects and datasets are a stranger's."""
    return _MARKUP.sub(r"\\\g<0>", printable(text))


def _versions(environment: Environment) -> str:
    return ", ".join(f"{name} {value}" for name, value in environment.versions.items()) or "versions not recorded"


def mean_and_sd(figure: Spread) -> str:
    """In per cent."""
    return f"{100 * figure.mean:.2f}" + ("" if figure.sd is None else f" ± {100 * figure.sd:.2f}")


def interval(figure: Spread) -> str:
    """In per cent."""
    if figure.interval_95 is None:
        return _DASH
    low, high = figure.interval_95
    return f"{100 * low:.2f} to {100 * high:.2f}".replace("-", "−")


def _range(low_high: tuple[float, float] | None) -> str:
    """In points, with signs."""
    return _DASH if low_high is None else f"{_points(low_high[0])} to {_points(low_high[1])}"


def _points(fraction: float) -> str:
    rounded = round(100 * fraction, 2) + 0.0  # no minus before zero
    return f"{rounded:+.2f}".replace("-", "−") if rounded else "0.00"


def _lasting(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
