"""How results are written."""

import pytest
from rich.console import Console

from client.errors import Busy, Conflicting, Invalid, NotAllowed, NotFound, Refused, ServiceFault, TooLarge, refusal
from client.leaderboard import Statistic
from client.output import aligned, lasting, mean_and_sd, per_cent, print_table, report_error


def test_columns_stand_below_each_other() -> None:
    """Plain rows are as wide as their widest cell and end without blanks."""
    assert aligned([["A", "B"], ["long", "x"], ["", "longer"]]) == ["A     B", "long  x", "      longer"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.4, "0 s"), (59.6, "1 min 00 s"), (61, "1 min 01 s"), (3600, "1 h 00 min"), (90_061, "25 h 01 min")],
)
def test_lengths_of_time(seconds: float | None, text: str) -> None:
    """A length of time has two units at most, and 60 never stands for the next unit."""
    assert lasting(seconds) == text


def test_spread_needs_two_seeds() -> None:
    """One seed has no standard deviation, so none is shown."""
    assert mean_and_sd(Statistic(mean=0.915, sd=0.012, low=0.9, high=0.93)) == "91.5 ± 1.2 %"
    assert mean_and_sd(Statistic(mean=0.915, sd=None, low=None, high=None)) == "91.5 %"
    assert mean_and_sd(None) == "–"
    assert per_cent(0.5) == "50.0 %"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, NotAllowed),
        (403, NotAllowed),
        (404, NotFound),
        (405, Refused),
        (409, Conflicting),
        (413, TooLarge),
        (415, Refused),
        (422, Invalid),
        (429, Busy),
        (500, ServiceFault),
        (503, Busy),
    ],
)
def test_every_refusal_has_a_remedy(status: int, kind: type[Refused]) -> None:
    """Each status becomes an exception of its kind, which says what to do even if the answer was no problem+json."""
    error = refusal(status, {}, retry_after_s=0.0)
    assert type(error) is kind
    assert error.remedy
    assert str(status) in str(error)


@pytest.mark.parametrize(("width", "ruled"), [(60, True), (24, False)])
def test_a_narrow_terminal_breaks_no_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, ruled: bool
) -> None:
    """A table whose words do not fit becomes plain lines, so that an id can always be copied whole."""
    console = Console(force_terminal=True, width=width, no_color=True)
    monkeypatch.setattr("client.output.stdout", lambda: console)
    print_table([["0123456789", "cross_subject"]], ["row", "protocol"])
    shown = capsys.readouterr().out
    assert ("─" in shown) == ruled
    assert "0123456789" in shown
    assert "cross_subject" in shown


def test_faults_are_listed_with_their_pointers(capsys: pytest.CaptureFixture[str]) -> None:
    """A refused spec is reported field by field, without the message that repeats them."""
    faults = [{"pointer": "/seeds", "detail": "names a seed twice"}, {"parameter": "limit", "detail": "too small"}]
    problem = {"title": "The job spec is wrong", "detail": "/seeds: names a seed twice", "errors": faults}
    report_error(refusal(422, problem, retry_after_s=0.0))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: The job spec is wrong"
    assert lines[1:3] == ["  /seeds: names a seed twice", "  limit: too small"]
    assert lines[3].startswith("remedy: ")
