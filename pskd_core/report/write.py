"""A report as files in a folder."""

from pathlib import Path

from pskd_core import plots
from pskd_core.plots import Bar
from pskd_core.report.document import Report, ReportRow
from pskd_core.report.markdown import as_markdown, where


def write_report(report: Report, folder: Path) -> Path:
    """Write `report.json`, `report.md`, and the plots as PNG and SVG; gives the Markdown's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    _write_plots(report, folder)
    markdown = folder / "report.md"
    markdown.write_text(as_markdown(report), encoding="utf-8")
    return markdown


def _write_plots(report: Report, folder: Path) -> None:
    measured = [row for row in report.rows if row.summary is not None]
    about = f"{where(report)}, {report.protocol}"
    if report.development:
        about += "\ndevelopment estimates"
    reference = report.reference_row.name
    bars = [bar for bar in map(_bar, report.rows) if bar.value is not None or bar.published is not None]
    drawn = {
        "accuracy": plots.bars(bars, title=f"{report.title}\n{about}", axis="accuracy, %", reference=reference),
        "learning": plots.curves(
            {row.name: row.learning for row in measured if len(row.learning) > 1},
            title="Students while they learn: training data, mean over runs",
            across="epoch of the student",
            up="cross-entropy",
        ),
        "confusion": plots.confusion(report.confusion, report.classes, title=f"{reference}, % of the true class"),
        "subjects": plots.by_subject(
            {row.name: _per_cent(row) for row in measured if row.key in {report.reference, "none"}},
            title=f"Test subjects, mean over seeds\n{about}",
            axis="accuracy, %",
        ),
    }
    for stem, figure in drawn.items():
        plots.save(figure, folder / stem)


def _bar(row: ReportRow) -> Bar:
    published = 100 * row.published.accuracy if row.published and row.published.accuracy is not None else None
    if row.summary is None:
        return Bar(row.name, None, published=published)
    accuracy = row.summary.accuracy
    low_high = (100 * accuracy.interval_95[0], 100 * accuracy.interval_95[1]) if accuracy.interval_95 else None
    return Bar(row.name, 100 * accuracy.mean, low_high, published)


def _per_cent(row: ReportRow) -> dict[str, float]:
    return {subject: 100 * accuracy for subject, accuracy in row.subjects.items()}
