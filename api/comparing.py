"""Two rows of the leaderboard, compared by what their runs predicted."""

from collections.abc import Iterator, Mapping, Sequence

from api.deps import Services
from api.schemas.comparison import RowComparison
from api.schemas.leaderboard import LeaderboardRow
from pskd_core.errors import DataError
from pskd_core.evaluation.comparison import Predictions, compare, pool, read_predictions
from store import datasets, leaderboard, pairing
from store.errors import ObjectDamaged


def compare_rows(services: Services, a: str, b: str, *, tenant: str) -> RowComparison:
    """Both rows over the seeds that both have whole; no session is held while files are fetched.

    Raises:
        NotFound: there is no such row.
        NotComparable: they were tested on other data or otherwise, or have no seed in common.
    """
    with services.database.read() as session:
        row_a, row_b = (leaderboard.get(session, row_id, tenant=tenant) for row_id in (a, b))
        pairing.check(row_a, row_b)
        stored_a, stored_b = (pairing.predictions_of(session, row) for row in (row_a, row_b))
        report = datasets.get(session, row_a.dataset_id, tenant=tenant).report or {}
    found = compare(*(_PredictionsBySeed(services, stored) for stored in (stored_a, stored_b)))
    shown_a, shown_b = map(LeaderboardRow.of, (row_a, row_b))
    return RowComparison.of(shown_a, shown_b, found, classes=tuple(report["classes"]))


class _PredictionsBySeed(Mapping[int, Predictions]):
    """A row's predictions, each seed fetched when it is looked up and kept by nobody: many seeds are large together."""

    def __init__(self, services: Services, stored: Mapping[int, Sequence[str]]) -> None:
        self._services, self._stored = services, stored

    def __getitem__(self, seed: int) -> Predictions:
        return _fetched(self._services, self._stored[seed])

    def __iter__(self) -> Iterator[int]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)


def _fetched(services: Services, digests: Sequence[str]) -> Predictions:
    """One seed's predictions, pooled over its folds.

    Raises:
        ObjectDamaged: a file is none of ours, which is nothing that a caller could mend.
    """
    try:
        return pool([read_predictions(services.objects.get_bytes(digest), file=digest) for digest in digests])
    except DataError as damaged:
        raise ObjectDamaged(str(damaged)) from damaged
