"""Rows of the leaderboard, paired by seed: which may be compared, how much they differ, what their runs predicted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pskd_core.errors import NotComparable
from pskd_core.evaluation.metrics import Spread, spread
from store.base import present
from store.models import Configuration, ConfigurationResult, Run


@dataclass(frozen=True)
class Difference:
    """A row's accuracy minus that of another, over the seeds that both have whole."""

    n_seeds: int
    accuracy: Spread


def obstacle(a: Configuration, b: Configuration) -> str | None:
    """Why the tests of two rows cannot be paired, whatever their seeds; null if they can."""
    if a.dataset_digest != b.dataset_digest:
        return f"A was tested on dataset {a.dataset_name!r}, B on {b.dataset_name!r}, and their contents differ"
    if a.spec["protocol"] != b.spec["protocol"]:
        return f"A was tested under protocol {a.spec['protocol']}, B under {b.spec['protocol']}"
    if a.n_test is not None and b.n_test is not None and a.n_test != b.n_test:
        return f"A was tested on {a.n_test} recordings, B on {b.n_test}: their networks read other streams"
    return None


def check(a: Configuration, b: Configuration) -> None:
    """Raises NotComparable unless both rows were tested on the same data in the same way."""
    if (reason := obstacle(a, b)) is not None:
        raise NotComparable(f"{reason}; compare rows of one dataset and protocol")


def _same_recordings(a: Configuration, b: Configuration) -> bool:
    """Whether figures alone tell that rows without an obstacle were tested on the same recordings.

    A test part is what has every stream that the student reads. Where one student reads all that the other does, its
    recordings are among the other's, and equal numbers mean equal sets; else as many may be lacking, but others.
    """
    streams_a, streams_b = (set(row.spec["student"]["inputs"]) for row in (a, b))
    return streams_a <= streams_b or streams_b <= streams_a


def differences(session: Session, rows: Sequence[Configuration], against: Configuration) -> dict[str, Difference]:
    """By row, its accuracy minus that of `against`: one query for a page.

    A row that was tested on other data, otherwise, or with other seeds alone has none; nor has one whose figures do
    not tell that its recordings were the same.
    """
    comparable = [row for row in rows if obstacle(row, against) is None and _same_recordings(row, against)]
    accuracies = _accuracies(session, [*comparable, against])
    reference = accuracies[against.id]
    found: dict[str, Difference] = {}
    for row in comparable:
        own = accuracies[row.id]
        leads = [own[seed] - reference[seed] for seed in sorted(own.keys() & reference.keys())]
        if leads:
            found[row.id] = Difference(len(leads), spread(leads))
    return found


def _accuracies(session: Session, rows: Sequence[Configuration]) -> dict[str, dict[int, float]]:
    """Of each row, by whole seed: the fraction right over the recordings of all its folds.

    Added up by the database, since a page may have as many results as rows, seeds and folds multiplied. A seed is whole
    if it has as many results as the row has folds: a seed has one of each fold at most, and no other folds.
    """
    folds = {row.id: len(row.folds) for row in rows}
    result = ConfigurationResult
    seeds = (
        select(
            result.configuration_id,
            result.seed,
            func.count(),
            func.sum(result.accuracy * result.n) / func.sum(result.n),
        )
        .where(result.configuration_id.in_(folds))
        .group_by(result.configuration_id, result.seed)
        .order_by(result.seed)
    )
    whole: dict[str, dict[int, float]] = {id_: {} for id_ in folds}
    for id_, seed, count, accuracy in session.execute(seeds):
        if count == folds[id_]:
            whole[id_][seed] = accuracy
    return whole


def predictions_of(session: Session, row: Configuration) -> Mapping[int, Sequence[str]]:
    """What a row's runs predicted, as digests of files in the object store: by whole seed, in the order of folds."""
    stored = (
        select(ConfigurationResult.seed, ConfigurationResult.fold, Run.predictions_digest)
        .join(Run, Run.id == ConfigurationResult.run_id)
        .where(ConfigurationResult.configuration_id == row.id)
    )
    digests: dict[int, dict[str, str | None]] = {}
    for seed, fold, digest in session.execute(stored):
        digests.setdefault(seed, {})[fold] = digest
    return {
        seed: [present(of_seed[fold]) for fold in row.folds]
        for seed, of_seed in sorted(digests.items())
        if of_seed.keys() >= set(row.folds)
    }
