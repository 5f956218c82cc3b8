"""One thread watches one child process: renews its lease, forwards what the user wants, and ends it."""

import logging
import math
import signal
import threading
import time
from enum import Enum, auto
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess

from sqlalchemy.exc import SQLAlchemyError

from store.errors import IllegalTransition, LostLease, OverTime
from store.lifecycle import Wanted
from worker import memory
from worker.lease import Lease
from worker.link import Link, Stop

logger = logging.getLogger(__name__)

LOOK_S = 0.25


class Ending(Enum):
    """Why a child's supervision ended."""

    BY_ITSELF = auto()  # it has written its own end; or it has crashed, and the reaper will see its lease run out
    AS_WANTED = auto()  # its user asked
    SHUTDOWN = auto()  # the worker stops
    STALLED = auto()  # it made no step for too long; the reaper will see its lease run out
    LOST = auto()  # somebody else owns the work by now
    OVER_TIME = auto()  # it has run for longer than its user allows
    KILLED = auto()  # a signal has ended it that nobody here has sent
    OUT_OF_MEMORY = auto()  # the same, and the kernel says that it was short of memory


class Supervisor:
    """Watches one child from its start to its end.

    Invariant: nothing is renewed for a child that makes no steps; a child outlives its lease by no more than a look.
    """

    def __init__(self, lease: Lease, link: Link, stopping: threading.Event) -> None:
        self._lease, self._link, self._stopping = lease, link, stopping
        self._beats, self._alive_at = link.beats, time.monotonic()
        # When the claim was asked for: if the child was slow to start, the first renewal is due at once.
        self._renewed_at = self._alive_at + link.lease_left_s - lease.patience.lease_s
        self._wanted = Wanted.RUN
        self._asked, self._ending, self._deadline = Stop.NO, Ending.BY_ITSELF, math.inf
        self._database_answers = True
        self._memory_kills = memory.kills()

    def watch(self, child: ForkServerProcess) -> Ending:
        """Wait until the child has ended or has to be ended."""
        while not wait([child.sentinel], timeout=LOOK_S):
            if ending := self.look():
                return ending
        child.join()
        if child.exitcode is not None and child.exitcode < 0:
            for_memory = child.exitcode == -signal.SIGKILL and memory.kills() != self._memory_kills
            return Ending.OUT_OF_MEMORY if for_memory else Ending.KILLED
        return self._ending

    def look(self) -> Ending | None:
        """One round; an ending if the child has to be killed now."""
        now = time.monotonic()
        if self._link.beats != self._beats:
            self._beats, self._alive_at = self._link.beats, now
        if now - self._alive_at > self._lease.patience.step_timeout_s:
            return Ending.STALLED
        if now > self._deadline:
            return self._ending
        if self._ending is not Ending.LOST:
            try:
                self._ask_database(now)
                self._aim(now)
            except LostLease:
                # It may have written its own end just now: then it still sends its spans, and is gone in a moment.
                self._stop(Stop.NOW, Ending.LOST, now)
            except OverTime:
                return Ending.OVER_TIME
        return Ending.LOST if self._link.lease_left_s <= 0 else None

    def _ask_database(self, now: float) -> None:
        patience = self._lease.patience
        try:
            if now - self._renewed_at >= min(patience.heartbeat_s, patience.lease_s / 3):
                self._wanted = self._lease.renew()
                self._renewed_at = now
                self._link.prolong(now + patience.lease_s)
            else:
                self._wanted = self._lease.wanted()
            self._database_answers = True
        except SQLAlchemyError as trouble:
            if self._database_answers:
                logger.warning("the database does not answer; the child goes on until its lease ends: %s", trouble)
            self._database_answers = False

    def _aim(self, now: float) -> None:
        if self._wanted is Wanted.CANCEL:
            self._stop(Stop.NOW, Ending.AS_WANTED, now)
        elif self._stopping.is_set():
            self._stop(Stop.AT_EPOCH, Ending.SHUTDOWN, now)
        elif self._wanted is Wanted.PAUSE:
            self._stop(Stop.AT_EPOCH, Ending.AS_WANTED, now)
        else:
            self._stop(Stop.NO, Ending.BY_ITSELF, now)

    def _stop(self, stop: Stop, ending: Ending, now: float) -> None:
        """Tell the child, once; if it is to stop, it has until its deadline."""
        self._ending = ending
        if stop is not self._asked:
            self._asked = stop
            self._deadline = now + self._lease.patience.stop_grace_s if stop else math.inf
            self._link.ask(stop)


def end(child: ForkServerProcess) -> int | None:
    """Kill what is left of a child; its exit status, if it had ended by itself."""
    status = child.exitcode
    if child.exitcode is None:
        child.kill()
        child.join()
    # Closes the pipe whose end the child watches. If the fork server died before the child, this is what ends it.
    child.close()
    return status


def settle(lease: Lease, ending: Ending, *, status: int | None = None) -> None:
    """Write what the child could not: that its work was handed back, or stopped as its user wants.

    A child that has ended its work in time leaves a stale claim, on which nothing matches.
    """
    try:
        match ending:
            case Ending.SHUTDOWN:
                lease.hand_back()
            case Ending.AS_WANTED:
                _acknowledge(lease)
            case Ending.STALLED:
                logger.error("made no step for too long and was killed; its lease runs out")
            case Ending.OVER_TIME:
                lease.time_out()
            case Ending.KILLED | Ending.OUT_OF_MEMORY:
                how = f"was killed by signal {-(status or 0)}"
                logger.error("its process %s", how)
                lease.killed(how, for_memory=ending is Ending.OUT_OF_MEMORY)
            case Ending.BY_ITSELF | Ending.LOST:
                pass
    except LostLease:
        pass
    except SQLAlchemyError:
        logger.exception("the database does not answer; the reaper will see the lease run out")


def _acknowledge(lease: Lease) -> None:
    try:
        lease.acknowledge()
    except IllegalTransition:  # its user has thought better of it
        lease.hand_back()
