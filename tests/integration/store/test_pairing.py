"""Rows paired by seed, on both databases: what may be compared, differences for a page, predictions of a row."""

import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import insert, select

from pskd_core.errors import NotComparable
from pskd_core.evaluation.metrics import spread
from store import leaderboard, pairing, runs
from store.engine import Database
from store.lifecycle import FailureCause
from store.models import Configuration, ConfigurationResult
from tests.stored import add_ready_dataset, claim, counted, finish, scored, submit

LOSO = {"kind": "loso"}


def _right(right: int, wrong: int) -> Sequence[Sequence[int]]:
    return ((right, wrong), (0, 1))


def _run(database: Database, results: Mapping[tuple[int, str], Sequence[Sequence[int]]]) -> None:
    """Ends each queued run with the confusion matrix of its (seed, fold); the other runs fail."""
    with database.write() as session:
        while (run := runs.claim_next(session, worker="w", lease_s=30, device="cpu")) is not None:
            confusion = results.get((run.seed, run.fold))
            if confusion is None:
                runs.fail(session, run.claim, cause=FailureCause.INTERNAL, detail="not this one")
            else:
                digest = f"{run.seed}{run.fold[-1]}".rjust(64, "0")
                runs.succeed(session, run.claim, replace(finish(test=scored(confusion)), predictions_digest=digest))


def _rows(database: Database) -> dict[int, Configuration]:
    """By width of the features, in which these configurations differ."""
    with database.read() as session:
        return {row.spec["feature_dim"]: row for row in leaderboard.rows(session).items}


def _differences(database: Database, against: Configuration) -> dict[str, pairing.Difference]:
    with database.read() as session:
        return pairing.differences(session, leaderboard.rows(session).items, against)


def test_difference_is_paired_over_common_whole_seeds(database: Database) -> None:
    """Folds are pooled by recording, seeds that one row lacks or has in part do not count, and t is over the rest."""
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, "loso:1", "loso:2", seeds=(0, 1, 2, 3), protocol=LOSO, feature_dim=8)
    of_a = {(0, "loso:1"): _right(8, 1), (0, "loso:2"): _right(2, 2), (1, "loso:1"): _right(9, 0)}
    of_a |= {(1, "loso:2"): _right(3, 1), (2, "loso:1"): _right(1, 8), (3, "loso:1"): _right(9, 0)}
    _run(database, of_a | {(3, "loso:2"): _right(4, 0)})
    with database.write() as session:
        submit(session, "loso:1", "loso:2", seeds=(0, 1, 2), protocol=LOSO, feature_dim=9)
    of_b = {"loso:1": _right(7, 2), "loso:2": _right(4, 0)}
    _run(database, {(seed, fold): confusion for seed in range(3) for fold, confusion in of_b.items()})
    rows = _rows(database)
    found = _differences(database, rows[9])
    # Of 15 recordings A has 12 and 14 right with seeds 0 and 1, B 13; seed 2 of A lacks a fold, B has no seed 3.
    assert found[rows[8].id].n_seeds == 2
    expected = spread([-1 / 15, 1 / 15])
    assert found[rows[8].id].accuracy.mean == pytest.approx(0, abs=1e-15)
    assert found[rows[8].id].accuracy.interval_95 == pytest.approx(expected.interval_95)
    assert found[rows[9].id].accuracy == spread([0.0] * 3)


def test_rows_of_other_tests_have_no_difference(database: Database) -> None:
    """Another dataset, protocol, number of recordings or set of seeds is never paired, and `check` says which it is."""
    small = _right(3, 1)
    with database.write() as session:
        add_ready_dataset(session)
        add_ready_dataset(session, "other", content="d" * 64)
        submit(session, feature_dim=8)
        submit(session, feature_dim=9, dataset="other")
        submit(session, feature_dim=10, protocol={"kind": "named", "name": "cross_trial"})
        submit(session, feature_dim=12, seeds=(1,))
    _run(database, {(seed, "cross_subject"): small for seed in (0, 1)})
    with database.write() as session:
        submit(session, feature_dim=11)
    _run(database, {(0, "cross_subject"): _right(4, 1)})
    rows = _rows(database)
    assert set(_differences(database, rows[8])) == {rows[8].id}
    for dim, reason in ((9, "dataset 'made', B on 'other'"), (10, "cross_trial"), (11, "5 recordings, B on 6")):
        with pytest.raises(NotComparable, match=reason):
            pairing.check(rows[8], rows[dim])
    pairing.check(rows[8], rows[12])


def test_as_many_recordings_need_not_be_the_same(database: Database) -> None:
    """Students with sensors of their own are never paired by equal numbers; one that reads more than another is."""
    inputs = {8: ["accelerometer"], 9: ["gyroscope"], 10: ["gyroscope", "accelerometer"], 11: ["accelerometer"]}
    with database.write() as session:
        add_ready_dataset(session)
        for dim, streams in inputs.items():
            student = {"inputs": streams, "backbone": {"kind": "resnet1d"}}
            submit(session, feature_dim=dim, method={"kind": "none"}, student=student)
    _run(database, {(0, "cross_subject"): _right(3, 1)})
    rows = _rows(database)
    for dim, paired in ((8, {8, 10, 11}), (9, {9, 10}), (10, {8, 9, 10, 11})):
        assert set(_differences(database, rows[dim])) == {rows[other].id for other in paired}
    pairing.check(rows[8], rows[9])  # a comparison looks at each recording


def test_a_page_of_differences_is_one_query(database: Database) -> None:
    """However many rows a page has, their differences cost one query more."""
    with database.write() as session:
        add_ready_dataset(session)
        for dim in range(8, 20):
            submit(session, feature_dim=dim, seeds=(0, 1))
    _run(database, {(seed, "cross_subject"): _right(3 + seed, 1) for seed in (0, 1)})
    for limit in (2, 12):
        with database.read() as session:
            rows = leaderboard.rows(session, limit=limit).items
            with counted(database) as queries:
                assert len(pairing.differences(session, rows, rows[0])) == limit
        assert len(queries) == 1


def test_folds_are_added_up_by_the_database(database: Database) -> None:
    """Four thousand results, a hundred seeds of forty folds, cost less than 500 kB, and each seed counts whole."""
    folds = [f"loso:{place}" for place in range(40)]
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, *folds, protocol=LOSO)
    _run(database, {(0, fold): _right(3, 1) for fold in folds})
    table = ConfigurationResult.__table__
    with database.write() as session:
        of_seed_0 = session.execute(select(table)).mappings().all()
        copies = [{**result, "seed": seed} for seed in range(1, 100) for result in of_seed_0]
        session.execute(insert(ConfigurationResult), copies)
    with database.read() as session:
        (row,) = leaderboard.rows(session).items
        pairing.differences(session, [row], row)  # what is prepared once is not counted
        tracemalloc.start()
        try:
            found = pairing.differences(session, [row], row)
            assert tracemalloc.get_traced_memory()[1] < 500_000
        finally:
            tracemalloc.stop()
    assert (found[row.id].n_seeds, found[row.id].accuracy.mean) == (100, 0)


def test_predictions_are_those_of_whole_seeds_in_order(database: Database) -> None:
    """A row's files are named seed by seed, fold by fold; a seed that lacks a fold has none to show."""
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, "loso:2", "loso:1", seeds=(1, 0, 2), protocol=LOSO)
    whole = {(seed, f"loso:{fold}"): _right(3, 1) for seed in (0, 1) for fold in (1, 2)}
    _run(database, {**whole, (2, "loso:1"): _right(3, 1)})
    (row,) = _rows(database).values()
    with database.read() as session:
        found = pairing.predictions_of(session, row)
    named = {seed: [digest.lstrip("0") or "0" for digest in digests] for seed, digests in found.items()}
    assert named == {0: ["2", "1"], 1: ["12", "11"]}


def test_a_row_without_a_whole_seed_has_nothing_to_pair(database: Database) -> None:
    """A row whose seeds all lack a fold has neither differences nor predictions, and that is no error."""
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, "loso:1", "loso:2", protocol=LOSO, feature_dim=8)
        runs.succeed(session, claim(session).claim, finish())
    (row,) = _rows(database).values()
    assert _differences(database, row) == {}
    with database.read() as session:
        assert pairing.predictions_of(session, row) == {}
