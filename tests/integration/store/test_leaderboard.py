"""The leaderboard's figures against the core's own, and its pages, on both databases."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from sqlalchemy import select

from pskd_core.evaluation.metrics import OF_LOGITS, FoldResult, subject_interval_95, summarise_part
from store import leaderboard, runs, seedstats
from store.engine import Database
from store.errors import BadCursor, Conflict, NotFound
from store.leaderboard import Sort
from store.lifecycle import FailureCause
from store.models import Configuration, ConfigurationResult
from tests.stored import add_ready_dataset, claim, counted, finish, scored, submit

Confusion = tuple[tuple[int, ...], ...]


def _confusion(seed: int) -> Confusion:
    counts = np.random.default_rng(seed).integers(0, 9, (4, 4))
    counts[3] = counts[:, 3] = 0  # a class that does not occur
    return tuple(map(tuple, counts.tolist()))


def _finish_all(database: Database, confusions: dict[tuple[int, str], Confusion]) -> None:
    """Ends every queued run whose (seed, fold) is given, and hands the others back."""
    with database.write() as session:
        while (run := runs.claim_next(session, worker="w", lease_s=30, device="cpu")) is not None:
            confusion = confusions.get((run.seed, run.fold))
            if confusion is None:
                runs.fail(session, run.claim, cause=FailureCause.INTERNAL, detail="not this one")
            else:
                runs.succeed(session, run.claim, finish(test=scored_by_core(confusion)))


def scored_by_core(confusion: Confusion) -> seedstats.Tested:
    """The scores that the core gives to a confusion matrix, and made-up ones of what that does not tell."""
    summary = summarise_part([FoldResult(seed=0, fold="f", confusion=confusion)], folds=["f"])
    assert summary is not None
    return seedstats.Tested(
        summary.accuracy.mean, summary.macro_f1.mean, summary.n, confusion, None, **of_logits(confusion)
    )


def of_logits(confusion: Confusion) -> dict[str, float]:
    """Differing from one matrix to the next."""
    return {name: confusion[0][0] / (place + 50) for place, name in enumerate(OF_LOGITS)}


def _only_row(database: Database) -> Configuration:
    with database.read() as session:
        (row,) = leaderboard.rows(session).items
        return row


@pytest.mark.parametrize("fold_names", [("cross_subject",), ("loso:1", "loso:2", "loso:3")])
@pytest.mark.parametrize("seeds", [(0,), (0, 1), (3, 1, 2, 0, 4)])
def test_figures_equal_the_cores(database: Database, fold_names: tuple[str, ...], seeds: tuple[int, ...]) -> None:
    """Mean, deviation and interval over seeds, folds pooled by their confusion matrices, agree with the core's."""
    confusions = {(seed, fold): _confusion(10 * seed + i) for seed in seeds for i, fold in enumerate(fold_names)}
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, *fold_names, seeds=seeds)
    _finish_all(database, confusions)
    row = _only_row(database)
    results = [FoldResult(seed=seed, fold=fold, confusion=c, **of_logits(c)) for (seed, fold), c in confusions.items()]
    oracle = summarise_part(results, folds=fold_names)
    assert oracle is not None
    assert (row.n_seeds, row.n_incomplete_seeds, row.folds) == (len(seeds), 0, list(fold_names))
    parts = ("mean", "sd", "low", "high")
    sorted_by = {name: [getattr(row, f"{name}_{part}") for part in parts] for name in ("accuracy", "macro_f1")}
    further = {name: [row.figures[name][part] for part in parts] for name in leaderboard.FURTHER}
    for name, (mean, *rest) in {**sorted_by, **further}.items():
        expected = getattr(oracle, name)
        assert mean == pytest.approx(expected.mean, rel=1e-12)
        assert rest == (
            [None] * 3 if len(seeds) == 1 else pytest.approx([expected.sd, *expected.interval_95], rel=1e-9)
        )


def test_incomplete_seed_is_marked_and_not_ranked(database: Database) -> None:
    """A seed that lacks a fold counts as incomplete and moves no figure; without a whole seed the row has none."""
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, "loso:1", "loso:2", seeds=(0, 1))
    _finish_all(database, {(0, "loso:1"): _confusion(1)})
    row = _only_row(database)
    assert (row.n_seeds, row.n_incomplete_seeds, row.accuracy_mean, row.n_test) == (0, 1, None, None)
    with database.write() as session:
        submit(session, "loso:1", "loso:2", seeds=(0, 1))
    _finish_all(database, {(1, fold): _confusion(i) for i, fold in enumerate(("loso:1", "loso:2"), start=2)})
    row = _only_row(database)
    assert (row.n_seeds, row.n_incomplete_seeds) == (1, 1)
    assert row.n_test == int(np.sum([_confusion(2), _confusion(3)]))


def test_repeat_counts_once(database: Database) -> None:
    """The same seed again, in another job with another name, changes nothing: the first result stays."""
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, name="first")
    _finish_all(database, {(0, "cross_subject"): _confusion(1)})
    before = _only_row(database)
    with database.write() as session:
        submit(session, name="again", seeds=(0, 7))
    _finish_all(database, {(0, "cross_subject"): _confusion(2)})
    after = _only_row(database)
    assert (after.id, after.accuracy_mean, after.n_seeds) == (before.id, before.accuracy_mean, 1)
    with database.read() as session:
        results = session.execute(select(ConfigurationResult.seed, ConfigurationResult.fold)).all()
        assert results == [(0, "cross_subject")]


def test_what_is_compared(database: Database) -> None:
    """Rows are told apart by spec, dataset content and tenant, not by dataset name, job name or device."""
    with database.write() as session:
        add_ready_dataset(session, "made")
        add_ready_dataset(session, "copy")
        add_ready_dataset(session, "other", content="d" * 64)
        submit(session)
        submit(session, dataset="copy", seeds=(1,), name="x", resources={"device": "cpu"})
        submit(session, dataset="other")
        submit(session, feature_dim=64)
        submit(session, method={"kind": "none"})
    _finish_all(database, {(seed, "cross_subject"): _confusion(seed) for seed in (0, 1)})
    with database.read() as session:
        rows = leaderboard.rows(session).items
        assert sorted(row.n_seeds for row in rows) == [1, 1, 1, 2]
        (none,) = leaderboard.rows(session, method="none").items
        assert (none.method, none.protocol, none.parameters, none.bundle_bytes) == ("none", "cross_subject", 1000, 4096)
        assert none.macs == 3 * 10**9
        assert len(leaderboard.rows(session, dataset="d" * 64).items) == 1
        assert len(leaderboard.rows(session, dataset="other").items) == 1
        assert leaderboard.rows(session, protocol="loso").items == []
        assert leaderboard.rows(session, tenant="other").items == []
        assert leaderboard.get(session, none.id).spec["method"] == {"kind": "none"}
        for row in (none, *rows):
            assert leaderboard.get(session, row.id[:20]) is leaderboard.get(session, row.id)
        with pytest.raises(NotFound):
            leaderboard.get(session, none.id, tenant="other")


@pytest.mark.parametrize("beginning", ["", "%", "_", "g", "zz"])
def test_a_beginning_must_tell_rows_apart(database: Database, beginning: str) -> None:
    """Letters that every id begins with name no single row, and those that none begins with name none."""
    with database.write() as session:
        add_ready_dataset(session)
        for dim in (8, 9):
            submit(session, feature_dim=dim)
    _finish_all(database, {(0, "cross_subject"): _confusion(1)})
    with database.read() as session, pytest.raises(NotFound if beginning else Conflict, match=repr(beginning)):
        leaderboard.get(session, beginning)


def test_untested_run_has_no_row(database: Database) -> None:
    """A job that never touches the test part appears on no leaderboard."""
    with database.write() as session:
        add_ready_dataset(session)
        submit(session)
    with database.write() as session:
        claimed = claim(session)
        done = finish()
        runs.succeed(session, claimed.claim, runs.Finish(**{**vars(done), "test": None}))
    with database.read() as session:
        assert leaderboard.rows(session).items == []


def test_interval_over_subjects_is_kept_beside_the_one_over_seeds(database: Database) -> None:
    """Two seeds that tell subjects apart give the core's interval; one more that does not takes it away."""
    confusion = ((8, 2), (1, 9))
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, seeds=(0, 1))
        for subjects in ({"2": [9, 10], "4": [8, 10]}, {"2": [10, 10], "4": [7, 10]}):
            runs.succeed(session, claim(session).claim, finish(test=scored(confusion, subjects)))
    row = _only_row(database)
    kept = (row.accuracy_subjects_low, row.accuracy_subjects_high)
    assert (row.n_subjects, kept) == (2, subject_interval_95([19, 15], [20, 20]))
    with database.write() as session:
        submit(session, seeds=(2,))
        runs.succeed(session, claim(session).claim, finish(test=scored(confusion)))
    row = _only_row(database)
    assert (row.n_seeds, row.n_subjects, row.accuracy_subjects_low, row.accuracy_subjects_high) == (3, None, None, None)


@pytest.mark.parametrize("sort", ["-accuracy", "accuracy", "-macro_f1", "macro_f1"])
def test_pages_show_each_row_once_in_order(database: Database, sort: Sort) -> None:
    """Ranked rows come in order, equal ones included, then the unranked; two queries a page, however many rows."""
    with database.write() as session:
        add_ready_dataset(session)
        for dim in range(8, 16):  # eight configurations
            submit(session, *(("a", "b") if dim % 4 == 3 else ("a",)), feature_dim=dim)
    with database.write() as session:
        for index in range(10):
            claimed = claim(session)
            if claimed.fold == "a":
                confusion = ((index // 2, 2), (1, 3))  # neighbours are equal
                runs.succeed(session, claimed.claim, finish(test=scored(confusion)))
    figure = "macro_f1_mean" if sort.endswith("macro_f1") else "accuracy_mean"
    shown: list[Configuration] = []
    cursor = None
    while cursor is not None or not shown:
        with database.read() as session, counted(database) as queries:
            page = leaderboard.rows(session, sort=sort, limit=3, cursor=cursor)
        assert len(queries) <= 2
        shown += page.items
        cursor = page.next_cursor
    figures = [getattr(row, figure) for row in shown]
    assert len({row.id for row in shown}) == 8
    assert figures[6:] == [None, None]
    assert figures[:6] == sorted(figures[:6], reverse=sort.startswith("-"))


@pytest.mark.parametrize("cost", ["parameters", "macs", "bundle_bytes"])
def test_costs_are_an_order_too(database: Database, cost: str) -> None:
    """Rows come by what a network costs, in pages, either way round; one whose cost is unknown comes last."""
    costs = [3 * 10**9, 5, None, 7]
    with database.write() as session:
        add_ready_dataset(session)
        for dim, value in enumerate(costs, start=8):
            submit(session, feature_dim=dim)
            done = finish(parameters=value, macs=value)
            runs.succeed(session, claim(session).claim, replace(done, bundle_bytes=value))
    for sort, expected in ((cost, [5, 7, 3 * 10**9, None]), (f"-{cost}", [3 * 10**9, 7, 5, None])):
        with database.read() as session:
            first = leaderboard.rows(session, sort=cast("Sort", sort), limit=2)
            rest = leaderboard.rows(session, sort=cast("Sort", sort), limit=2, cursor=first.next_cursor)
        assert [getattr(row, cost) for row in [*first.items, *rest.items]] == expected


def test_cursor_belongs_to_its_query(database: Database) -> None:
    """A cursor of one sort order means nothing in another, and says so."""
    with database.write() as session:
        add_ready_dataset(session)
        for dim in (8, 9):
            submit(session, feature_dim=dim)
    _finish_all(database, {(0, "cross_subject"): _confusion(1)})
    with database.read() as session:
        page = leaderboard.rows(session, limit=1)
        with pytest.raises(BadCursor):
            leaderboard.rows(session, limit=1, sort="accuracy", cursor=page.next_cursor)
