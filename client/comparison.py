"""Two rows of the leaderboard side by side, on paper."""

from client.leaderboard import Comparison, LeaderboardRow, PairedStatistic, SeedPair
from client.output import interval, method_of, per_cent, points, print_table, short_id, stdout

_FEW_SUBJECTS = 12  # with fewer, a bootstrap that is called 95 % holds the truth less than nine times in ten


def print_comparison(found: Comparison) -> None:
    """Both rows, their difference with its intervals, and each seed with McNemar's test."""
    console = stdout()
    for name, row in (("A", found.a), ("B", found.b)):
        console.print(f"{name}  {_named(row)}", markup=False)
    console.print(f"   N {found.n_test}, {found.n_seeds} seeds in common\n", markup=False)
    figures = {"accuracy": found.accuracy, "macro-F1": found.macro_f1}
    print_table([_figure(name, paired) for name, paired in figures.items()], ["", "A", "B", "A − B", "95 % over seeds"])
    console.print()
    print_table(list(map(_seed, found.seeds)), ["seed", "A", "B", "only A right", "only B right", "p"])
    console.print(f"\n{_over_samples(found)}\n{_over_subjects(found)}", markup=False)


def _named(row: LeaderboardRow) -> str:
    return f"{short_id(row)}  {method_of(row)}  on {row.dataset_name}, {row.protocol}, {row.n_seeds} seeds"


def _figure(name: str, paired: PairedStatistic) -> list[str]:
    return [name, per_cent(paired.a), per_cent(paired.b), points(paired.difference), interval(paired.difference)]


def _seed(pair: SeedPair) -> list[str]:
    accuracies = [per_cent(pair.accuracy_a), per_cent(pair.accuracy_b)]
    return [str(pair.seed), *accuracies, str(pair.only_a), str(pair.only_b), f"{pair.p:.3g}"]


def _over_samples(found: Comparison) -> str:
    votes = found.samples
    return f"right in more of the seeds: A on {votes.more_a} recordings, B on {votes.more_b}; sign test p {votes.p:.3g}"


def _over_subjects(found: Comparison) -> str:
    if found.subjects is None:
        return "over test subjects: nothing can be said, they are unknown or only one"
    doubt = "; so few tell little" if found.subjects.n < _FEW_SUBJECTS else ""
    return f"accuracy A − B, 95 % over {found.subjects.n} test subjects: {interval(found.subjects)}{doubt}"
