"""The state machine: the table, and the job's state from its runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import IllegalTransition
from store.lifecycle import (
    CLAIMABLE,
    ENDED_JOB,
    ENDED_RUN,
    JobEvent,
    JobState,
    RunEvent,
    RunState,
    job_state,
    next_job_state,
    next_run_state,
)

run_sets = st.sets(st.sampled_from(RunState), min_size=1)


def _run_steps(state: RunState) -> list[RunState]:
    steps = []
    for event in RunEvent:
        try:
            steps.append(next_run_state(state, event))
        except IllegalTransition:
            continue
    return steps


def test_ended_runs_stay_ended() -> None:
    """Nothing happens to a cancelled or succeeded run any more; a failed one can only be retried."""
    assert _run_steps(RunState.CANCELLED) == _run_steps(RunState.SUCCEEDED) == []
    assert _run_steps(RunState.FAILED) == [RunState.QUEUED]


def test_only_running_runs_end_with_a_result() -> None:
    """Success and failure need a claim."""
    for event in (RunEvent.SUCCEED, RunEvent.FAIL, RunEvent.EXPIRE, RunEvent.HAND_BACK):
        for state in set(RunState) - {RunState.RUNNING}:
            with pytest.raises(IllegalTransition, match=state):
                next_run_state(state, event)


def test_every_run_state_leads_to_an_end() -> None:
    """From wherever a run stands, some way leads to success and some to cancellation, unless it has ended."""
    for state in set(RunState) - {RunState.CANCELLED, RunState.SUCCEEDED}:
        reached, front = {state}, [state]
        while front:
            new = set(_run_steps(front.pop())) - reached
            reached |= new
            front.extend(new)
        assert {RunState.SUCCEEDED, RunState.CANCELLED} <= reached


def test_claimable_runs_can_be_claimed() -> None:
    """What a claim looks for is what the table lets it take."""
    assert {state for state in RunState if RunState.RUNNING in _run_steps(state)} == CLAIMABLE


@given(st.sampled_from(JobState), run_sets)
def test_job_ends_with_its_runs(current: JobState, runs: set[RunState]) -> None:
    """A job has ended exactly when each of its runs has."""
    assert (job_state(current, runs) in ENDED_JOB) == (runs <= ENDED_RUN)


@given(st.sampled_from(JobState), run_sets)
def test_job_state_is_settled(current: JobState, runs: set[RunState]) -> None:
    """Deriving the state again changes nothing."""
    once = job_state(current, runs)
    assert job_state(once, runs) is once


@given(run_sets)
def test_cancelling_job_never_succeeds(runs: set[RunState]) -> None:
    """Once its user has asked, a job is cancelling until it is cancelled, however its runs end."""
    assert job_state(JobState.CANCELLING, runs) in {JobState.CANCELLING, JobState.CANCELLED}


@given(st.sampled_from(JobState), run_sets)
def test_one_failure_fails_the_job(current: JobState, runs: set[RunState]) -> None:
    """A job succeeds only if all of its runs did."""
    if job_state(current, runs) is JobState.SUCCEEDED:
        assert runs == {RunState.SUCCEEDED}


@pytest.mark.parametrize(
    ("current", "runs", "expected"),
    [
        (JobState.QUEUED, {RunState.QUEUED}, JobState.QUEUED),
        (JobState.QUEUED, {RunState.QUEUED, RunState.RUNNING}, JobState.RUNNING),
        (JobState.RUNNING, {RunState.QUEUED, RunState.SUCCEEDED}, JobState.RUNNING),
        (JobState.RUNNING, {RunState.RETRYING, RunState.QUEUED}, JobState.RETRYING),
        (JobState.RETRYING, {RunState.RETRYING, RunState.RUNNING}, JobState.RUNNING),
        (JobState.PAUSING, {RunState.PAUSED, RunState.RUNNING}, JobState.PAUSING),
        (JobState.PAUSING, {RunState.PAUSED, RunState.SUCCEEDED}, JobState.PAUSED),
        (JobState.PAUSING, {RunState.SUCCEEDED}, JobState.SUCCEEDED),
        (JobState.RUNNING, {RunState.FAILED, RunState.SUCCEEDED}, JobState.FAILED),
        (JobState.VALIDATING, set(), JobState.VALIDATING),
    ],
)
def test_job_state_by_example(current: JobState, runs: set[RunState], expected: JobState) -> None:
    """The cases a user meets."""
    assert job_state(current, runs) is expected


def test_what_a_user_may_ask() -> None:
    """Of an ended job nothing but a retry of a failed one; cancel of everything that has not ended."""
    for state in ENDED_JOB:
        for event in JobEvent:
            if (state, event) != (JobState.FAILED, JobEvent.RETRY):
                with pytest.raises(IllegalTransition):
                    next_job_state(state, event)
    for state in set(JobState) - ENDED_JOB - {JobState.CANCELLING}:
        assert next_job_state(state, JobEvent.CANCEL) in {JobState.CANCELLING, JobState.CANCELLED}
