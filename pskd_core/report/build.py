"""From finished runs to a report: sum up, compare with the reference, say what was run."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from pskd_core.config import JobSpec, LeaveOneSubjectOut, NamedProtocol, NoTeachers, configuration_hash
from pskd_core.data.columnar import SKELETON
from pskd_core.errors import DataError, NotComparable
from pskd_core.evaluation.comparison import Predictions, compare, pool
from pskd_core.evaluation.metrics import FoldResult, PartSummary, Scores, class_scores, summarise_part
from pskd_core.experiments import Experiment
from pskd_core.report.document import Against, Environment, Report, ReportRow, TeacherRow
from pskd_core.report.results import RowResult, RunResult, Setting


def build_report(chosen: Experiment, setting: Setting, results: Sequence[RowResult]) -> Report:
    """The report of one experiment.

    Raises:
        DataError: the reference has no finished run, so there is nothing to compare with.
    """
    reference = next(result for result in results if result.row.key == chosen.reference)
    if reference.spec is None or not reference.runs:
        reason = reference.problem or "none of its runs has finished"
        raise DataError(f"{reference.row.name}, with which every row is compared, has no figures: {reason}")
    substitute = setting.skeleton_substitute
    marked = {each.row.key for each in results if substitute and each.spec and SKELETON in each.spec.streams}
    confusion = np.sum([run.outcome.test.confusion for run in reference.runs], axis=0)
    return Report(
        experiment=chosen.name,
        title=chosen.title,
        reference=chosen.reference,
        dataset=setting.dataset,
        layout=setting.layout,
        digest=setting.digest,
        protocol=protocol_text(reference.spec, reference.folds),
        development=is_development(reference.spec),
        seeds=reference.spec.seeds,
        preset=setting.preset,
        skeleton_substitute=substitute if marked else None,
        rows=tuple(_row(result, reference, marked=result.row.key in marked) for result in results),
        teachers=_teachers(reference),
        classes=setting.classes,
        confusion=tuple(map(tuple, confusion.tolist())),
        per_class=class_scores(confusion),
        specs={each.row.key: each.spec.model_dump(mode="json") for each in results if each.spec is not None},
        environments=_environments(results),
        took_s=math.fsum(run.took_s for run in _once(results)),
    )


def is_development(spec: JobSpec) -> bool:
    """Recipes are chosen on the training subjects of `cross_subject`, which every other protocol tests as well."""
    return not (isinstance(spec.protocol, NamedProtocol) and spec.protocol.name == "cross_subject")


def protocol_text(spec: JobSpec, folds: Iterable[str]) -> str:
    """The protocol in words."""
    match spec.protocol:
        case NamedProtocol(name=name):
            return name
        case LeaveOneSubjectOut():
            return f"leave-one-subject-out over {', '.join(fold.rpartition(':')[2] for fold in folds)}"
        case explicit:
            return f"trained on subjects {', '.join(explicit.train)}, tested on {', '.join(explicit.test)}"


def weights_text(spec: JobSpec) -> str:
    """The weights of a spec's loss, such as `α 0.1, β 0.1, γ 0.1` or `weight 3000`."""
    if isinstance(spec.method, NoTeachers):
        return ""
    names = {"alpha": "α", "beta": "β", "gamma": "γ", "weight": "weight"}
    names |= {"distance_weight": "distances", "angle_weight": "angles"}
    loss = spec.method.loss.model_dump()
    return ", ".join(f"{name} {loss[field]:g}" for field, name in names.items() if field in loss)


def _row(result: RowResult, reference: RowResult, *, marked: bool) -> ReportRow:
    first = result.runs[0].outcome if result.runs else None
    return ReportRow(
        key=result.row.key,
        name=f"{result.row.name} †" if marked else result.row.name,
        remark=result.row.remark,
        published=result.row.published,
        weights=weights_text(result.spec) if result.spec is not None else "",
        configuration_hash=configuration_hash(result.spec) if result.spec is not None else None,
        summary=_summary(result, [(run, run.outcome.test) for run in result.runs]),
        against=_against(result, reference) if result is not reference and result.whole and reference.whole else None,
        subjects=_subjects(result.runs),
        learning=_learning(result.runs),
        parameters=first.parameters if first else None,
        macs=first.macs if first else None,
        problem=result.problem,
    )


def _summary(result: RowResult, tested: Iterable[tuple[RunResult, Scores | None]]) -> PartSummary | None:
    measured = [
        FoldResult.of(run.outcome.seed, run.outcome.fold, scores) for run, scores in tested if scores is not None
    ]
    return summarise_part(measured, folds=result.folds)


def _against(result: RowResult, reference: RowResult) -> Against | None:
    """Null where they were not tested on the same samples, as happens when some lack a stream."""
    try:
        found = compare(_by_seed(result.runs), _by_seed(reference.runs))
    except NotComparable:
        return None
    return Against(
        accuracy=found.accuracy.difference,
        macro_f1=found.macro_f1.difference,
        samples=found.samples,
        subjects=found.subjects,
        n_seeds=found.n_seeds,
    )


def _by_seed(runs: Iterable[RunResult]) -> dict[int, Predictions]:
    by_seed: dict[int, list[Predictions]] = {}
    for run in runs:
        by_seed.setdefault(run.outcome.seed, []).append(run.predictions)
    return {seed: pool(folds) for seed, folds in by_seed.items()}


def _subjects(runs: Iterable[RunResult]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for run in runs:
        for subject, scores in run.outcome.test.per_subject.items():
            found.setdefault(subject, []).append(scores.accuracy)
    return {subject: float(np.mean(values)) for subject, values in found.items()}


def _learning(runs: Iterable[RunResult]) -> tuple[float, ...]:
    curves = [run.learning for run in runs if run.learning]
    return tuple(np.mean(curves, axis=0).tolist()) if curves else ()


def _teachers(reference: RowResult) -> tuple[TeacherRow, ...]:
    assert reference.spec is not None
    summaries = {
        name: _summary(reference, [(run, run.outcome.teachers[name].test) for run in reference.runs])
        for name in reference.spec.networks
        if name in reference.runs[0].outcome.teachers
    }
    return tuple(TeacherRow(name=name, summary=summary) for name, summary in summaries.items() if summary is not None)


def _environments(results: Iterable[RowResult]) -> tuple[Environment, ...]:
    rows: dict[tuple[tuple[str, str], ...], dict[str, None]] = {}  # names in order, each once
    for result in results:
        for run in result.runs:
            rows.setdefault(tuple(sorted(run.outcome.environment.items())), {})[result.row.name] = None
    return tuple(Environment(versions=dict(versions), rows=tuple(names)) for versions, names in rows.items())


def _once(results: Iterable[RowResult]) -> list[RunResult]:
    """Every run once, although rows of one configuration share theirs."""
    by_configuration = {configuration_hash(each.spec): each.runs for each in results if each.spec is not None}
    return [run for runs in by_configuration.values() for run in runs]
