"""The checker of fault campaigns: a sound history passes, and each invariant that is broken on purpose is named."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults.checker import INVARIANTS, Event, History, Job, Point, Request, Run, Standing, Write, check

CONFUSION = ((3, 1), (0, 4))
TEST = {"confusion": CONFUSION}
ACCURACY, MACRO_F1 = 7 / 8, (6 / 7 + 8 / 9) / 2


def _write(what: str, before: str, after: str, tokens: tuple[int, int], process: str, **fields: object) -> Write:
    owner = "worker-1" if before == "running" else None
    made = Write("run_1", what, "session-1", process, 10.0, before, after, *tokens, owner)
    return replace(made, **fields)  # type: ignore[arg-type]  # fields of `Write`


def _event(seq: int, kind: str, job_id: str = "job_1", **data: object) -> Event:
    return Event(job_id, seq, kind, {"run_id": "run_1", **data})


SOUND = History(
    healed_at=100.0,
    patience_s=10.0,
    requests=(
        Request("submit", "key-1", None, None, None, 1.0),  # no answer, so it was sent again
        Request("submit", "key-1", "job_1", 202, "queued", 2.0),
        Request("submit", "key-2", "job_2", 202, "queued", 2.0),
        Request("cancel", None, "job_2", 200, "cancelled", 3.0),
        Request("cancel", None, "job_1", 409, None, 200.0),
    ),
    writes=(
        _write("run", "queued", "running", (0, 1), "worker-2"),
        _write("run", "running", "retrying", (1, 2), "keeper-1", owner="worker-2"),
        _write("run", "retrying", "running", (2, 3), "worker-1"),
        _write("metric", "running", "running", (3, 3), "worker-1", session="session-2"),
        _write("run", "running", "succeeded", (3, 4), "worker-1", session="session-2"),
    ),
    jobs=(Job("job_1", "key-1", "succeeded", 4), Job("job_2", "key-2", "cancelled", 1)),
    runs=(
        Run("run_1", "job_1", "succeeded", 0, "all", 2, 101.0, "row_1", TEST),
        Run("run_2", "job_2", "cancelled", 0, "all", None, 3.0, "row_2", None),
    ),
    events=(
        _event(1, "job.state", state="queued"),
        _event(2, "run.epoch", epoch=0, metrics={"loss": 0.5}),
        _event(3, "run.epoch", epoch=1, metrics={"loss": 0.25}),
        _event(4, "run.state", state="succeeded"),
        _event(1, "job.state", "job_2", state="queued"),
    ),
    points=(Point("run_1", "loss", 0, 0.5), Point("run_1", "loss", 1, 0.25)),
    standings=(Standing("row_1", ("all",), 1, 8, ACCURACY, None, MACRO_F1, None),),
    counted={("row_1", 0, "all"): "run_1"},
    named={"run_1": ("a", "b")},
    stored=frozenset("abc"),
)


def test_a_sound_history_passes() -> None:
    """Killed attempts, repeated requests and refusals are no violations."""
    assert check(SOUND) == []


def _without_its_job(history: History) -> History:
    job_3 = Request("submit", "key-3", "job_3", 202, "queued", 2.0)
    return replace(history, requests=(*history.requests, job_3))


def _under_another_name(history: History) -> History:
    return replace(history, requests=(*history.requests, Request("submit", "key-3", "job_2", 202, "queued", 2.0)))


def _with_a_second_job(history: History) -> History:
    return replace(history, jobs=(*history.jobs, Job("job_3", "key-1", "cancelled", 0)))


def _with_a_second_finish(history: History) -> History:
    return replace(history, writes=(*history.writes, history.writes[-1]))


def _with_a_finish_that_nobody_made(history: History) -> History:
    return replace(history, writes=history.writes[:-1])


def _with_a_second_end_in_its_events(history: History) -> History:
    jobs = (replace(history.jobs[0], event_seq=5), history.jobs[1])
    return replace(history, jobs=jobs, events=(*history.events, _event(5, "run.state", state="succeeded")))


def _with_a_write_of_the_former_owner(history: History) -> History:
    stale = _write("metric", "running", "running", (3, 3), "worker-2", session="session-3")
    return replace(history, writes=(*history.writes[:4], stale, history.writes[4]))


def _with_a_former_claim_of_the_owner(history: History) -> History:
    stale = _write("metric", "running", "running", (2, 2), "worker-1", session="session-2")
    return replace(history, writes=(*history.writes[:3], stale, *history.writes[3:]))


def _with_a_token_that_comes_again(history: History) -> History:
    writes = list(history.writes)
    writes[2] = replace(writes[2], token=2)
    return replace(history, writes=writes)


def _cancelled_too_late(history: History) -> History:
    cancelled = Request("cancel", None, "job_1", 200, "cancelling", 9.0)
    return replace(history, requests=(*history.requests, cancelled))


def _with_a_cancelled_run_that_is_claimed(history: History) -> History:
    return replace(
        history, writes=(*history.writes, _write("run", "cancelled", "running", (0, 1), "api-1", run_id="run_2"))
    )


def _with_a_job_that_goes_on(history: History) -> History:
    return replace(history, jobs=(replace(history.jobs[0], state="running"), history.jobs[1]))


def _with_a_success_of_a_failed_run(history: History) -> History:
    more = Run("run_3", "job_1", "failed", 1, "all", None, 3.0, "row_3", None)
    return replace(history, runs=(*history.runs, more))


def _with_a_run_that_goes_on(history: History) -> History:
    return replace(history, runs=(history.runs[0], replace(history.runs[1], state="running")))


def _with_a_late_end(history: History) -> History:
    return replace(history, runs=(history.runs[0], replace(history.runs[1], finished_at=111.0)))


def _without_an_epoch(history: History) -> History:
    return replace(history, points=history.points[1:])


def _with_an_epoch_twice(history: History) -> History:
    return replace(history, points=(*history.points, history.points[0]))


def _with_an_event_of_another_value(history: History) -> History:
    other = _event(3, "run.epoch", epoch=1, metrics={"loss": 0.75})
    return replace(history, events=(*history.events[:2], other, *history.events[3:]))


def _told_out_of_order(history: History) -> History:
    first, second = history.events[1:3]
    events = (replace(first, data=second.data), replace(second, data=first.data))
    return replace(history, events=(history.events[0], *events, *history.events[3:]))


def _with_another_mean(history: History) -> History:
    return replace(history, standings=(replace(history.standings[0], accuracy_mean=0.9),))


def _without_a_result(history: History) -> History:
    return replace(history, counted={})


def _counted_for_another_run(history: History) -> History:
    return replace(history, counted={("row_1", 0, "all"): "run_2"})


def _with_a_row_of_no_run(history: History) -> History:
    return replace(
        history, standings=(*history.standings, Standing("row_2", ("all",), 0, None, None, None, None, None))
    )


def _with_a_gap(history: History) -> History:
    return replace(history, events=(*history.events[1:], replace(history.events[0], seq=5)))


def _with_a_failure_of_the_service(history: History) -> History:
    return replace(history, requests=(*history.requests, Request("pause", None, "job_1", 500, None, 2.0)))


def _without_an_object(history: History) -> History:
    return replace(history, stored=history.stored - {"b"})


@pytest.mark.parametrize(
    ("broken", "invariant"),
    [
        (_without_its_job, "an acknowledged submit is never lost"),
        (_under_another_name, "an acknowledged submit is never lost"),
        (_with_a_second_job, "one idempotency key, one job"),
        (_with_a_second_finish, "at most one accepted finish a run"),
        (_with_a_second_end_in_its_events, "at most one accepted finish a run"),
        (_with_a_finish_that_nobody_made, "at most one accepted finish a run"),
        (_with_a_write_of_the_former_owner, "no write with a stale token"),
        (_with_a_former_claim_of_the_owner, "no write with a stale token"),
        (_with_a_token_that_comes_again, "no write with a stale token"),
        (_cancelled_too_late, "a cancelled run never succeeds afterwards"),
        (_with_a_cancelled_run_that_is_claimed, "a cancelled run never succeeds afterwards"),
        (_with_a_run_that_goes_on, "every run reaches an end state in time"),
        (_with_a_late_end, "every run reaches an end state in time"),
        (_with_a_job_that_goes_on, "every run reaches an end state in time"),
        (_with_a_success_of_a_failed_run, "every run reaches an end state in time"),
        (_without_an_epoch, "metrics have no duplicate or missing epoch"),
        (_with_an_epoch_twice, "metrics have no duplicate or missing epoch"),
        (_with_an_event_of_another_value, "metrics have no duplicate or missing epoch"),
        (_told_out_of_order, "metrics have no duplicate or missing epoch"),
        (_with_another_mean, "the leaderboard equals its recomputation from raw rows"),
        (_without_a_result, "the leaderboard equals its recomputation from raw rows"),
        (_counted_for_another_run, "the leaderboard equals its recomputation from raw rows"),
        (_with_a_row_of_no_run, "the leaderboard equals its recomputation from raw rows"),
        (_with_a_gap, "events are numbered without gaps"),
        (_with_a_failure_of_the_service, "what fails is answered 503 and never as a fault of the service"),
        (_without_an_object, "nothing that a row names is missing in the object store"),
    ],
)
def test_what_is_broken_on_purpose_is_named(broken: Callable[[History], History], invariant: str) -> None:
    """A history in which one invariant is broken fails by its name, and by no other."""
    assert {each.invariant for each in check(broken(SOUND))} == {invariant}


def test_each_invariant_is_broken_once() -> None:
    """No invariant is left that nothing has ever failed."""
    (marker,) = [each for each in test_what_is_broken_on_purpose_is_named.pytestmark if each.name == "parametrize"]  # type: ignore[attr-defined]  # pytest's own
    assert {invariant for _, invariant in marker.args[1]} == set(INVARIANTS)
