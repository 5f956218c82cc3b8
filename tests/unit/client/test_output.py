"""How results are written."""

import json
import re

import pytest
from rich.console import Console
from rich.progress import Progress

from client.answers import SplitSizes
from client.errors import (
    Busy,
    Conflicting,
    Full,
    Invalid,
    NoKey,
    NotAllowed,
    NotFound,
    Refused,
    ServiceFault,
    TooLarge,
    refusal,
)
from client.leaderboard import Statistic
from client.output import (
    Terminal,
    aligned,
    lasting,
    mean_and_sd,
    per_cent,
    print_json,
    print_table,
    report_error,
    stderr,
    stdout,
)


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
        (401, NoKey),
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
        (507, Full),
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


# Clears the screen in two ways, turns the direction of writing, fakes a row, rings.
STRANGE = "a\x1b[2Jb\x9b2Jc\u202ed\ne\x07"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_name_does_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    """Lines, tables and bars show a sign in the place of what is not printable, and a row stays one row."""
    screen = Terminal(force_terminal=terminal, width=60, no_color=True, soft_wrap=not terminal)
    monkeypatch.setattr("client.output.stdout", lambda: screen)
    print_table([[STRANGE, "1"], ["plain", "2"]], ["name", "N"])
    shown = capsys.readouterr().out
    assert "a�[2Jb�2Jc�d�e�" in shown
    rows = [line.strip() for line in shown.splitlines() if line.strip()]
    assert len(rows) == (4 if terminal else 3)
    screen.print(STRANGE, markup=False)
    with Progress(console=screen) as bars:
        bars.add_task(STRANGE, total=1)
    shown = re.sub(r"\x1b\[(\?25[lh]|1A|2K|[01]?m|1;\d+m)", "", capsys.readouterr().out)  # what bars themselves need
    assert "a�[2Jb�2Jc�d\n" in shown
    assert not {"\x1b", "\x9b", "\u202e", "\x07"} & set(shown)


def test_the_consoles_of_commands_are_such_screens() -> None:
    """Results and messages both pass through one."""
    assert isinstance(stdout(), Terminal)
    assert isinstance(stderr(), Terminal)


def test_json_escapes_what_steers_and_keeps_the_value(capsys: pytest.CaptureFixture[str]) -> None:
    """The document holds the very name, and its bytes only what is printable."""
    print_json(SplitSizes(train=1, test=1, missing=(STRANGE,)))
    shown = capsys.readouterr().out
    assert json.loads(shown)["missing"] == [STRANGE]
    assert all(line.isprintable() for line in shown.splitlines())


def test_faults_are_listed_with_their_pointers(capsys: pytest.CaptureFixture[str]) -> None:
    """A refused spec is reported field by field, without the message that repeats them."""
    faults = [{"pointer": "/seeds", "detail": "names a seed twice"}, {"parameter": "limit", "detail": "too small"}]
    problem = {"title": "The job spec is wrong", "detail": "/seeds: names a seed twice", "errors": faults}
    report_error(refusal(422, problem, retry_after_s=0.0))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: The job spec is wrong"
    assert lines[1:3] == ["  /seeds: names a seed twice", "  limit: too small"]
    assert lines[3].startswith("remedy: ")
