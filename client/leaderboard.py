"""What the leaderboard answers: our rows, published ones apart from them, and two rows compared."""

from typing import Any

from client.answers import Answer, Page


class Statistic(Answer):
    """A figure over seeds, with its Student-t 95 % interval; one seed has neither sd nor interval."""

    mean: float
    sd: float | None
    low: float | None
    high: float | None


class OverSubjects(Answer):
    """A figure's bootstrap 95 % interval over n test subjects; one subject has none."""

    n: int
    low: float | None
    high: float | None


class Difference(Statistic):
    """A row's accuracy minus another's, paired by the seeds that both have."""

    n_seeds: int


class LeaderboardRow(Answer):
    """One configuration over its seeds."""

    id: str
    source: str
    dataset_id: str
    dataset_name: str
    protocol: str
    method: str
    student: str = ""  # of a service that does not tell yet
    skeleton_substitute: str | None = None  # what a network read in the place of the dataset's own skeleton
    n_seeds: int
    n_incomplete_seeds: int
    n_test: int | None
    accuracy: Statistic | None
    accuracy_over_subjects: OverSubjects | None = None
    macro_f1: Statistic | None
    weighted_f1: Statistic | None = None
    top5_accuracy: Statistic | None = None
    ece: Statistic | None = None
    paper_f: Statistic | None = None
    difference: Difference | None = None
    parameters: int | None
    macs: int | None
    bundle_bytes: int | None
    latency_ms: float | None = None
    spec: dict[str, Any]


class PublishedRow(Answer):
    """What the paper prints of one method, not measured here."""

    id: str
    source: str
    table: str
    kind: str
    method: str
    citation: int | None
    test_input: str
    dataset: str
    protocol: str
    accuracy: float | None
    f1: float | None
    runs_here: str
    here: str
    run_with: str | None = None
    note: str | None


class Leaderboard(Page[LeaderboardRow]):
    """One page of rows that were measured here and, if they were asked for, what the paper prints."""

    published: tuple[PublishedRow, ...] | None = None


class PairedStatistic(Answer):
    """One figure of both rows, and A − B paired by seed."""

    a: float
    b: float
    difference: Statistic


class SeedPair(Answer):
    """Both rows with one seed; `p` is McNemar's, exact."""

    seed: int
    accuracy_a: float
    accuracy_b: float
    macro_f1_a: float
    macro_f1_b: float
    only_a: int
    only_b: int
    p: float


class SampleVerdict(Answer):
    """Recordings that either row has right in more of the seeds; `p` is the exact sign test's."""

    more_a: int
    more_b: int
    p: float


class Comparison(Answer):
    """Two rows over the seeds that both have, recording by recording."""

    a: LeaderboardRow
    b: LeaderboardRow
    n_test: int
    n_seeds: int
    accuracy: PairedStatistic
    macro_f1: PairedStatistic
    seeds: tuple[SeedPair, ...]
    samples: SampleVerdict
    subjects: OverSubjects | None
    classes: tuple[str, ...]
    confusion_a: tuple[tuple[int, ...], ...]
    confusion_b: tuple[tuple[int, ...], ...]
