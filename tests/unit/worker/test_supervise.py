"""What a supervisor does with what it sees, without a process: a lease that a test holds, and time that passes."""

import threading
import time
from dataclasses import dataclass, field

import pytest
from sqlalchemy.exc import OperationalError

from store.errors import IllegalTransition, LostLease, OverTime
from store.lifecycle import Wanted
from worker.child import forkserver
from worker.lease import Patience
from worker.link import Link, Stop
from worker.supervise import Ending, Supervisor, settle

PATIENCE = Patience(lease_s=30, heartbeat_s=10, step_timeout_s=60, stop_grace_s=5)


@dataclass
class HeldLease:
    """A lease without a database, which does as a test says."""

    patience: Patience = PATIENCE
    user: Wanted = Wanted.RUN
    trouble: Exception | None = None
    resumed: bool = False
    calls: list[str] = field(default_factory=list)

    def _called(self, name: str) -> Wanted:
        if self.trouble is not None:
            raise self.trouble
        self.calls.append(name)
        return self.user

    def renew(self) -> Wanted:
        return self._called("renew")

    def wanted(self) -> Wanted:
        return self._called("wanted")

    def hand_back(self) -> None:
        self._called("hand_back")

    def acknowledge(self) -> None:
        if self.resumed:
            raise IllegalTransition("run", "running", "stop")
        self._called("acknowledge")

    def time_out(self) -> None:
        self._called("time_out")

    def killed(self, how: str, *, for_memory: bool) -> None:
        self._called(f"killed: {how}{', for memory' if for_memory else ''}")


class Clock:
    """Time that passes when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        monkeypatch.setattr("time.monotonic", lambda: self.now)

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def lease() -> HeldLease:
    return HeldLease()


@pytest.fixture
def link(clock: Clock) -> Link:
    return Link(forkserver(), lease_end_s=clock.now + 30)


@pytest.fixture
def stopping() -> threading.Event:
    return threading.Event()


@pytest.fixture
def supervisor(lease: HeldLease, link: Link, stopping: threading.Event) -> Supervisor:
    return Supervisor(lease, link, stopping)


def test_the_lease_is_renewed_every_third_of_its_length(
    supervisor: Supervisor, lease: HeldLease, link: Link, clock: Clock
) -> None:
    """In between the flags are only read; each renewal moves the end that the child watches."""
    assert supervisor.look() is None
    clock.advance(10)
    assert supervisor.look() is None
    clock.advance(1)
    assert supervisor.look() is None
    assert lease.calls == ["wanted", "renew", "wanted"]
    assert link.lease_left_s == pytest.approx(29)


def test_a_slow_start_is_followed_by_a_renewal(lease: HeldLease, link: Link, clock: Clock) -> None:
    """The lease counts from the claim, not from the moment at which the child runs."""
    clock.advance(12)
    supervisor = Supervisor(lease, link, threading.Event())
    assert supervisor.look() is None
    assert lease.calls == ["renew"]


def test_a_child_without_steps_is_given_up(supervisor: Supervisor, link: Link, clock: Clock) -> None:
    """Steps keep a run alive; once they stop for the time-out, so do the renewals, and the child is ended."""
    for _ in range(7):
        clock.advance(9.9)
        link.beat()
        assert supervisor.look() is None
    for _ in range(6):
        clock.advance(10)
        assert supervisor.look() is None
    clock.advance(0.1)
    assert supervisor.look() is Ending.STALLED


def test_cancel_stops_at_the_next_step_and_kills_after_the_grace(
    supervisor: Supervisor, lease: HeldLease, link: Link, clock: Clock
) -> None:
    """A cancelled run need not finish its epoch."""
    lease.user = Wanted.CANCEL
    assert supervisor.look() is None
    assert link.stop is Stop.NOW
    clock.advance(5.1)
    assert supervisor.look() is Ending.AS_WANTED


def test_a_pause_that_is_taken_back_in_time_changes_nothing(
    supervisor: Supervisor, lease: HeldLease, link: Link, clock: Clock
) -> None:
    """A run that has not stopped yet goes on when its user resumes it."""
    asked = []
    for lease.user in (Wanted.PAUSE, Wanted.RUN):
        assert supervisor.look() is None
        asked.append(link.stop)
    assert asked == [Stop.AT_EPOCH, Stop.NO]
    clock.advance(9)
    assert supervisor.look() is None


def test_a_cancelled_run_is_cancelled_although_the_worker_stops(
    supervisor: Supervisor, lease: HeldLease, link: Link, clock: Clock, stopping: threading.Event
) -> None:
    """On shutdown a run may finish its epoch; one that is to be cancelled may not, and is not handed back."""
    stopping.set()
    asked = []
    for lease.user in (Wanted.RUN, Wanted.CANCEL):
        assert supervisor.look() is None
        asked.append(link.stop)
    assert asked == [Stop.AT_EPOCH, Stop.NOW]
    clock.advance(5.1)
    assert supervisor.look() is Ending.AS_WANTED


def test_a_run_over_its_time_is_ended(supervisor: Supervisor, lease: HeldLease) -> None:
    """The database says that the deadline has passed; nothing is waited for."""
    lease.trouble = OverTime("it has run for longer than its 5 s")
    assert supervisor.look() is Ending.OVER_TIME


def test_a_stale_claim_ends_the_child(supervisor: Supervisor, lease: HeldLease, link: Link, clock: Clock) -> None:
    """It is told at once, and killed a moment later: one that has just written its own end still sends its spans."""
    lease.trouble = LostLease("run", "run_1", 3)
    assert supervisor.look() is None
    assert link.stop is Stop.NOW
    lease.trouble = None  # who has lost it once does not ask again
    clock.advance(5)
    assert supervisor.look() is None
    clock.advance(0.1)
    assert supervisor.look() is Ending.LOST


def test_a_stale_claim_does_not_outlive_its_lease(supervisor: Supervisor, lease: HeldLease, clock: Clock) -> None:
    """What is left of the lease bounds the moment that a child has to be gone in."""
    lease.trouble = OperationalError("SELECT 1", {}, Exception("gone"))
    clock.advance(29)
    assert supervisor.look() is None
    lease.trouble = LostLease("run", "run_1", 3)
    assert supervisor.look() is None
    clock.advance(1)
    assert supervisor.look() is Ending.LOST


def test_an_absent_database_is_endured_until_the_lease_ends(
    supervisor: Supervisor, lease: HeldLease, link: Link, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A short outage costs nothing; a long one ends the child with its lease. It is logged once."""
    lease.trouble = OperationalError("SELECT 1", {}, Exception("gone"))
    for _ in range(29):
        clock.advance(1)
        link.beat()
        assert supervisor.look() is None
    clock.advance(1)
    assert supervisor.look() is Ending.LOST
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("ending", "resumed", "calls"),
    [
        (Ending.SHUTDOWN, False, ["hand_back"]),
        (Ending.AS_WANTED, False, ["acknowledge"]),
        (Ending.AS_WANTED, True, ["hand_back"]),
        (Ending.BY_ITSELF, False, []),
        (Ending.STALLED, False, []),
        (Ending.LOST, False, []),
        (Ending.OVER_TIME, False, ["time_out"]),
        (Ending.KILLED, False, ["killed: was killed by signal 9"]),
        (Ending.OUT_OF_MEMORY, False, ["killed: was killed by signal 9, for memory"]),
    ],
)
def test_what_is_written_after_the_child(lease: HeldLease, ending: Ending, resumed: bool, calls: list[str]) -> None:
    """Orderly stops, overtime and signals are written; an end of its own and a stall are left to the reaper."""
    lease.resumed = resumed
    settle(lease, ending, status=-9)
    assert lease.calls == calls


@pytest.mark.parametrize("trouble", [LostLease("run", "run_1", 3), OperationalError("UPDATE", {}, Exception("gone"))])
def test_settling_never_raises(lease: HeldLease, trouble: Exception) -> None:
    """A child that finished just in time leaves a stale claim, and an absent database is the reaper's to mend."""
    lease.trouble = trouble
    settle(lease, Ending.SHUTDOWN)
